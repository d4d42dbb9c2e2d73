//! napi-rs face of the engine, the bridge and the packer: converts values, decides nothing.
//!
//! Exports are plain functions over process-wide numbers (`registry`), so that worker threads
//! reach the same engine. Every export catches panics; errors carry a code and no more.

// What only the bridge reads.
#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

mod at_once;
mod by_file;
mod by_path;
mod clock;
#[cfg(target_os = "linux")]
mod code;
mod compare;
mod ending;
mod engine;
mod failed;
mod feed;
mod host_mount;
#[cfg(target_os = "linux")]
mod host_tree;
mod merge;
mod needs;
mod operation;
mod persist;
mod registry;
mod syncs;
mod transfer;
mod trees;
mod trim;
mod values;
mod work;
