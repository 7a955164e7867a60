//! One stream or bucket: made if it is missing, and brought to what the
//! configuration says of replicas and size.

use async_nats::jetstream::stream::Config;
use async_nats::jetstream::{Context, kv, object_store};

use super::{ProvisionError, refused};
use crate::placement::Replicas;
use crate::reader::is_missing;

/// What an operator may choose of a stream; what is left out stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chosen {
    /// On how many servers it is kept.
    pub(super) replicas: Option<Replicas>,
    /// How many bytes it may hold.
    pub(super) max_bytes: Option<i64>,
    /// Whether its one writer needs atomic batches.
    pub(super) batches: bool,
}

impl Chosen {
    /// Replicas of a stream that is made now.
    fn num_replicas(self) -> usize {
        self.replicas.map_or(1, Replicas::count)
    }

    /// What a stream is to be brought to; `None` if it is there.
    fn apply(self, current: &Config) -> Option<Config> {
        let replicas = self.replicas.map_or(current.num_replicas, Replicas::count);
        let max_bytes = self.max_bytes.unwrap_or(current.max_bytes);
        let wanted = Config {
            num_replicas: replicas,
            max_bytes,
            allow_atomic_publish: current.allow_atomic_publish || self.batches,
            ..current.clone()
        };
        (wanted != *current).then_some(wanted)
    }
}

pub(super) async fn stream(context: &Context, config: Config, chosen: Chosen) -> Result<(), ProvisionError> {
    let name = config.name.clone();
    if bring_stream(context, &config, chosen).await? {
        return Ok(());
    }
    let max_bytes = chosen.max_bytes.unwrap_or(config.max_bytes);
    let config = Config { num_replicas: chosen.num_replicas(), max_bytes, ..config };
    let created = context.create_stream(config).await;
    created.map(drop).map_err(|error| refused(&name, error))
}

/// As [`bring`], of a stream whose writer may need atomic batches.
pub(super) async fn bring_stream(
    context: &Context,
    config: &Config,
    chosen: Chosen,
) -> Result<bool, ProvisionError> {
    let chosen = Chosen { batches: config.allow_atomic_publish, ..chosen };
    bring(context, &config.name, chosen).await
}

pub(super) async fn bucket(
    context: &Context,
    config: kv::Config,
    chosen: Chosen,
) -> Result<(), ProvisionError> {
    let name = format!("KV_{}", config.bucket);
    if bring(context, &name, chosen).await? {
        return Ok(());
    }
    let config = kv::Config { num_replicas: chosen.num_replicas(), ..config };
    let created = context.create_key_value(config).await;
    created.map(drop).map_err(|error| refused(&name, error))
}

pub(super) async fn objects(context: &Context, bucket: &str, chosen: Chosen) -> Result<(), ProvisionError> {
    let name = format!("OBJ_{bucket}");
    if bring(context, &name, chosen).await? {
        return Ok(());
    }
    let bucket = bucket.to_owned();
    let config = object_store::Config { bucket, num_replicas: chosen.num_replicas(), ..Default::default() };
    let created = context.create_object_store(config).await;
    created.map(drop).map_err(|error| refused(&name, error))
}

/// Brings a stream to what was chosen; false if there is none. Everything else of it is left alone.
async fn bring(context: &Context, name: &str, chosen: Chosen) -> Result<bool, ProvisionError> {
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
        assert!(Chosen::default().apply(&current).is_none(), "what an operator has set by hand stays");
        let three = Replicas::try_from(3).ok();
        assert!(Chosen { replicas: three, ..Chosen::default() }.apply(&current).is_none());
        let one = Chosen { replicas: Replicas::try_from(1).ok(), max_bytes: Some(7), batches: false }
            .apply(&current)
            .unwrap();
        assert_eq!((one.num_replicas, one.max_bytes), (1, 7));
        assert_eq!(one.description, current.description);
    }
}
