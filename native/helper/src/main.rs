//! The helper binary: small roles that the daemon must not play itself, because each of them does
//! something to a process (session, directory, terminal) or may wait on the mount. The first
//! argument names the role; the roles read the rest on their own.
#![deny(unsafe_code)]

mod align;
mod awake;
mod launch;
mod lookup;
mod probe;
mod replay;
mod spec;
mod watchdog;
mod winsize;

use std::process::ExitCode;

/// Exit code of a helper that could not even report what went wrong.
const HELPER_FAILED: u8 = 125;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let role = args.next().unwrap_or_default();
    match role.to_str() {
        Some("align") => align::run(),
        Some("awake") => awake::run(args),
        Some("launch") => launch::run(),
        Some("probe") => probe::run(args),
        Some("replay") => replay::run(),
        Some("watchdog") => watchdog::run(args),
        Some("winsize") => winsize::run(args),
        _ => {
            eprintln!(
                "devdev-helper: started by devdev, not by hand \
                 (roles: align, awake, launch, probe, replay, watchdog, winsize)"
            );
            ExitCode::from(HELPER_FAILED)
        }
    }
}
