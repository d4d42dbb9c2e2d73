//! Results of operations that may first need something from the store.

use std::sync::Arc;

use crate::chunk::Chunk;
use crate::errno::Result;
use crate::ids::BlockHash;

/// Something that has to come from the store before an operation can go on.
#[derive(Clone)]
pub enum Need {
    /// The bytes of this chunk (whose hash is known); `Vfs::supply_block` fills it.
    Block(Arc<Chunk>),
    /// The snapshot tree listed under this name; `Vfs::supply_snapshot` answers it.
    Snapshot(Box<[u8]>),
    /// Memory: frozen trees hold what the limits allow (see `room.rs`). Always alone.
    Room,
}

/// What tells needs apart.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum NeedKey {
    /// A block by its hash.
    Block(BlockHash),
    /// A snapshot by its name.
    Snapshot(Box<[u8]>),
}

/// What an operation that may wait comes to.
pub enum Outcome<T> {
    /// It is done.
    Done(T),
    /// Nothing was changed; try again when these have arrived.
    Wait(Vec<Need>),
}

/// Result of an operation that may wait.
pub type Waitable<T> = Result<Outcome<T>>;

/// Called once, when all needs of a waiter are met or one has failed. May be called on the
/// thread that supplies: it must not block.
pub type Waker = Box<dyn FnOnce(Result<()>) + Send>;

/// Where needs are asked for; must not block and must not call back into the engine on the
/// same stack.
pub trait Loader: Send + Sync {
    /// Starts fetching. The answer comes through `Vfs::supply_block`, `Vfs::supply_snapshot` or
    /// `Vfs::fail_need`. Asked once per need, however many wait for it.
    fn load(&self, keys: &[NeedKey]);
}
