//! Turns a snapshot into a [`Served`] configuration, except for the sources that this gateway cannot serve.

mod fault;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, Context};
use floodgate_event::seal::Owner;
use floodgate_event::snapshot::{self, Snapshot};
use floodgate_event::{Digest256, LogRate, Name, Secret, ShardCount};
use floodgate_ingress::Shedder;
use floodgate_schemes::{NamedSecret, Secrets};
use floodgate_stream::Connection;
use tokio::sync::watch;

pub(super) use self::fault::OpenError;
use self::fault::SourceError;
use super::bind::{Binder, InUse};
use super::components::ComponentError;
use super::key_ring::KeyRing;
use super::secret_use::SecretUse;
use super::served::{Limiter, Refused, Served, Source, Tokens};
use crate::chain::Chain;
use crate::config::{Config, Limits};
use crate::metrics::{Metrics, SourceMetrics};
use crate::verify::{Deployment, Verifier};
use floodgate_enqueue::{Enqueue, Origin};

/// How long a gateway waits at its start for components that it may still get.
const START_WAIT: Duration = Duration::from_secs(15);

/// Makes configurations out of snapshots. It keeps compiled components and writers for the next snapshot.
pub(super) struct Opener {
    region: Name,
    gateway: Name,
    limits: Limits,
    ring: watch::Receiver<KeyRing>,
    nats: Connection,
    context: Context,
    binder: Binder,
    metrics: Arc<Metrics>,
    shedder: Arc<Shedder>,
    started: Instant,
    /// Why no client of this gateway shows a certificate, if none does.
    no_clients: Option<&'static str>,
    /// Created at the first snapshot, which says how many shards there are.
    enqueue: Option<Arc<Enqueue>>,
}

