//! The engine's clock: the system's, or the time that JavaScript set last.

use std::sync::{PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use devdev_vfs::{Clock, Timespec};

/// A clock that can be stopped at a given time.
#[derive(Default)]
pub struct SettableClock {
    fixed: RwLock<Option<Timespec>>,
}

impl SettableClock {
    pub fn set(&self, time: Timespec) {
        *self.fixed.write().unwrap_or_else(PoisonError::into_inner) = Some(time);
    }
}

impl Clock for SettableClock {
    fn now(&self) -> Timespec {
        let fixed = *self.fixed.read().unwrap_or_else(PoisonError::into_inner);
        fixed.unwrap_or_else(system_time)
    }
}

pub fn system_time() -> Timespec {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Timespec { secs: since.as_secs() as i64, nanos: since.subsec_nanos() },
        // A host clock before 1970: whole seconds are exact enough.
        Err(before) => Timespec { secs: -(before.duration().as_secs() as i64), nanos: 0 },
    }
}
