//! Turns a snapshot into a [`Served`] configuration:
//! all of it but the sources that this gateway cannot serve.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::SubscribeError;
use async_nats::jetstream::{self, Context};
use floodgate_event::seal::{Owner, SealError};
use floodgate_event::snapshot::{self, Digest256, Snapshot};
use floodgate_event::{LogRate, Name, Secret};
use tokio::sync::watch;

use super::bind::{BindError, Binder, InUse};
use super::components::ComponentError;
use super::key_ring::KeyRing;
use super::served::{Limiter, Refused, Served, Source};
use crate::chain::Chain;
use crate::config::{Config, Limits};
use crate::enqueue::{Enqueue, Origin};
use crate::metrics::{Metrics, SourceMetrics};
use crate::nats::Connection;
use crate::verify::{Deployment, InvalidSecret, Verifier};

/// How long a gateway that starts waits for components that may still be had.
const START_PATIENCE: Duration = Duration::from_secs(15);

/// Opens snapshots.
pub(super) struct Opener {
    region: Name,
    gateway: Name,
    limits: Limits,
    ring: watch::Receiver<KeyRing>,
    nats: Connection,
    context: Context,
    binder: Binder,
    metrics: Arc<Metrics>,
    started: Instant,
    /// Started by the first snapshot, which says how many shards there are.
    enqueue: Option<Arc<Enqueue>>,
}

impl Opener {
    pub(super) fn new(
        config: &Config,
        ring: watch::Receiver<KeyRing>,
        nats: Connection,
        metrics: Arc<Metrics>,
        binder: Binder,
    ) -> Self {
        Self {
            region: config.region.clone(),
            gateway: config.gateway.clone(),
            limits: config.limits.clone(),
            ring,
            context: jetstream::new(nats.client().clone()),
            nats,
            binder,
            metrics,
            started: Instant::now(),
            enqueue: None,
        }
    }

    /// Opens a snapshot; `before` is what is served now. A source that cannot be used keeps back no other:
    /// it is served [as it was](Self::as_before) where that may be, and is refused by name in any case.
    ///
    /// # Errors
    /// If the snapshot as a whole cannot be used. Nothing has changed then.
    pub(super) async fn open(
        &mut self,
        snapshot: &Snapshot,
        before: Option<&Served>,
    ) -> Result<Served, OpenError> {
        self.check(snapshot)?;
        let failed = self.binder.components().load(&self.context, snapshot).await;
        let (mut sources, mut refused) = (HashMap::new(), BTreeMap::new());
        let mut used = InUse::default();
        for (name, source) in &snapshot.sources {
            let served = before.and_then(|served| served.source(name)).map(Arc::as_ref);
            let opened = match self.source((name, source), snapshot, served, &failed) {
                Ok(opened) => Some(opened),
                Err(Unopened { verified, fault }) => {
                    let (reason, is_final) = (fault.to_string(), fault.is_final());
                    refused.insert(name.clone(), Refused { reason, is_final });
                    served.and_then(|served| self.as_before(source, served, verified))
                }
            };
            if let Some((source, own)) = opened {
                used.add(own);
                sources.insert(name.clone(), Arc::new(source));
            }
        }
        if before.is_none() {
            self.may_begin_without(&refused)?;
        }
        let enqueue = self.enqueue(snapshot.shards).await?;
        self.binder.components().retain(snapshot);
        self.binder.sweep();
        self.metrics.config_revision.set(i64::try_from(snapshot.revision).unwrap_or(i64::MAX));
        self.metrics.config_refused.set(i64::try_from(refused.len()).unwrap_or(i64::MAX));
        Ok(Served {
            revision: snapshot.revision,
            confirmed_at_us: snapshot.created_at_us,
            sources: Arc::new(sources),
            refused: Arc::new(refused),
            used: Arc::new(used),
            enqueue,
        })
    }

    /// A gateway that starts is not ready before it can serve what it may soon be able to:
    /// until then others take its requests. But it does not wait for ever for one source.
    fn may_begin_without(&self, refused: &BTreeMap<Name, Refused>) -> Result<(), OpenError> {
        let passing = refused.iter().find(|(_, refused)| !refused.is_final);
        match passing.filter(|_| self.started.elapsed() < START_PATIENCE) {
            Some((source, refused)) => {
                Err(OpenError::Source { source_name: source.clone(), reason: refused.reason.clone() })
            }
            None => Ok(()),
        }
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
        (name, source): (&Name, &snapshot::Source),
        snapshot: &Snapshot,
        before: Option<&Source>,
        failed: &HashMap<Digest256, ComponentError>,
    ) -> Result<(Source, InUse), Unopened> {
        let verified = self.verified(name, source, snapshot, before).map_err(Unopened::unverified)?;
        let mut used = InUse::default();
        match self.chain(name, source, failed, &mut used) {
            Ok(chain) => Ok((verified.with(Arc::new(chain)), used)),
            Err(fault) => Err(Unopened { verified: Some(Box::new(verified)), fault }),
        }
    }

    /// Everything of a source but its handlers.
    fn verified(
        &self,
        name: &Name,
        source: &snapshot::Source,
        snapshot: &Snapshot,
        before: Option<&Source>,
    ) -> Result<Verified, SourceError> {
        let deployment =
            Deployment { region: self.region.clone(), revision: snapshot.revision, shards: snapshot.shards };
        let secrets = self.secrets(name, source)?;
        let verifier =
            Verifier::new(name.clone(), source, secrets, deployment).map_err(SourceError::Secret)?;
        let limit = source.intake.rate_limit;
        let limiter = before.and_then(|before| before.limiter.clone());
        let kept = limiter.filter(|limiter| Some(limiter.limit()) == limit);
        Ok(Verified {
            limiter: kept.or_else(|| limit.map(|limit| Arc::new(Limiter::new(limit)))),
            metrics: self.metrics.source(name),
            refusals: before.map_or_else(|| Arc::new(LogRate::new()), |before| Arc::clone(&before.refusals)),
            name: name.clone(),
            secret_ids: source.secrets.iter().map(|secret| secret.id.clone()).collect(),
            verifier: Arc::new(verifier),
        })
    }

