//! Process-wide numbers for engines and trees, so that every thread of the process reaches the
//! same object by a number that can be posted to a worker.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock, Weak};

use devdev_vfs::Tree;

use crate::engine::Engine;
use crate::failed::Failed;

/// Objects of one kind by number. A number is never reused.
pub struct Registry<T> {
    noun: &'static str,
    next: AtomicU32,
    items: RwLock<HashMap<u32, Arc<T>>>,
}

impl<T> Registry<T> {
    fn new(noun: &'static str) -> Registry<T> {
        Registry { noun, next: AtomicU32::new(1), items: RwLock::default() }
    }

    pub fn add(&self, item: Arc<T>) -> u32 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.items.write().unwrap_or_else(PoisonError::into_inner).insert(number, item);
        number
    }

    pub fn get(&self, number: u32) -> Result<Arc<T>, Failed> {
        let items = self.items.read().unwrap_or_else(PoisonError::into_inner);
        let gone = || Failed::new("ERR_CLOSED", format!("{} {number} is closed", self.noun));
        items.get(&number).cloned().ok_or_else(gone)
    }

    pub fn all(&self) -> Vec<Arc<T>> {
        let items = self.items.read().unwrap_or_else(PoisonError::into_inner);
        items.values().cloned().collect()
    }

    pub fn remove(&self, number: u32) -> Option<Arc<T>> {
        self.items.write().unwrap_or_else(PoisonError::into_inner).remove(&number)
    }
}

/// A frozen tree as JavaScript holds it.
pub struct TreeHandle {
    pub tree: Arc<Tree>,
    // Not an owner: a tree that is kept must not keep a closed engine's state in memory.
    store: RwLock<Weak<Engine>>,
}

impl TreeHandle {
    pub fn new(tree: Arc<Tree>, store: Weak<Engine>) -> TreeHandle {
        TreeHandle { tree, store: RwLock::new(store) }
    }

    /// Through whose store bytes come that are not in memory.
    pub fn store(&self) -> Weak<Engine> {
        self.store.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn load_through(&self, engine: &Arc<Engine>) {
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(engine);
    }
}

pub static ENGINES: LazyLock<Registry<Engine>> = LazyLock::new(|| Registry::new("engine"));
pub static TREES: LazyLock<Registry<TreeHandle>> = LazyLock::new(|| Registry::new("tree"));

/// The engine of this number.
pub fn engine(number: u32) -> Result<Arc<Engine>, Failed> {
    ENGINES.get(number)
}

/// The tree of this number.
pub fn tree(number: u32) -> Result<Arc<TreeHandle>, Failed> {
    TREES.get(number)
}
