//! The helper binary: watchdog and launcher.

fn main() {}
