//! The bridge on real host mounts. This process serves them, so it never touches them itself: that
//! do shells and agents, child processes with time limits.

mod agent;
mod basic;
mod coherence;
mod dying;
mod flush;
mod hardship;
mod harness;
mod mounting;
mod parking;
mod restoring;
mod rings;
mod serving;
mod syscalls;
mod users;
mod watching;
mod writeback;

// What a child process started by these tests runs; a test of its own that does nothing otherwise.
#[test]
fn child_entry() {
    match std::env::var("DEVDEV_TEST_ROLE").as_deref() {
        Ok("agent") => agent::run(),
        Ok("serve") => serving::run(),
        Ok("syscalls") => syscalls::run(),
        Ok(other) => panic!("no role {other}"),
        Err(_) => {}
    }
}
