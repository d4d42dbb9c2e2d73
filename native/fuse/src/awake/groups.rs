//! The control groups that share out CPU time (cgroups(7)), as far as this process is concerned.

use std::fs;
use std::path::{Path, PathBuf};

/// Whether the CPU time of this process is limited: a group of it, or one above, has a quota.
pub(super) fn is_limited() -> bool {
    let files = files_of(&groups());
    files.iter().any(|file| fs::read_to_string(file).is_ok_and(|text| limits(&text)))
}

/// Whether it is in no group but those of the whole system.
pub(super) fn is_outermost() -> bool {
    of_cpu(&groups()).all(|group| group.path == "/")
}

fn groups() -> String {
    fs::read_to_string("/proc/self/cgroup").unwrap_or_default()
}

struct Group<'a> {
    path: &'a str,
    /// Of version 2, which has one hierarchy for everything.
    unified: bool,
}

fn of_cpu(groups: &str) -> impl Iterator<Item = Group<'_>> {
    groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?.trim());
        let unified = controllers.is_empty();
        let counts = unified || controllers.split(',').any(|name| name == "cpu");
        counts.then_some(Group { path, unified })
    })
}

// The files which would tell of a quota, from the process's own groups upwards.
fn files_of(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for Group { path, unified } in of_cpu(groups) {
        let (roots, file): (&[&str], _) = if unified {
            (&["/sys/fs/cgroup", "/sys/fs/cgroup/unified"], "cpu.max")
        } else {
            (&["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"], "cpu.cfs_quota_us")
        };
        let inner = Path::new(path.trim_start_matches('/'));
        for root in roots {
            files.extend(inner.ancestors().map(|group| Path::new(root).join(group).join(file)));
        }
    }
    files
}

// `max 100000` and `-1` are none.
fn limits(text: &str) -> bool {
    text.split_whitespace().next().is_some_and(|first| first != "max" && first != "-1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_of_both_versions_are_looked_at_up_to_the_root() {
        let files = files_of("9:cpu,cpuacct:/a\n4:memory:/m\n0::/user.slice/b\n");
        let has = |path: &str| files.contains(&PathBuf::from(path));
        assert!(has("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us"));
        assert!(has("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us"));
        assert!(has("/sys/fs/cgroup/user.slice/b/cpu.max"));
        assert!(has("/sys/fs/cgroup/user.slice/cpu.max"));
        assert!(has("/sys/fs/cgroup/cpu.max"));
        assert!(!files.iter().any(|file| file.starts_with("/sys/fs/cgroup/memory")));
        assert!(files_of("garbage\n").is_empty());
    }

    #[test]
    fn only_groups_that_share_out_cpu_time_matter() {
        let outermost = |groups| of_cpu(groups).all(|group| group.path == "/");
        assert!(outermost("9:memory:/m\n2:cpu,cpuacct:/\n0::/\n") && outermost(""));
        assert!(!outermost("2:cpu:/a\n0::/\n") && !outermost("0::/user.slice\n"));
    }

    #[test]
    fn a_quota_is_a_number() {
        assert!(limits("50000 100000\n") && limits("200000\n"));
        assert!(!limits("max 100000\n") && !limits("-1\n") && !limits(""));
    }
}
