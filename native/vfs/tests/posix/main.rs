//! What POSIX and Linux promise, case by case, through the public face of the engine.

mod content;
mod control;
mod names;
mod setup;
mod time_travel;
mod waiting;
mod xattrs;
