//! Compiled handlers by digest: fetched once from the region's own store, compiled once, dropped when no
//! source binds them any more.

use std::collections::HashMap;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::ObjectStoreError;
use async_nats::jetstream::object_store::GetError;
use floodgate_event::Digest256;
use floodgate_event::snapshot::Snapshot;
use floodgate_event::subject;
use floodgate_sandbox::{CompileError, Handler, Loader};
use futures::{StreamExt as _, stream};
use tokio::io::AsyncReadExt as _;

/// Components that [`Components::single`] keeps. A replay needs one.
const MAX_SINGLE: usize = 4;

/// The compiled handlers of this gateway, by the digest of their component.
pub(super) struct Components {
    loader: Loader,
    loaded: HashMap<Digest256, Handler>,
}

impl Components {
    pub(super) fn new(loader: Loader) -> Self {
        Self { loader, loaded: HashMap::new() }
    }

    /// Loads the components that the snapshot names and that are not loaded yet, a few at a time. Returns
    /// those that could not be loaded.
    pub(super) async fn load(
        &mut self,
        context: &Context,
        snapshot: &Snapshot,
    ) -> HashMap<Digest256, ComponentError> {
        let missing = snapshot.handlers.iter().filter(|(digest, _)| !self.loaded.contains_key(digest));
        let loads = missing.map(|(&digest, component)| {
            let loader = self.loader.clone();
            async move { (digest, handler(&loader, context, digest, component.size).await) }
        });
        let loads: Vec<_> = loads.collect();
        let mut loads = stream::iter(loads).buffer_unordered(Loader::AT_ONCE);
        let mut failed = HashMap::new();
        while let Some((digest, loaded)) = loads.next().await {
            match loaded {
                Ok(handler) => drop(self.loaded.insert(digest, handler)),
                Err(error) => drop(failed.insert(digest, error)),
            }
        }
        failed
    }

    /// Loads one component, which no snapshot needs to name. Callers that do so have a set of their own.
    pub(super) async fn single(
        &mut self,
        context: &Context,
        digest: Digest256,
        size: u64,
    ) -> Result<Handler, ComponentError> {
        if self.loaded.len() >= MAX_SINGLE && !self.loaded.contains_key(&digest) {
            self.loaded.clear();
        }
        if let Some(handler) = self.loaded.get(&digest) {
            return Ok(handler.clone());
        }
        let handler = handler(&self.loader, context, digest, size).await?;
        self.loaded.insert(digest, handler.clone());
        Ok(handler)
    }

    pub(super) fn get(&self, digest: &Digest256) -> Option<Handler> {
        self.loaded.get(digest).cloned()
    }

    /// Drops the components that the snapshot does not name. Requests under way keep theirs.
    pub(super) fn retain(&mut self, snapshot: &Snapshot) {
        self.loaded.retain(|digest, _| snapshot.handlers.contains_key(digest));
    }
}

/// Takes the code from the cache. If it is not there, fetches and compiles the component.
async fn handler(
    loader: &Loader,
    context: &Context,
    digest: Digest256,
    size: u64,
) -> Result<Handler, ComponentError> {
    if let Some(handler) = loader.cached(digest).await {
        return Ok(handler);
    }
    let bytes = fetch(context, digest, size).await?;
    loader.compile(digest, bytes).await.map_err(|source| ComponentError::Load { digest, source })
}

/// Reads no more bytes than the snapshot announced, and accepts only those that match the digest.
async fn fetch(context: &Context, digest: Digest256, size: u64) -> Result<Vec<u8>, ComponentError> {
    let store = context.get_object_store(subject::HANDLERS_BUCKET).await.map_err(ComponentError::Store)?;
    let object =
        store.get(digest.to_string()).await.map_err(|source| ComponentError::Get { digest, source })?;
    let mut bytes = Vec::new();
    let mut bounded = object.take(size.saturating_add(1));
    bounded.read_to_end(&mut bytes).await.map_err(|source| ComponentError::Read { digest, source })?;
    if Digest256::of(&bytes) == digest { Ok(bytes) } else { Err(ComponentError::Altered { digest }) }
}

impl ComponentError {
    /// Returns true if another try would fail as well. A component that is missing or altered may still be
    /// restored.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Load { source, .. } => source.is_final(),
            Self::Store(_) | Self::Get { .. } | Self::Read { .. } | Self::Altered { .. } => false,
        }
    }
}

/// Why a component could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum ComponentError {
    #[error("handlers' store: {0}")]
    Store(#[source] ObjectStoreError),
    #[error("handler {digest}: {source}")]
    Get { digest: Digest256, source: GetError },
    #[error("handler {digest}: {source}")]
    Read { digest: Digest256, source: std::io::Error },
    #[error("handler {digest}: what is stored does not match its digest")]
    Altered { digest: Digest256 },
    #[error("handler {digest}: {source}")]
    Load { digest: Digest256, source: CompileError },
}
