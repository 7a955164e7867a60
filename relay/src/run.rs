//! Runs a relay: connects, provisions, opens what is on disk, starts the listeners, and then runs every shard
//! on its own until shutdown.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use floodgate_clock::{self as clock, Clock, ClockId, ClockMetrics};
use floodgate_control::{self as control, Control, RegionKeys, StartError};
use floodgate_deliver::DeliveryMetrics;
use floodgate_egress::SsrfGuard;
use floodgate_event::{Lane, ShardId, subject};
use floodgate_replicate::books::Bookkeeper;
use floodgate_replicate::lookup::EventLookup;
use floodgate_replicate::metrics::ReplicationMetrics;
use floodgate_replicate::rejects::{Copier, CopyMetrics, RejectLog};
use floodgate_replicate::replicator::{Replicator, Retention};
use floodgate_stream::central::DeploymentError;
use floodgate_stream::connect::{self, ConnectError, jetstream};
use floodgate_stream::provision::{self, StreamFaults};
use floodgate_stream::{Connection, RegionConnection};
use prometheus::Registry;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::{self, ApiState, Streams, Token};
use crate::central::{CentralMetrics, CentralStreams, Monitor};
use crate::config::{Config, ConfigError};
use crate::held::HeldReplays;
use crate::metrics;
use crate::provision::provision_centre;
use crate::reload::Credentials;
use crate::replay::Replays;
use crate::serve::{BindError, Listener};
use crate::shard::{Delivery, Runner, ShardError};
use crate::store::{ShardStore, StoreError};

/// How many destinations may wait to be disabled.
const DISABLE_QUEUE: usize = 64;

/// Runs a relay until `shutdown`, or until this host fails.
///
/// # Errors
/// If the configuration, the disk or a port cannot be used. NATS servers and consumers are waited for.
pub async fn run(mut config: Config, shutdown: CancellationToken) -> Result<(), RelayError> {
    let centre_link = connect::connect("centre", &config.nats).await?;
    let centre = jetstream(centre_link.client());
    let (region_links, regions) = connect_regions(&config).await?;
    let opening_key = config.opening_key()?;
    let token = Token::new(&config.admin_token()?);
    let keys = config.regions.iter().map(|region| Ok((region.name.clone(), region.sealing_key()?)));
    let region_keys = RegionKeys::new(keys.collect::<Result<_, ConfigError>>()?);
    let mut background = JoinSet::new();
    let stream_faults = StreamFaults::default();
    let links = regions.iter().map(|region| region.name.clone()).zip(region_links.iter().cloned());
    let credentials = Credentials {
        path: config.path.clone(),
        centre_key: opening_key.sealing_key().clone(),
        token: token.clone(),
        region_keys: region_keys.clone(),
        centre: centre_link.clone(),
        regions: links.collect(),
    };
    if let Some(requests) = config.reload.take() {
        // Before anything waits for the centre, because an outdated password may be what keeps it out of
        // reach.
        let stop = shutdown.clone();
        background.spawn(async move {
            stop.run_until_cancelled(credentials.keep_current(requests)).await;
        });
    }
    provision_centre(&centre, &config, &shutdown).await?;
    for (region, settings) in regions.clone().into_iter().zip(&config.regions) {
        let placement = settings.placement(config.rejects, config.dedup);
        let (shutdown, faults, wanted) = (shutdown.clone(), stream_faults.clone(), placement);
        background.spawn(async move {
            provision::keep_region(&region.name, &region.context, wanted, &faults, &shutdown).await;
        });
    }

    let registry = Registry::new();
    let clock = Clock::new(Some(ClockMetrics::register(&registry)?));
    follow_clocks(&clock, &centre, &regions, &shutdown, &mut background);
    let (may_write, writes) = watch::channel(false);
    for copier in copiers(&config, &centre, &regions, &may_write, &registry)? {
        let shutdown = shutdown.clone();
        background.spawn(async move {
            shutdown.run_until_cancelled(copier.run()).await;
        });
    }
    let (disable, disabled) = mpsc::channel(DISABLE_QUEUE);
    let control = Control::start(control::Dependencies {
        centre: centre.clone(),
        regions: regions.clone(),
        opening_key,
        region_keys,
        shards: config.shards,
        may_write: writes,
        check_command: config.handlers.check_command.clone().unwrap_or_default(),
        disable: disabled,
        guard: SsrfGuard::new(config.forward.allow_networks.clone()),
        clock: clock.clone(),
        metrics: control::Metrics::register(&registry)?,
        shutdown: shutdown.clone(),
    });
    let control = control.await?;

    let stores = open_shards(&config, &clock)?;
    let shard_books: Vec<_> = stores.iter().map(ShardStore::books).collect();
    let books = Arc::new(Bookkeeper::new(centre.clone(), regions.clone(), shard_books.clone()));
    let lookup = EventLookup::new(centre.clone(), shard_books.clone().into());

    let (central_streams, monitoring) = CentralStreams::start(Monitor {
        context: centre.clone(),
        count: config.shards,
        shards: stores.clone(),
        centre: config.centre,
        state_dir: config.state_dir.clone(),
        metrics: CentralMetrics::register(&registry)?,
        look: Arc::default(),
        shutdown: shutdown.clone(),
    });
    background.spawn(monitoring);

    let replays = Replays::new(control.clone(), lookup.clone(), regions.clone(), shutdown.clone());
    let state = ApiState::new(api::Parts {
        control: control.clone(),
        books: Arc::clone(&books),
        lookup,
        deliveries: stores.iter().map(|store| Arc::clone(&store.deliveries)).collect(),
        replays,
        rejects: RejectLog::new(centre.clone()),
        held_replays: HeldReplays::new(regions.clone(), shutdown.clone()),
        streams: Streams { central: central_streams.clone(), faults: stream_faults },
        window_days: config.dedup.window_days,
        token,
    });
    let api = api::router(state);
    background.spawn(Listener::bind(config.admin.listen, api)?.serve(shutdown.clone()));
    let page = metrics::router(registry.clone());
    background.spawn(Listener::bind(config.metrics_listen, page)?.serve(shutdown.clone()));

    let replication_metrics = ReplicationMetrics::register(&registry)?;
    let delivery_metrics = DeliveryMetrics::register(&registry)?;
    let mut shards = JoinSet::new();
    for opened in stores {
        background.spawn(floodgate_deliver::measure_lag(
            centre.clone(),
            opened.shard,
            Arc::clone(&opened.deliveries),
            delivery_metrics.clone(),
            shutdown.clone(),
        ));
        let announcer = control.announcer(opened.shard, config.relay.to_string());
        let runner = Runner {
            relay: config.relay.to_string(),
            lease_length: config.lease.length(),
            replicator: Replicator {
                log: opened.log(&centre, &clock),
                shards: config.shards,
                regions: regions.clone(),
                books: Arc::clone(&books),
                progress: opened.progress,
                retention: Retention {
                    window_days: config.dedup.window_days,
                    history: Duration::from_secs(config.history.kept_seconds),
                },
                metrics: replication_metrics.clone(),
            },
            delivery: Delivery {
                index: opened.deliveries,
                routes: control.routes(),
                announcer,
                disable: disable.clone(),
                guard: SsrfGuard::new(config.forward.allow_networks.clone()),
                max_held: config.forward.max_held,
                metrics: delivery_metrics.clone(),
            },
            streams: central_streams.of(opened.shard),
            may_write: may_write.clone(),
            shutdown: shutdown.clone(),
        };
        shards.spawn(runner.run());
    }
    let ended = join_all(&mut shards).await;
    shutdown.cancel();
    while background.join_next().await.is_some() {}
    control.stopped().await;
    ended
}

