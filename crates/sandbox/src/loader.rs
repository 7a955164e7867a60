//! Makes handlers of components: from the cache, or by compiling them once.

use std::sync::Arc;
use std::time::Instant;

use floodgate_event::Digest256;
use tracing::warn;

use crate::cache::{Cache, Entry};
use crate::code::Code;
use crate::compiler::{self, CompileError, Compiler};
use crate::engine::Engine;
use crate::failures::Failures;
use crate::handler::{Handler, LoadError};

/// Makes handlers of components. Clones share the compiler and the cache.
#[derive(Clone, Debug)]
pub struct Loader(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    engine: Engine,
    compiler: Compiler,
    cache: Option<Cache>,
    compatibility: Digest256,
    failures: Failures,
}

impl Loader {
    /// How many compilations run at the same time. Others wait.
    pub const AT_ONCE: usize = compiler::AT_ONCE;

    /// Makes a loader for an engine. Without a cache, each process compiles its handlers anew.
    pub fn new(engine: Engine, compiler: Compiler, cache: Option<Cache>) -> Self {
        let compatibility = engine.compatibility();
        Self(Arc::new(Inner { engine, compiler, cache, compatibility, failures: Failures::default() }))
    }

    /// Returns the handler of this component if its code is in the cache. The component itself is not needed.
    pub async fn cached(&self, component: Digest256) -> Option<Handler> {
        self.0.cache.as_ref()?;
        self.blocking(move |inner| inner.cached(component)).await.flatten()
    }

    /// Compiles a component and keeps its code for the next start. If this fails, a later call tries again,
    /// after a pause that grows with each failure.
    ///
    /// # Errors
    /// If the component is no handler, or cannot be compiled within the limits, or an earlier try failed and
    /// the next one is not due yet.
    pub async fn compile(&self, digest: Digest256, component: Vec<u8>) -> Result<Handler, CompileError> {
        self.0.failures.check(digest, Instant::now())?;
        let compiled = self.compiled(digest, component).await;
        self.0.failures.note(digest, compiled.as_ref().err(), Instant::now());
        compiled
    }

    async fn compiled(&self, digest: Digest256, component: Vec<u8>) -> Result<Handler, CompileError> {
        let began = Instant::now();
        let code = self.0.compiler.compile(&self.0.engine, component).await?;
        let took = began.elapsed();
        let taken = self.blocking(move |inner| inner.take(digest, &code)).await;
        let handler = taken.ok_or(CompileError::Stopped)?.map_err(CompileError::Load)?;
        Ok(handler.compiled_in(took))
    }

    /// Runs work on a thread that may block. `None` if the runtime is stopping, or if the work panicked,
    /// which the panic hook reports.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> T + Send + 'static,
    ) -> Option<T> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&inner)).await.ok()
    }
}

impl Inner {
    fn cached(&self, component: Digest256) -> Option<Handler> {
        let (cache, entry) = (self.cache.as_ref()?, self.entry(component));
        let code = cache.get(&entry)?;
        match self.engine.adopt(&code) {
            Ok(handler) => Some(handler),
            Err(error) => {
                warn!(%component, %error, "a compiled handler does not load; it is compiled anew");
                cache.remove(&entry);
                None
            }
        }
    }

    /// Only code of a valid handler is kept.
    fn take(&self, component: Digest256, code: &Code) -> Result<Handler, LoadError> {
        let handler = self.engine.adopt(code)?;
        if let Some(cache) = &self.cache
            && let Err(error) = cache.put(&self.entry(component), code)
        {
            warn!(%component, %error, "a compiled handler is not kept");
        }
        Ok(handler)
    }

    fn entry(&self, component: Digest256) -> Entry {
        Entry { component, engine: self.compatibility }
    }
}

#[cfg(test)]
mod tests {
    use floodgate_event::seal::OpeningKey;

    use super::*;
    use crate::{InputLane, Limits, Outcome};
    use floodgate_sandbox_guests::{PASS, component};
    use prometheus::Registry;

    fn engine() -> Engine {
        Engine::new(Limits { instances: 16, ..Limits::default() }, &Registry::new()).unwrap()
    }

    fn input() -> crate::Input<'static> {
        crate::Input {
            id: "evt_00000000000000000000000001",
            tenant: "default",
            source: "test",
            type_: "push",
            provider_id: "",
            region: "eu",
            lane: InputLane::Standard,
            body: b"{}",
            received_at: 1,
            params: "{}",
        }
    }

    /// Compiles in this process. With an empty script, it must not compile at all.
    fn loader(folder: &std::path::Path, key: &OpeningKey, may_compile: bool) -> Loader {
        let cache = Cache::open(folder, 1 << 30, key).unwrap();
        let command = if may_compile { Vec::new() } else { vec!["/nowhere/compiler".into()] };
        Loader::new(engine(), Compiler::new(command), Some(cache))
    }

    #[tokio::test]
    async fn a_handler_from_the_cache_runs_without_component_and_compiler() {
        let (folder, key) = (tempfile::tempdir().unwrap(), OpeningKey::generate());
        let bytes = component(PASS);
        let digest = Digest256::of(&bytes);
        let first = loader(folder.path(), &key, true);
        assert!(first.cached(digest).await.is_none());
        let compiled = first.compile(digest, bytes).await.unwrap();
        assert!(compiled.compile_time().is_some());

        let again = loader(folder.path(), &key, false).cached(digest).await.unwrap();
        assert!(again.compile_time().is_none());
        assert_eq!(again.run(input(), &Default::default()).await.result, Ok(Outcome::Pass));
        assert!(loader(folder.path(), &OpeningKey::generate(), false).cached(digest).await.is_none());
    }

    #[tokio::test]
    async fn what_was_not_compiled_is_not_tried_at_once_again() {
        let folder = tempfile::tempdir().unwrap();
        let tries = folder.path().join("tries");
        let script = format!("echo try >>{}; exit 3", tries.display());
        let command = ["/bin/sh", "-c", &script].map(Into::into).to_vec();
        let loader = Loader::new(engine(), Compiler::new(command), None);
        let bytes = component(PASS);
        let digest = Digest256::of(&bytes);
        let first = loader.compile(digest, bytes.clone()).await.unwrap_err();
        assert!(matches!(first, CompileError::Ended(_)), "{first}");
        let again = loader.compile(digest, bytes).await.unwrap_err().to_string();
        assert_eq!(again, format!("{first}; tried once, and again after 30 s"));
        assert_eq!(std::fs::read_to_string(tries).unwrap(), "try\n");
    }

    #[tokio::test]
    async fn what_is_no_handler_is_not_kept() {
        let (folder, key) = (tempfile::tempdir().unwrap(), OpeningKey::generate());
        let bytes = wat::parse_str("(component)").unwrap();
        let loader = loader(folder.path(), &key, true);
        let refused = loader.compile(Digest256::of(&bytes), bytes).await;
        assert!(matches!(refused, Err(CompileError::Load(LoadError::Contract(_)))));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
