//! Turns a snapshot into a [`Served`] configuration: all of it, or none of it.

use std::collections::HashMap;
use std::sync::Arc;

use async_nats::SubscribeError;
use async_nats::jetstream::{self, Context};
use floodgate_event::seal::{OpeningKey, Owner, SealError};
use floodgate_event::snapshot::{self, Digest256, Snapshot};
use floodgate_event::{Name, Secret};

use super::components::{ComponentError, Components};
use super::served::{Limiter, Served, Source};
use crate::config::{Config, Limits};
use crate::enqueue::Enqueue;
use crate::handle::{Chain, Engine};
use crate::link::Link;
use crate::metrics::Metrics;
use crate::verify::{Deployment, InvalidSecret, Verifier};

/// Opens snapshots.
pub(super) struct Opener {
    region: Name,
    gateway: Name,
    limits: Limits,
    key: OpeningKey,
    link: Link,
    context: Context,
    engine: Engine,
    components: Components,
    metrics: Arc<Metrics>,
    /// Started by the first snapshot, which says how many shards there are.
    enqueue: Option<Arc<Enqueue>>,
}

impl Opener {
    pub(super) fn new(
        config: &Config,
        link: Link,
        engine: Engine,
        metrics: Arc<Metrics>,
        components: Components,
    ) -> Self {
        Self {
            region: config.region.clone(),
            gateway: config.gateway.clone(),
            limits: config.limits.clone(),
            key: config.opening_key.clone(),
            context: jetstream::new(link.client().clone()),
            link,
            engine,
            components,
            metrics,
            enqueue: None,
        }
    }

    /// Opens a snapshot; `before` is what is served now.
    ///
    /// # Errors
    /// If any part of it is not there or cannot be used. Nothing has changed then.
    pub(super) async fn open(
        &mut self,
        snapshot: &Snapshot,
        before: Option<&Served>,
    ) -> Result<Served, OpenError> {
        self.check(snapshot)?;
        self.components.load(&self.context, snapshot).await?;
        let mut sources = HashMap::new();
        for (name, source) in &snapshot.sources {
            let limiter =
                before.and_then(|served| served.source(name)).and_then(|source| source.limiter.clone());
            let opened = self.source(name, source, snapshot, limiter)?;
            sources.insert(name.clone(), Arc::new(opened));
        }
        let enqueue = self.enqueue(snapshot.shards).await?;
        self.components.retain(snapshot);
        self.metrics.config_revision.set(i64::try_from(snapshot.revision).unwrap_or(i64::MAX));
        Ok(Served {
            revision: snapshot.revision,
            confirmed_at_us: snapshot.created_at_us,
            sources: Arc::new(sources),
            enqueue,
        })
    }

    fn check(&self, snapshot: &Snapshot) -> Result<(), OpenError> {
        if snapshot.region != self.region {
            return Err(OpenError::Region(snapshot.region.clone()));
        }
        let running = self.enqueue.as_ref().map(|enqueue| enqueue.shards());
        if snapshot.shards == 0 || running.is_some_and(|shards| shards != snapshot.shards) {
            return Err(OpenError::Shards(snapshot.shards));
        }
        Ok(())
    }

    fn source(
        &self,
        name: &Name,
        source: &snapshot::Source,
        snapshot: &Snapshot,
        limiter: Option<Arc<Limiter>>,
    ) -> Result<Source, OpenError> {
        let deployment =
            Deployment { region: self.region.clone(), revision: snapshot.revision, shards: snapshot.shards };
        let secrets = self.secrets(name, source)?;
        let verifier = Verifier::new(name.clone(), source, secrets, deployment)
            .map_err(|fault| OpenError::Secret { source_name: name.clone(), fault })?;
        let limit = source.intake.rate_limit;
        let kept = limiter.filter(|limiter| Some(limiter.limit()) == limit);
        Ok(Source {
            chain: self.chain(name, source)?,
            limiter: kept.or_else(|| limit.map(|limit| Arc::new(Limiter::new(limit)))),
            metrics: self.metrics.source(name),
            name: name.clone(),
            verifier,
        })
    }

    fn secrets(&self, name: &Name, source: &snapshot::Source) -> Result<Vec<(String, Secret)>, OpenError> {
        let owner = Owner { tenant: &source.tenant, kind: "source", name, field: "secrets" };
        let open = |sealed: &snapshot::SealedSecret| {
            let secret = self.key.open(&sealed.secret, owner);
            let secret = secret.map_err(|fault| OpenError::Sealed { source_name: name.clone(), fault })?;
            Ok((sealed.id.clone(), secret))
        };
        source.secrets.iter().map(open).collect()
    }

    fn chain(&self, name: &Name, source: &snapshot::Source) -> Result<Chain, OpenError> {
        let link = |binding: &snapshot::Binding| {
            let handler = self.components.get(&binding.digest);
            let missing = || OpenError::Unnamed { source_name: name.clone(), digest: binding.digest };
            Ok((binding.clone(), handler.ok_or_else(missing)?))
        };
        let links = source.handlers.iter().map(link).collect::<Result<_, OpenError>>()?;
        Ok(Chain::new(&self.engine, links, source.intake.raw))
    }

    async fn enqueue(&mut self, shards: u32) -> Result<Arc<Enqueue>, OpenError> {
        if let Some(enqueue) = &self.enqueue {
            return Ok(Arc::clone(enqueue));
        }
        let started =
            Enqueue::start(&self.link, &self.region, &self.gateway, shards, &self.limits, &self.metrics)
                .await;
        let enqueue = Arc::new(started.map_err(OpenError::Subscribe)?);
        self.enqueue = Some(Arc::clone(&enqueue));
        Ok(enqueue)
    }
}

impl OpenError {
    /// Whether trying again is of no use.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Component(error) => error.is_final(),
            Self::Subscribe(_) => false,
            Self::Region(_)
            | Self::Shards(_)
            | Self::Sealed { .. }
            | Self::Secret { .. }
            | Self::Unnamed { .. } => true,
        }
    }
}

/// Why a snapshot is not served. Says nothing of any secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("the snapshot is for region {0}")]
    Region(Name),
    #[error(
        "the snapshot has {0} shards; their number cannot change under a running gateway, and is at least 1"
    )]
    Shards(u32),
    #[error(transparent)]
    Component(#[from] ComponentError),
    #[error("source {source_name}: {fault}")]
    Sealed { source_name: Name, fault: SealError },
    #[error("source {source_name}: {fault}")]
    Secret { source_name: Name, fault: InvalidSecret },
    #[error("source {source_name} binds handler {digest}, which the snapshot does not list")]
    Unnamed { source_name: Name, digest: Digest256 },
    #[error("cannot subscribe for publish acks: {0}")]
    Subscribe(#[source] SubscribeError),
}
