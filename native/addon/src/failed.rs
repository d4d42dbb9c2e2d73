//! How a failure reaches JavaScript: a code, and beside it the step or the sentence. Nothing
//! else crosses; packages/vfs builds the errors that callers see.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use devdev_vfs::Errno;
use devdev_vfs::api::Failure;
use napi::{Env, JsError};

/// The error type of every export: thrown as a JavaScript Error with this `code`.
pub type Thrown = napi::Error<String>;

/// A failure on its way to JavaScript.
#[derive(Clone, Debug)]
pub struct Failed {
    /// `error.code`: an errno name or ERR_*.
    pub code: String,
    /// `error.message`: of an errno the step that failed, else a sentence.
    pub message: String,
}

impl Failed {
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Failed {
        Failed { code: code.into(), message: message.into() }
    }

    /// As the rejection of a promise that napi settles.
    pub fn rejection(self, env: Env) -> napi::Error {
        let error = JsError::from(Thrown::from(self)).into_unknown(env);
        napi::Error::from(error)
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Failed {
        Failed::new(failure.errno.name(), failure.step)
    }
}

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Failed {
        Failed::new(errno.name(), "")
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Failed {
        Failed::new("ERR_SYSTEM", error.to_string())
    }
}

impl From<Failed> for Thrown {
    fn from(failed: Failed) -> Thrown {
        Thrown::new(failed.code, failed.message)
    }
}

/// Runs `work`; a panic becomes a failure, so that it ends one call and not the process.
pub fn caught<T>(work: impl FnOnce() -> Result<T, Failed>) -> Result<T, Failed> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(Failed::new("ERR_INTERNAL", format!("the engine panicked: {}", text(&*panic))))
    })
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
