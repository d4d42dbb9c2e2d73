//! Steps of a longer history: operations on two directories that are equal and are to stay so.
//! Between them somebody else snapshots, restores and forks the one, and copies the other.

use std::path::Path;

use rustix::fs::Mode;

use devdev_vfs::api::API_UMASK;

use crate::differ::{self, Pair, compare_run};
use crate::op::Caps;
use crate::world::World;
use crate::{probe, tree};

/// Files up to here: copies of them are made again and again.
const BIG: u64 = 1 << 32;

/// Runs a sequence on both, compares what each operation gave, and the trees at the end.
pub fn advance(a: &Path, b: &Path, seed: u64, ops: usize) -> Result<String, String> {
    rustix::process::umask(Mode::from_raw_mode(API_UMASK));
    let failed = |e| format!("seed {seed}: the test itself failed: {e:?}");
    let pair = Pair { a: a.into(), b: Some(b.into()) };
    let caps = probe(&pair).map_err(failed)?;
    // As beside the engine: no mappings, whose times no copy keeps apart, and an owner who never
    // takes his own permission to copy.
    let caps = Caps { engine: true, tmpfile: false, big: caps.big.min(BIG), ..caps };
    let steps = differ::steps(seed, ops, caps);
    let mut a = World::open(a.into()).map_err(failed)?;
    let mut b = World::open(b.into()).map_err(failed)?;
    match compare_run(&mut a, &mut b, &steps, steps.len()).map_err(failed)? {
        None => Ok(format!("ok: {ops} operations, seed {seed}")),
        Some(found) => {
            let done = differ::replay(&steps[..=found.index]);
            let at = found.index;
            Err(format!("MISMATCH seed {seed} operation {at}: {}\n{done}", found.text))
        }
    }
}

/// Compares what is in two directories.
pub fn same(a: &Path, b: &Path) -> Result<String, String> {
    let capture = |path: &Path| World::view(path.into()).and_then(|world| tree::capture(&world));
    let failed = |e| format!("the test itself failed: {e:?}");
    let (a, b) = (capture(a).map_err(failed)?, capture(b).map_err(failed)?);
    let found = tree::compare(&a, &b);
    if found.is_empty() {
        return Ok(format!("ok: {} equal entries", a.nodes.len()));
    }
    Err(format!("DIFFERENT:\n  {}", found.join("\n  ")))
}
