//! Whether the CPU time of this process is limited (cgroups(7)): then none of it is to be wasted.

use std::fs;
use std::path::{Path, PathBuf};

/// Whether a control group of this process, or one above it, has a quota.
pub(super) fn is_limited() -> bool {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    files_of(&groups).iter().any(|file| fs::read_to_string(file).is_ok_and(|text| limits(&text)))
}

// The files which would tell, from the process's own groups upwards.
fn files_of(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (roots, file): (&[&str], _) = if controllers.is_empty() {
            (&["/sys/fs/cgroup", "/sys/fs/cgroup/unified"], "cpu.max")
        } else if controllers.split(',').any(|name| name == "cpu") {
            (&["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"], "cpu.cfs_quota_us")
        } else {
            continue;
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
    fn a_quota_is_a_number() {
        assert!(limits("50000 100000\n") && limits("200000\n"));
        assert!(!limits("max 100000\n") && !limits("-1\n") && !limits(""));
    }
}
