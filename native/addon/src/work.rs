//! Work off the JavaScript thread: short work on libuv's pool, long work on threads of its own.

use std::thread;

use napi::bindgen_prelude::{AsyncTask, Object, ToNapiValue, TypeName};
use napi::{Env, Task};

use crate::failed::{Failed, Thrown, caught};

type Run<T> = Box<dyn FnOnce() -> Result<T, Failed> + Send>;

/// One operation on libuv's pool; its promise settles with the result.
pub struct Pooled<T> {
    run: Option<Run<T>>,
}

impl<T> Pooled<T>
where
    T: ToNapiValue + TypeName + Send + 'static,
{
    pub fn task(run: impl FnOnce() -> Result<T, Failed> + Send + 'static) -> AsyncTask<Pooled<T>> {
        AsyncTask::new(Pooled { run: Some(Box::new(run)) })
    }
}

impl<T> Task for Pooled<T>
where
    T: ToNapiValue + TypeName + Send + 'static,
{
    type Output = Result<T, Failed>;
    type JsValue = T;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        let run = self.run.take();
        Ok(run.map_or(Err(Failed::new("ERR_INTERNAL", "a task ran twice")), caught))
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> napi::Result<T> {
        output.map_err(|failed| failed.rejection(env))
    }
}

/// Runs `work` on a thread of its own; the promise settles with the result.
pub fn long<'env, T>(
    env: &'env Env,
    name: &str,
    work: impl FnOnce() -> Result<T, Failed> + Send + 'static,
) -> Result<Object<'env>, Thrown>
where
    T: ToNapiValue + Send + 'static,
{
    let (deferred, promise) = env.create_deferred().map_err(internal)?;
    let run = move || {
        let result = caught(work);
        deferred.resolve(move |env| result.map_err(|failed| failed.rejection(env)));
    };
    match thread::Builder::new().name(format!("devdev-{name}")).spawn(run) {
        Ok(_) => Ok(promise),
        Err(error) => Err(Failed::from(error).into()),
    }
}

/// A failure of napi itself.
pub fn internal(error: napi::Error) -> Thrown {
    Thrown::new("ERR_INTERNAL".to_owned(), error.reason)
}