impl Opener {
    pub(super) fn new(
        config: &Config,
        ring: watch::Receiver<KeyRing>,
        nats: Connection,
        (metrics, shedder): (Arc<Metrics>, Arc<Shedder>),
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
            shedder,
            started: Instant::now(),
            no_clients: config.no_clients(),
            enqueue: None,
        }
    }

    /// Opens a snapshot; `before` is the configuration that is served now. A source that cannot be used holds
    /// back no other. It is served [as it was](Self::as_before) if that is allowed, and it is reported as
    /// refused in any case.
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
                Err(Unopened { without_handlers, fault }) => {
                    let (reason, is_final) = (fault.to_string(), fault.is_final());
                    refused.insert(name.clone(), Refused { reason, is_final });
                    served.and_then(|served| self.as_before(source, served, without_handlers))
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
        let tokens = Arc::new(Tokens::of(&sources, snapshot, &mut refused));
        self.binder.components().retain(snapshot);
        self.binder.sweep();
        self.metrics.config_revision.set(i64::try_from(snapshot.revision).unwrap_or(i64::MAX));
        self.metrics.config_refused.set(i64::try_from(refused.len()).unwrap_or(i64::MAX));
        Ok(Served {
            revision: snapshot.revision,
            confirmed_at_us: snapshot.created_at_us,
            sources: Arc::new(sources),
            refused: Arc::new(refused),
            tokens,
            used: Arc::new(used),
            enqueue,
        })
    }

    /// Refuses to begin while a source that is refused may still become servable, for at most [`START_WAIT`]
    /// after the start. Until then, other gateways take the requests.
    fn may_begin_without(&self, refused: &BTreeMap<Name, Refused>) -> Result<(), OpenError> {
        let passing = refused.iter().find(|(_, refused)| !refused.is_final);
        match passing.filter(|_| self.started.elapsed() < START_WAIT) {
            Some((source, refused)) => {
                Err(OpenError::Source { source_name: source.clone(), reason: refused.reason.clone() })
            }
            None => Ok(()),
        }
    }

    /// Returns a watch of the keys. After a change, secrets may open that did not before.
    pub(super) fn ring(&self) -> watch::Receiver<KeyRing> {
        self.ring.clone()
    }

    fn check(&self, snapshot: &Snapshot) -> Result<(), OpenError> {
        if snapshot.region != self.region {
            return Err(OpenError::Region(snapshot.region.clone()));
        }
        let running = self.enqueue.as_ref().map(|enqueue| enqueue.shards());
        if running.is_some_and(|shards| shards != snapshot.shards) {
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
        let without_handlers =
            self.without_handlers(name, source, snapshot, before).map_err(Unopened::unusable)?;
        let mut used = InUse::default();
        match self.chain(name, source, failed, &mut used) {
            Ok(chain) => Ok((without_handlers.with(Arc::new(chain)), used)),
            Err(fault) => Err(Unopened { without_handlers: Some(Box::new(without_handlers)), fault }),
        }
    }

    /// Everything of a source but its handlers.
    fn without_handlers(
        &self,
        name: &Name,
        source: &snapshot::Source,
        snapshot: &Snapshot,
        before: Option<&Source>,
    ) -> Result<WithoutHandlers, SourceError> {
        let deployment =
            Deployment { region: self.region.clone(), revision: snapshot.revision, shards: snapshot.shards };
        let secrets = self.secrets(name, source)?;
        let verifier =
            Verifier::new(name.clone(), source, secrets, deployment).map_err(SourceError::Secret)?;
        if let Some(why) = self.no_clients.filter(|_| verifier.needs_client_certificate()) {
            return Err(SourceError::NoClients(why));
        }
        let limit = source.intake.rate_limit;
        let limiter = before.and_then(|before| before.limiter.clone());
        let kept = limiter.filter(|limiter| Some(limiter.limit()) == limit);
        Ok(WithoutHandlers {
            limiter: kept.or_else(|| limit.map(|limit| Arc::new(Limiter::new(limit)))),
            metrics: self.metrics.source(name),
            refusals: before.map_or_else(|| Arc::new(LogRate::new()), |before| Arc::clone(&before.refusals)),
            name: name.clone(),
            secrets: SecretUse::of(
                source.secrets.iter().map(|secret| &*secret.id),
                before.map_or(&[], |before| &before.secrets),
            ),
            verifier: Arc::new(verifier),
        })
    }

    /// Returns what is served of a source that cannot be served as it is configured. If only its handlers
    /// cannot be bound, the earlier ones continue, behind the current secrets and limits. If its secrets
    /// cannot be used, it continues as a whole, unless a secret was removed meanwhile or anything else
    /// changed that decides who may send what: it must not be let in any more.
    fn as_before(
        &self,
        source: &snapshot::Source,
        before: &Source,
        without_handlers: Option<Box<WithoutHandlers>>,
    ) -> Option<(Source, InUse)> {
        let used = InUse::of(&before.chain);
        if let Some(without_handlers) = without_handlers {
            return Some((without_handlers.with(Arc::clone(&before.chain)), used));
        }
        let stays = |id: &String| source.secrets.iter().any(|secret| secret.id == *id);
        let is_as_strict = before.verifier.is_as_strict_as(source)
            && before.secrets.iter().map(|secret| &secret.id).all(stays);
        is_as_strict.then(|| (before.clone(), used))
    }

    fn secrets(&self, name: &Name, source: &snapshot::Source) -> Result<Secrets, SourceError> {
        let open = |sealed: &snapshot::SealedSecret| {
            let secret = self.secret(name, source, sealed, snapshot::SECRETS)?;
            Ok(NamedSecret { id: sealed.id.clone(), secret })
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

    async fn enqueue(&mut self, shards: ShardCount) -> Result<Arc<Enqueue>, OpenError> {
        if let Some(enqueue) = &self.enqueue {
            return Ok(Arc::clone(enqueue));
        }
        let origin = Origin { region: &self.region, gateway: &self.gateway };
        let shared = (&self.metrics.enqueue, &self.shedder);
        let started = Enqueue::start(&self.nats, origin, shards, self.limits.blocks(), shared).await;
        let enqueue = Arc::new(started.map_err(OpenError::Subscribe)?);
        self.enqueue = Some(Arc::clone(&enqueue));
        Ok(enqueue)
    }
}

/// Everything of a source but its handlers.
struct WithoutHandlers {
    name: Name,
    verifier: Arc<Verifier>,
    secrets: Vec<Arc<SecretUse>>,
    limiter: Option<Arc<Limiter>>,
    metrics: SourceMetrics,
    refusals: Arc<LogRate>,
}

impl WithoutHandlers {
    fn with(self, chain: Arc<Chain>) -> Source {
        let Self { name, verifier, secrets, limiter, metrics, refusals } = self;
        Source { name, verifier, secrets, chain, limiter, metrics, refusals }
    }
}

/// A source that cannot be served as it is configured, and the reason.
struct Unopened {
    /// What can be served of it, if only its handlers cannot.
    without_handlers: Option<Box<WithoutHandlers>>,
    fault: SourceError,
}

impl Unopened {
    fn unusable(fault: SourceError) -> Self {
        Self { without_handlers: None, fault }
    }
}
