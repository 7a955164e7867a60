//! Stores the components of handlers in object buckets, in the centre and in each region. An object's name is
//! the hex of its SHA-256, so that its content never changes.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::ObjectStoreError;
use async_nats::jetstream::object_store::{
    GetError, InfoError, InfoErrorKind, ObjectMetadata, ObjectStore, PutError,
};
use bytes::Bytes;
use floodgate_event::Digest256;
use floodgate_event::subject;
use tokio::io::AsyncReadExt;

/// The largest component that is accepted, in bytes. One made from Python has 18 MiB.
pub const MAX_COMPONENT_BYTES: usize = 32 * 1024 * 1024;
/// How long it may take to read or write one component. The library's reads can wait for ever.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes per message: large enough that 32 MiB are few round trips, well below the servers' 8 MiB.
const CHUNK_BYTES: usize = 1024 * 1024;

/// The object bucket of the centre, or of a region.
pub(crate) struct Components(ObjectStore);

impl Components {
    pub(crate) async fn open(context: &Context) -> Result<Self, ComponentError> {
        context.get_object_store(subject::HANDLERS_BUCKET).await.map(Self).map_err(ComponentError::Bucket)
    }

    /// Returns true if a component of this size is there. Its description is written after its last byte, so
    /// that a copy that was cut off does not count.
    pub(crate) async fn has(&self, digest: Digest256, size: u64) -> Result<bool, ComponentError> {
        match self.0.info(digest.to_string()).await {
            Ok(info) => Ok(!info.deleted && info.size as u64 == size),
            Err(error) if error.kind() == InfoErrorKind::NotFound => Ok(false),
            Err(error) => Err(ComponentError::Info(error)),
        }
    }

    /// Writes a component, unless it is there. It is durable when this returns.
    pub(crate) async fn put(&self, digest: Digest256, component: &Bytes) -> Result<(), ComponentError> {
        if self.has(digest, component.len() as u64).await? {
            return Ok(());
        }
        let object = ObjectMetadata {
            name: digest.to_string(),
            chunk_size: Some(CHUNK_BYTES),
            ..ObjectMetadata::default()
        };
        let mut bytes: &[u8] = component;
        let write = self.0.put(object, &mut bytes);
        tokio::time::timeout(TRANSFER_TIMEOUT, write).await.map_err(|_| ComponentError::TimedOut)??;
        Ok(())
    }

    /// Reads a component and checks its digest.
    pub(crate) async fn get(&self, digest: Digest256) -> Result<Bytes, ComponentError> {
        let read = tokio::time::timeout(TRANSFER_TIMEOUT, self.read(digest));
        let bytes = read.await.map_err(|_| ComponentError::TimedOut)??;
        if Digest256::of(&bytes) == digest {
            Ok(bytes.into())
        } else {
            Err(ComponentError::DigestMismatch(digest))
        }
    }

    async fn read(&self, digest: Digest256) -> Result<Vec<u8>, ComponentError> {
        let object = self.0.get(digest.to_string()).await.map_err(ComponentError::Get)?;
        let mut bytes = Vec::new();
        // One byte more than allowed, so that a longer component does not pass for a whole one.
        object
            .take(MAX_COMPONENT_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .await
            .map_err(ComponentError::Read)?;
        Ok(bytes)
    }
}

/// Why a component could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// The bucket is out of reach, or does not exist.
    #[error("the bucket of components cannot be opened")]
    Bucket(#[source] ObjectStoreError),
    /// The bucket did not say whether it has the component.
    #[error("a component cannot be looked up")]
    Info(#[source] InfoError),
    /// The component is not in the bucket, or the bucket is out of reach.
    #[error("a component cannot be opened")]
    Get(#[source] GetError),
    /// The component's bytes stopped before its end.
    #[error("a component cannot be read")]
    Read(#[source] std::io::Error),
    /// The component could not be stored.
    #[error("a component cannot be written")]
    Put(#[from] PutError),
    /// Reading or writing took longer than 60 s.
    #[error("a component was not read or written within {} s", TRANSFER_TIMEOUT.as_secs())]
    TimedOut,
    /// The component's bytes are not those that its name says.
    #[error("component {0} does not match its digest")]
    DigestMismatch(Digest256),
}
