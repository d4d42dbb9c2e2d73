//! One line per file operation: `operation!` makes its sync export and its promise, which runs
//! on libuv's pool.

/// `"doc" name / name_sync(args) own(buffers) -> Type as "ts", "Promise<ts>", |api| body`.
/// Arguments that are buffers are listed in `own(...)`: the promise works on copies.
macro_rules! operation {
    (
        $doc:literal
        $name:ident / $sync:ident ($($args:tt)*) own($($own:ident),*)
            -> $out:ident as $ts:literal, $promise:literal,
        |$api:ident| $body:expr
    ) => {
        #[doc = $doc]
        #[napi_derive::napi(catch_unwind, ts_return_type = $ts)]
        pub fn $sync(engine: u32, $($args)*) -> Result<$out, $crate::failed::Thrown> {
            let engine = $crate::registry::engine(engine)?;
            let $api = &engine.api;
            let result: Result<$out, $crate::failed::Failed> = $body;
            Ok(result?)
        }

        #[doc = $doc]
        #[napi_derive::napi(catch_unwind, ts_return_type = $promise)]
        pub fn $name(
            engine: u32,
            $($args)*
        ) -> Result<
            napi::bindgen_prelude::AsyncTask<$crate::work::Pooled<$out>>,
            $crate::failed::Thrown,
        > {
            let engine = $crate::registry::engine(engine)?;
            $(let $own = $own.to_vec();)*
            Ok($crate::work::Pooled::task(move || {
                let $api = &engine.api;
                $(let $own: &[u8] = &$own;)*
                $body
            }))
        }
    };
}

pub(crate) use operation;
