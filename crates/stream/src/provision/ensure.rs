//! Creates one stream or bucket if it is missing, and applies the configured replicas and size.

use std::time::Duration;

use async_nats::jetstream::stream::Config;
use async_nats::jetstream::{Context, kv, object_store};

use super::{ProvisionError, refused};
use crate::placement::Replicas;
use crate::reader::is_missing;

/// What an operator may choose for a stream. What is None stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Choices {
    /// How many replicas the stream has.
    pub(super) replicas: Option<Replicas>,
    /// The most bytes that the stream may hold.
    pub(super) max_bytes: Option<i64>,
    /// How long the stream keeps a message.
    pub(super) max_age: Option<Duration>,
    /// The writer of the stream needs atomic batches.
    pub(super) batches: bool,
}

impl Choices {
    /// The replicas of a new stream.
    fn num_replicas(self) -> usize {
        self.replicas.map_or(1, Replicas::count)
    }

    /// The configuration that an existing stream should have. None if it has it already.
    fn apply(self, current: &Config) -> Option<Config> {
        let replicas = self.replicas.map_or(current.num_replicas, Replicas::count);
        let max_bytes = self.max_bytes.unwrap_or(current.max_bytes);
        let wanted = Config {
            num_replicas: replicas,
            max_bytes,
            max_age: self.max_age.unwrap_or(current.max_age),
            allow_atomic_publish: current.allow_atomic_publish || self.batches,
            ..current.clone()
        };
        (wanted != *current).then_some(wanted)
    }
}

pub(super) async fn stream(context: &Context, config: Config, chosen: Choices) -> Result<(), ProvisionError> {
    let name = config.name.clone();
    if update_stream(context, &config, chosen).await? {
        return Ok(());
    }
    let max_bytes = chosen.max_bytes.unwrap_or(config.max_bytes);
    let max_age = chosen.max_age.unwrap_or(config.max_age);
    let config = Config { num_replicas: chosen.num_replicas(), max_bytes, max_age, ..config };
    let created = context.create_stream(config).await;
    created.map(drop).map_err(|error| refused(&name, error))
}

/// As [`update`], for a stream whose writer may need atomic batches.
pub(super) async fn update_stream(
    context: &Context,
    config: &Config,
    chosen: Choices,
) -> Result<bool, ProvisionError> {
    let chosen = Choices { batches: config.allow_atomic_publish, ..chosen };
    update(context, &config.name, chosen).await
}

pub(super) async fn bucket(
    context: &Context,
    config: kv::Config,
    chosen: Choices,
) -> Result<(), ProvisionError> {
    let name = format!("KV_{}", config.bucket);
    if update(context, &name, chosen).await? {
        return Ok(());
    }
    let config = kv::Config { num_replicas: chosen.num_replicas(), ..config };
    let created = context.create_key_value(config).await;
    created.map(drop).map_err(|error| refused(&name, error))
}

pub(super) async fn objects(context: &Context, bucket: &str, chosen: Choices) -> Result<(), ProvisionError> {
    let name = format!("OBJ_{bucket}");
    if update(context, &name, chosen).await? {
        return Ok(());
    }
    let bucket = bucket.to_owned();
    let config = object_store::Config { bucket, num_replicas: chosen.num_replicas(), ..Default::default() };
    let created = context.create_object_store(config).await;
    created.map(drop).map_err(|error| refused(&name, error))
}

/// Applies the choices to a stream and changes nothing else. Returns false if there is no such stream.
async fn update(context: &Context, name: &str, chosen: Choices) -> Result<bool, ProvisionError> {
    let current = match context.get_stream(name).await {
        Ok(stream) => stream.cached_info().config.clone(),
        Err(error) if is_missing(&error.kind()) => return Ok(false),
        Err(error) => return Err(refused(name, error)),
    };
    let Some(wanted) = chosen.apply(&current) else { return Ok(true) };
    context.update_stream(&wanted).await.map_err(|error| refused(name, error))?;
    tracing::info!(
        stream = name,
        replicas = wanted.num_replicas,
        replicas_before = current.num_replicas,
        max_bytes = wanted.max_bytes,
        max_bytes_before = current.max_bytes,
        "the stream was changed"
    );
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_chosen_changes() {
        let current =
            Config { num_replicas: 3, max_bytes: -1, description: Some("kept".into()), ..Config::default() };
        assert!(Choices::default().apply(&current).is_none(), "what an operator has set by hand stays");
        let three = Replicas::try_from(3).ok();
        assert!(Choices { replicas: three, ..Choices::default() }.apply(&current).is_none());
        let one = Choices { replicas: Replicas::try_from(1).ok(), max_bytes: Some(7), ..Choices::default() }
            .apply(&current)
            .unwrap();
        assert_eq!((one.num_replicas, one.max_bytes), (1, 7));
        assert_eq!(one.description, current.description);
    }
}