async fn join_all(shards: &mut JoinSet<Result<(), ShardError>>) -> Result<(), RelayError> {
    while let Some(ended) = shards.join_next().await {
        ended??;
    }
    Ok(())
}

/// The connections must be held for as long as their contexts are used.
async fn connect_regions(config: &Config) -> Result<(Vec<Connection>, Vec<RegionConnection>), RelayError> {
    let (mut connections, mut links) = (Vec::new(), Vec::new());
    for region in &config.regions {
        let connection = connect::connect(&region.name, &region.nats).await?;
        links.push(RegionConnection { name: region.name.clone(), context: jetstream(connection.client()) });
        connections.push(connection);
    }
    Ok((connections, links))
}

/// What copies the record of refused requests from each region.
fn copiers(
    config: &Config,
    centre: &Context,
    regions: &[RegionConnection],
    may_write: &watch::Sender<bool>,
    registry: &Registry,
) -> prometheus::Result<Vec<Copier>> {
    let metrics = CopyMetrics::register(registry)?;
    let copier = |region: &RegionConnection| Copier {
        centre: centre.clone(),
        region: region.clone(),
        placement: config.centre,
        rejects: config.rejects,
        regions: regions.len(),
        may_write: may_write.subscribe(),
        metrics: metrics.clone(),
    };
    Ok(regions.iter().map(copier).collect())
}

/// Asks every server for its time, until `shutdown`.
fn follow_clocks(
    clock: &Clock,
    centre: &Context,
    regions: &[RegionConnection],
    shutdown: &CancellationToken,
    background: &mut JoinSet<()>,
) {
    let of_region = |region: &RegionConnection| {
        let stream = subject::regional_stream(Lane::Standard).to_owned();
        (ClockId::Region(region.name.clone()), region.context.clone(), stream)
    };
    let servers = regions.iter().map(of_region);
    for (who, context, stream) in
        servers.chain([(ClockId::Centre, centre.clone(), subject::log_stream(ShardId::FIRST))])
    {
        let (clock, shutdown) = (clock.clone(), shutdown.clone());
        background.spawn(async move {
            shutdown.run_until_cancelled(clock::follow(clock, who, context, stream)).await;
        });
    }
}

fn open_shards(config: &Config, clock: &Clock) -> Result<Vec<ShardStore>, StoreError> {
    config.shards.ids().map(|shard| ShardStore::open(&config.state_dir, shard, clock)).collect()
}

impl RelayError {
    /// Returns true if another start makes sense only once the configuration is corrected.
    pub fn is_of_configuration(&self) -> bool {
        matches!(self, Self::Config(_) | Self::Deployment(DeploymentError::Shards { .. }))
    }
}

/// Why the relay ended. All of it is this host's or its configuration's fault.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The configuration file, or a file that it names, cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The deployment is made of something else, or nobody knows of what.
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    /// A NATS server's URL or password cannot be used.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The ledger or the delivery index cannot be opened on this host's disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The control plane cannot start.
    #[error(transparent)]
    Control(#[from] StartError),
    /// A shard failed, by a fault of this host.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// Two metrics have the same name, which is a bug.
    #[error("metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
    /// A task panicked, which is a bug.
    #[error("a task broke down")]
    Task(#[from] tokio::task::JoinError),
}
