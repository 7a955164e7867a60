//! Turns a snapshot into a [`Served`] configuration: all of it, or none of it.

use std::collections::HashMap;
use std::sync::Arc;

use async_nats::SubscribeError;
use async_nats::jetstream::{self, Context};
use floodgate_event::seal::{Owner, SealError};
use floodgate_event::snapshot::{self, Snapshot};
use floodgate_event::{Name, Secret};
use tokio::sync::watch;

use super::bind::{BindError, Binder, InUse};
use super::components::{ComponentError, Components};
use super::key_ring::KeyRing;
use super::served::{Limiter, Served, Source};
use crate::config::{Config, Limits};
use crate::enqueue::Enqueue;
use crate::handle::Chain;
use crate::link::Link;
use crate::metrics::Metrics;
use crate::verify::{Deployment, InvalidSecret, Verifier};
use floodgate_event::LogRate;

/// Opens snapshots.
pub(super) struct Opener {
    region: Name,
    gateway: Name,
    limits: Limits,
    ring: watch::Receiver<KeyRing>,
    link: Link,
    context: Context,
    components: Components,
    binder: Binder,
    metrics: Arc<Metrics>,
    /// Started by the first snapshot, which says how many shards there are.
    enqueue: Option<Arc<Enqueue>>,
}

impl Opener {
    pub(super) fn new(
        config: &Config,
        ring: watch::Receiver<KeyRing>,
        link: Link,
        metrics: Arc<Metrics>,
        components: Components,
        binder: Binder,
    ) -> Self {
        Self {
            region: config.region.clone(),
            gateway: config.gateway.clone(),
            limits: config.limits.clone(),
            ring,
            context: jetstream::new(link.client().clone()),
            link,
            components,
            binder,
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
        let mut used = InUse::default();
        for (name, source) in &snapshot.sources {
            let limiter =
                before.and_then(|served| served.source(name)).and_then(|source| source.limiter.clone());
            let opened = self.source(name, source, snapshot, limiter, &mut used)?;
            sources.insert(name.clone(), Arc::new(opened));
        }
        let enqueue = self.enqueue(snapshot.shards).await?;
        self.components.retain(snapshot);
        self.binder.sweep();
        self.metrics.config_revision.set(i64::try_from(snapshot.revision).unwrap_or(i64::MAX));
        Ok(Served {
            revision: snapshot.revision,
            confirmed_at_us: snapshot.created_at_us,
            sources: Arc::new(sources),
            used: Arc::new(used),
            enqueue,
        })
    }

    /// Tells when what was sealed to nobody here may open.
    pub(super) fn ring(&self) -> watch::Receiver<KeyRing> {
        self.ring.clone()
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
        &mut self,
        name: &Name,
        source: &snapshot::Source,
        snapshot: &Snapshot,
        limiter: Option<Arc<Limiter>>,
        used: &mut InUse,
    ) -> Result<Source, OpenError> {
        let deployment =
            Deployment { region: self.region.clone(), revision: snapshot.revision, shards: snapshot.shards };
        let secrets = self.secrets(name, source)?;
        let verifier = Verifier::new(name.clone(), source, secrets, deployment)
            .map_err(|fault| OpenError::Secret { source_name: name.clone(), fault })?;
        let limit = source.intake.rate_limit;
        let kept = limiter.filter(|limiter| Some(limiter.limit()) == limit);
        Ok(Source {
            chain: self.chain(name, source, used)?,
            limiter: kept.or_else(|| limit.map(|limit| Arc::new(Limiter::new(limit)))),
            metrics: self.metrics.source(name),
            refusals: LogRate::new(),
            name: name.clone(),
            verifier,
        })
    }

    fn secrets(&self, name: &Name, source: &snapshot::Source) -> Result<Vec<(String, Secret)>, OpenError> {
        let open = |sealed: &snapshot::SealedSecret| {
            Ok((sealed.id.clone(), self.secret(name, source, sealed, snapshot::SECRETS)?))
        };
        source.secrets.iter().map(open).collect()
    }

    fn keys_of(&self, name: &Name, source: &snapshot::Source) -> Result<HashMap<Name, Secret>, OpenError> {
        let open = |(key, sealed): (&Name, _)| {
            Ok((key.clone(), self.secret(name, source, sealed, &snapshot::key_field(key))?))
        };
        source.keys.iter().map(open).collect()
    }

    fn secret(
        &self,
        name: &Name,
        source: &snapshot::Source,
        sealed: &snapshot::SealedSecret,
        field: &str,
    ) -> Result<Secret, OpenError> {
        let owner = Owner { tenant: &source.tenant, kind: "source", name, field };
        let secret = self.ring.borrow().open(&sealed.secret, owner);
        secret.map_err(|fault| OpenError::Sealed { source_name: name.clone(), fault })
    }

    fn chain(
        &mut self,
        name: &Name,
        source: &snapshot::Source,
        used: &mut InUse,
    ) -> Result<Chain, OpenError> {
        let keys = self.keys_of(name, source)?;
        let mut links = Vec::with_capacity(source.handlers.len());
        for binding in &source.handlers {
            let link = self.binder.link(binding, &keys, &self.components, used);
            links.push(link.map_err(|fault| OpenError::Bind { source_name: name.clone(), fault })?);
        }
        Ok(Chain::new(links, source.intake.raw, self.binder.tap()))
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
            | Self::Bind { .. } => true,
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
    #[error("source {source_name}: {fault}")]
    Bind { source_name: Name, fault: BindError },
    #[error("cannot subscribe for publish acks: {0}")]
    Subscribe(#[source] SubscribeError),
}
