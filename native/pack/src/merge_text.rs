//! Merging a text that two sides have changed, line by line, as `git merge-file` does.
//!
//! diffy finds the lines. Its time grows with the lines times those that differ, so what would take
//! minutes is treated as no text: nobody reads a file of which a hundred thousand lines changed.

use std::collections::HashMap;

use devdev_vfs::MergedText;
use diffy::{ConflictStyle, IncompleteHunkStyle, MergeOptions};

/// Git takes a file with a NUL among so many bytes for a binary one.
const LOOKED_AT: usize = 8000;
/// Texts are not larger.
const MAX_BYTES: usize = 16 << 20;
/// Lines that may all differ.
const MAX_LINES: usize = 20_000;
/// In longer texts so many lines may differ.
const MAX_CHANGED: usize = 2_000;

/// Merges texts; with marks (`<<<<<<< ours`, `=======`, `>>>>>>> theirs`) around what contradicts.
pub fn merge_text(base: &[u8], ours: &[u8], theirs: &[u8]) -> MergedText {
    let texts = [base, ours, theirs];
    let is_text =
        |text: &&[u8]| text.len() <= MAX_BYTES && !text[..text.len().min(LOOKED_AT)].contains(&0);
    if !texts.iter().all(is_text) || !is_feasible(base, ours) || !is_feasible(base, theirs) {
        return MergedText::Binary;
    }
    let mut options = MergeOptions::new();
    options.set_conflict_style(ConflictStyle::Merge);
    options.set_incomplete_hunk_style(IncompleteHunkStyle::Git);
    match options.merge_bytes(base, ours, theirs) {
        Ok(merged) => MergedText::Clean(merged),
        Err(marked) => MergedText::Marked(marked),
    }
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

// Whether comparing takes seconds at most.
fn is_feasible(a: &[u8], b: &[u8]) -> bool {
    let (a, b) = (lines(a), lines(b));
    let same = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[same..], &b[same..]);
    let ends = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[..a.len() - ends], &b[..b.len() - ends]);
    if a.len() + b.len() <= 2 * MAX_LINES {
        return true;
    }
    let mut counts: HashMap<&[u8], i64> = HashMap::new();
    a.iter().for_each(|line| *counts.entry(line).or_default() += 1);
    b.iter().for_each(|line| *counts.entry(line).or_default() -= 1);
    counts.values().map(|n| n.unsigned_abs() as usize).sum::<usize>() <= MAX_CHANGED
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn text(numbers: impl Iterator<Item = u64>) -> Vec<u8> {
        numbers.flat_map(|n| format!("line {n}\n").into_bytes()).collect()
    }

    fn clean(merged: MergedText) -> Vec<u8> {
        let MergedText::Clean(bytes) = merged else { panic!("not clean") };
        bytes
    }

    #[test]
    fn changes_of_different_lines_come_together() {
        let base = b"a\nb\nc\nd\ne\n";
        let merged = merge_text(base, b"A\nb\nc\nd\ne\n", b"a\nb\nc\nd\nE\nf");
        assert_eq!(clean(merged), b"A\nb\nc\nd\nE\nf");
        // Bytes that are no UTF-8.
        let merged = merge_text(b"\xff\nb\nc\n", b"\xff\nb\n\xfe\n", b"\xfd\nb\nc\n");
        assert_eq!(clean(merged), b"\xfd\nb\n\xfe\n");
    }

    #[test]
    fn contradictions_are_marked() {
        let MergedText::Marked(bytes) = merge_text(b"a\nb\n", b"a\nx", b"a\ny\n") else {
            panic!("no conflict")
        };
        let expected = "a\n<<<<<<< ours\nx\n=======\ny\n>>>>>>> theirs\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn what_is_no_text_or_takes_too_long_is_left_alone() {
        assert!(matches!(merge_text(b"a\0", b"b\0", b"c\0"), MergedText::Binary));
        let long = |from: u64| text(from..from + 100_000);
        assert!(matches!(merge_text(&long(0), &long(200_000), &long(0)), MergedText::Binary));
        // Long, but changed at both ends only.
        let ours = [&b"first\n"[..], &long(0)].concat();
        let theirs = [&long(0), &b"last\n"[..]].concat();
        let merged = clean(merge_text(&long(0), &ours, &theirs));
        assert_eq!(merged, [&b"first\n"[..], &long(0), b"last\n"].concat());
    }

    /// Where git merges without a conflict, the same comes out, or a conflict where we see one.
    #[test]
    fn merges_are_those_of_git() {
        let dir = std::env::temp_dir().join(format!("devdev-merge-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut random = devdev_vfs::sample::Random(7);
        let (mut cleanly, mut runs) = (0, 0);
        for _ in 0..150 {
            let base: Vec<u64> = (0..40).map(|_| random.below(30)).collect();
            let mut side = || {
                let mut lines = base.clone();
                for _ in 0..1 + random.below(3) {
                    let at = random.below(lines.len() as u64) as usize;
                    match random.below(3) {
                        0 => lines[at] = 100 + random.below(50),
                        1 => lines.insert(at, 200 + random.below(50)),
                        _ => _ = lines.remove(at),
                    }
                }
                lines
            };
            let all = [base.clone(), side(), side()].map(|lines| text(lines.into_iter()));
            let paths = ["base", "ours", "theirs"].map(|name| dir.join(name));
            paths.iter().zip(&all).for_each(|(path, text)| std::fs::write(path, text).unwrap());
            let mut git = Command::new("git");
            git.args(["merge-file", "-p"]).args([&paths[1], &paths[0], &paths[2]]);
            let Ok(git) = git.output() else { break };
            runs += 1;
            if let MergedText::Clean(merged) = merge_text(&all[0], &all[1], &all[2]) {
                cleanly += 1;
                if git.status.success() {
                    let [git, merged] = [&git.stdout, &merged].map(|b| String::from_utf8_lossy(b));
                    assert_eq!(git, merged);
                }
            }
        }
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(runs == 0 || cleanly > 50, "{cleanly} of {runs}");
    }
}