    /// What is served of a source that cannot be served as it is configured.
    /// If only its handlers cannot be bound, those from before go on, behind the secrets and limits of now.
    /// If its secrets cannot be used, it goes on as a whole, unless a secret was taken out meanwhile:
    /// what signs with that one must not be let in any more.
    fn as_before(
        &self,
        source: &snapshot::Source,
        before: &Source,
        verified: Option<Box<Verified>>,
    ) -> Option<(Source, InUse)> {
        let used = InUse::of(&before.chain);
        if let Some(verified) = verified {
            return Some((verified.with(Arc::clone(&before.chain)), used));
        }
        let stays = |id: &String| source.secrets.iter().any(|secret| secret.id == *id);
        before.secret_ids.iter().all(stays).then(|| (before.clone(), used))
    }

    fn secrets(&self, name: &Name, source: &snapshot::Source) -> Result<Vec<(String, Secret)>, SourceError> {
        let open = |sealed: &snapshot::SealedSecret| {
            Ok((sealed.id.clone(), self.secret(name, source, sealed, snapshot::SECRETS)?))
        };
        source.secrets.iter().map(open).collect()
    }

    fn keys_of(&self, name: &Name, source: &snapshot::Source) -> Result<HashMap<Name, Secret>, SourceError> {
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
    ) -> Result<Secret, SourceError> {
        let owner = Owner { tenant: &source.tenant, kind: "source", name, field };
        let secret = self.ring.borrow().open(&sealed.secret, owner);
        secret.map_err(SourceError::Sealed)
    }

    fn chain(
        &mut self,
        name: &Name,
        source: &snapshot::Source,
        failed: &HashMap<Digest256, ComponentError>,
        used: &mut InUse,
    ) -> Result<Chain, SourceError> {
        let keys = self.keys_of(name, source)?;
        let mut handlers = Vec::with_capacity(source.handlers.len());
        for binding in &source.handlers {
            let tried = binding.trial.as_ref().map(|trial| trial.digest);
            if let Some(error) =
                [Some(binding.digest), tried].iter().flatten().find_map(|run| failed.get(run))
            {
                return Err(SourceError::component(error));
            }
            handlers.push(self.binder.bind(binding, &keys, used)?);
        }
        Ok(Chain::new(handlers, source.intake.raw, self.binder.logs()))
    }

    async fn enqueue(&mut self, shards: u32) -> Result<Arc<Enqueue>, OpenError> {
        if let Some(enqueue) = &self.enqueue {
            return Ok(Arc::clone(enqueue));
        }
        let origin = Origin { region: &self.region, gateway: &self.gateway };
        let started = Enqueue::start(&self.nats, origin, shards, &self.limits, &self.metrics).await;
        let enqueue = Arc::new(started.map_err(OpenError::Subscribe)?);
        self.enqueue = Some(Arc::clone(&enqueue));
        Ok(enqueue)
    }
}

/// Everything of a source but its handlers.
struct Verified {
    name: Name,
    verifier: Arc<Verifier>,
    secret_ids: Vec<String>,
    limiter: Option<Arc<Limiter>>,
    metrics: SourceMetrics,
    refusals: Arc<LogRate>,
}

impl Verified {
    fn with(self, chain: Arc<Chain>) -> Source {
        let Self { name, verifier, secret_ids, limiter, metrics, refusals } = self;
        Source { name, verifier, secret_ids, chain, limiter, metrics, refusals }
    }
}

/// A source that cannot be served as it is configured.
struct Unopened {
    /// What can be served of it, if only its handlers cannot.
    verified: Option<Box<Verified>>,
    fault: SourceError,
}

impl Unopened {
    fn unverified(fault: SourceError) -> Self {
        Self { verified: None, fault }
    }
}

/// Why a source cannot be served as it is configured. Says nothing of any secret.
#[derive(Debug, thiserror::Error)]
enum SourceError {
    #[error("{text}")]
    Component { text: String, is_final: bool },
    #[error("{0}")]
    Sealed(#[source] SealError),
    #[error("{0}")]
    Secret(#[source] InvalidSecret),
    #[error("{0}")]
    Bind(#[from] BindError),
}

impl SourceError {
    /// Several sources may bind the same component.
    fn component(error: &ComponentError) -> Self {
        Self::Component { text: error.to_string(), is_final: error.is_final() }
    }

    /// Whether trying again is of no use.
    fn is_final(&self) -> bool {
        match self {
            Self::Component { is_final, .. } => *is_final,
            Self::Sealed(_) | Self::Secret(_) | Self::Bind(_) => true,
        }
    }
}

impl OpenError {
    /// Whether trying again is of no use.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Subscribe(_) | Self::Source { .. } => false,
            Self::Region(_) | Self::Shards(_) => true,
        }
    }
}

/// Why a snapshot is not served at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("the snapshot is for region {0}")]
    Region(Name),
    #[error(
        "the snapshot has {0} shards; their number cannot change under a running gateway, and is at least 1"
    )]
    Shards(u32),
    #[error("cannot subscribe for publish acks: {0}")]
    Subscribe(#[source] SubscribeError),
    /// At the start only, and for a while.
    #[error("source {source_name}: {reason}")]
    Source { source_name: Name, reason: String },
}
