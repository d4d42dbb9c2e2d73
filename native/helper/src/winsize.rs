//! The winsize role: `devdev-helper winsize COLS ROWS` sets the size of the terminal that is
//! its standard input. Node has no ioctl; the kernel tells the foreground group (SIGWINCH).

use std::ffi::OsString;
use std::process::ExitCode;

use rustix::termios::{Winsize, tcsetwinsize};

use crate::HELPER_FAILED;

pub fn run(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let mut number = || args.next()?.to_str()?.parse::<u16>().ok();
    let (Some(cols), Some(rows)) = (number(), number()) else {
        return ExitCode::from(HELPER_FAILED);
    };
    match tcsetwinsize(rustix::stdio::stdin(), winsize(cols, rows)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(HELPER_FAILED),
    }
}

/// A size in characters; the pixel fields are unknown, which is 0.
pub fn winsize(cols: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 }
}
