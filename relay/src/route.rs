//! Wires the relay's rooms together: connect, provision, open what is on disk, then every shard on its own.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use floodgate_clock::{self as clock, Clock, ClockMetrics, Who};
use floodgate_control::{Control, ControlContext, ControlMetrics, RegionKeys, RegionLink, StartError};
use floodgate_deliver::ForwardMetrics;
use floodgate_egress::SsrfGuard;
use floodgate_event::causes::chain;
use floodgate_event::{Lane, subject};
use floodgate_replicate::books::{Bookkeeper, RegionStreams};
use floodgate_replicate::dedup::ledger::Feed;
use floodgate_replicate::lookup::EventLookup;
use floodgate_replicate::metrics::ReplicationMetrics;
use floodgate_stream::Link;
use floodgate_stream::central::{self, DeploymentError};
use floodgate_stream::connect::{self, ConnectError, jetstream};
use floodgate_stream::provision::{self, ProvisionError, StreamFaults};
use prometheus::Registry;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::{self, ApiState, Streams, Token};
use crate::central::{CentralMetrics, CentralStreams, Looker};
use crate::config::{Config, ConfigError};
use crate::metrics;
use crate::reload::Reload;
use crate::replay::Replays;
use crate::serve::{BindError, Listener};
use crate::shard::{Shard, ShardError};
use crate::store::{ShardStore, StoreError};

/// Wait before the centre is asked again while it does not answer.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Destinations waiting to be disabled.
const DISABLE_QUEUE: usize = 64;

/// Runs a relay until `shutdown`, or until this host fails it.
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
    let reload = Reload {
        path: config.path.clone(),
        centre_key: opening_key.sealing_key().clone(),
        token: token.clone(),
        region_keys: region_keys.clone(),
        centre: centre_link.clone(),
        regions: links.collect(),
    };
    if let Some(told) = config.reload.take() {
        // Before anything waits for the centre: what keeps it away may be a password that is out of date.
        let stop = shutdown.clone();
        background.spawn(async move {
            stop.run_until_cancelled(reload.run(told)).await;
        });
    }
    provision_centre(&centre, &config, &shutdown).await?;
    for (region, settings) in regions.clone().into_iter().zip(&config.regions) {
        let (shutdown, faults, wanted) = (shutdown.clone(), stream_faults.clone(), settings.placement());
        background.spawn(async move {
            provision::keep_region(&region.name, &region.context, wanted, &faults, &shutdown).await;
        });
    }

    let registry = Registry::new();
    let clock = Clock::new(Some(ClockMetrics::register(&registry)?));
    follow_clocks(&clock, &centre, &regions, &shutdown, &mut background);
    let (may_write, writes) = watch::channel(false);
    let (disable, disabled) = mpsc::channel(DISABLE_QUEUE);
    let control = Control::start(ControlContext {
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
        metrics: ControlMetrics::register(&registry)?,
        shutdown: shutdown.clone(),
    });
    let control = control.await?;

    let streams: Vec<RegionStreams> = regions
        .iter()
        .map(|region| RegionStreams { name: region.name.clone(), context: region.context.clone() })
        .collect();
    let stores = open_shards(&config, &clock)?;
    let shard_books: Vec<_> = stores.iter().map(ShardStore::books).collect();
    let books = Arc::new(Bookkeeper::new(centre.clone(), streams.clone(), shard_books.clone()));
    let lookup = EventLookup::new(centre.clone(), shard_books.clone().into());

    let (central_streams, looking) = CentralStreams::start(Looker {
        context: centre.clone(),
        shards: stores.clone(),
        centre: config.centre,
        state_dir: config.state_dir.clone(),
        metrics: CentralMetrics::register(&registry)?,
        look: Arc::default(),
        shutdown: shutdown.clone(),
    });
    background.spawn(looking);

    let replays = Replays::new(control.clone(), lookup.clone(), streams.clone(), shutdown.clone());
    let state = ApiState::new(api::Parts {
        control: control.clone(),
        books: Arc::clone(&books),
        lookup,
        deliveries: stores.iter().map(|store| Arc::clone(&store.deliveries)).collect(),
        replays,
        streams: Streams { central: central_streams.clone(), faults: stream_faults },
        window_days: config.dedup.window_days,
        token,
    });
    let api = api::router(state);
    background.spawn(Listener::bind(config.admin.listen, api)?.serve(shutdown.clone()));
    let page = metrics::router(registry.clone());
    background.spawn(Listener::bind(config.metrics_listen, page)?.serve(shutdown.clone()));

    let replication_metrics = ReplicationMetrics::register(&registry)?;
    let forward_metrics = ForwardMetrics::register(&registry)?;
    let mut shards = JoinSet::new();
    for opened in stores {
        background.spawn(floodgate_deliver::measure(
            centre.clone(),
            opened.shard,
            Arc::clone(&opened.deliveries),
            forward_metrics.clone(),
            shutdown.clone(),
        ));
        let shard = Shard {
            shard: opened.shard,
            shards: config.shards,
            relay: config.relay.to_string(),
            centre: centre.clone(),
            regions: streams.clone(),
            lease_length: config.lease.length(),
            window_days: config.dedup.window_days,
            history_kept: Duration::from_secs(config.history.kept_seconds),
            ledger: opened.ledger,
            deliveries: opened.deliveries,
            books: Arc::clone(&books),
            progress: opened.progress,
            clock: clock.clone(),
            feeds: feeds(&streams),
            routes: control.routes(),
            announcer: control.announcer(opened.shard, config.relay.to_string()),
            disable: disable.clone(),
            guard: SsrfGuard::new(config.forward.allow_networks.clone()),
            max_held: config.forward.max_held,
            may_write: may_write.clone(),
            replication_metrics: replication_metrics.clone(),
            forward_metrics: forward_metrics.clone(),
            streams: central_streams.of(opened.shard),
            shutdown: shutdown.clone(),
        };
        shards.spawn(shard.run());
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

/// Connections must be held for as long as their contexts are used.
async fn connect_regions(config: &Config) -> Result<(Vec<Link>, Vec<RegionLink>), RelayError> {
    let (mut connections, mut links) = (Vec::new(), Vec::new());
    for region in &config.regions {
        let connection = connect::connect(&region.name, &region.nats).await?;
        links.push(RegionLink { name: region.name.clone(), context: jetstream(connection.client()) });
        connections.push(connection);
    }
    Ok((connections, links))
}

/// Waits for the centre, and learns from it what the deployment is made of.
/// Streams that are known and gone are not made anew.
async fn provision_centre(
    context: &Context,
    config: &Config,
    shutdown: &CancellationToken,
) -> Result<(), DeploymentError> {
    loop {
        let failed = match try_provision(context, config).await {
            Ok(()) => return Ok(()),
            Err(ProvisionFailure::Deployment(error)) if !error.is_passing() => return Err(error),
            Err(failed) => failed,
        };
        tracing::warn!(error = %chain(&failed), "cannot provision the centre yet");
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(RETRY_PAUSE) => {}
        }
    }
}

async fn try_provision(context: &Context, config: &Config) -> Result<(), ProvisionFailure> {
    provision::centre_buckets(context, config.centre).await?;
    let deployment = central::open(context, config.shards).await?;
    for stream in central::streams(config.shards) {
        let is_known = deployment.streams.get(&stream).is_some_and(|noted| noted.made.is_some());
        if is_known {
            provision::bring_central_stream(context, &stream, config.centre).await?;
        } else {
            provision::central_stream(context, &stream, config.centre).await?;
        }
    }
    Ok(())
}

/// Why the centre is not as it must be.
#[derive(Debug, thiserror::Error)]
enum ProvisionFailure {
    #[error(transparent)]
    Stream(#[from] ProvisionError),
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
}

/// Asks every server for its time until `shutdown`.
fn follow_clocks(
    clock: &Clock,
    centre: &Context,
    regions: &[RegionLink],
    shutdown: &CancellationToken,
    background: &mut JoinSet<()>,
) {
    let of_region = |region: &RegionLink| {
        let stream = subject::regional_stream(Lane::Standard).to_owned();
        (Who::Region(region.name.clone()), region.context.clone(), stream)
    };
    let servers = regions.iter().map(of_region);
    for (who, context, stream) in servers.chain([(Who::Centre, centre.clone(), subject::log_stream(0))]) {
        let (clock, shutdown) = (clock.clone(), shutdown.clone());
        background.spawn(async move {
            shutdown.run_until_cancelled(clock::follow(clock, who, context, stream)).await;
        });
    }
}

fn open_shards(config: &Config, clock: &Clock) -> Result<Vec<ShardStore>, StoreError> {
    (0..config.shards).map(|shard| ShardStore::open(&config.state_dir, shard, clock)).collect()
}

fn feeds(regions: &[RegionStreams]) -> Vec<Feed> {
    let of_region = |region: &RegionStreams| {
        let region = region.name.to_string();
        Lane::ALL.map(move |lane| Feed { region: region.clone(), lane })
    };
    regions.iter().flat_map(of_region).collect()
}

impl RelayError {
    /// Whether the configuration must be corrected before another start makes sense.
    pub fn is_of_configuration(&self) -> bool {
        matches!(self, Self::Config(_) | Self::Deployment(DeploymentError::Shards { .. }))
    }
}

/// Why the relay ended. All of it is this host's or its configuration's fault.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The deployment is made of something else, or nobody knows of what.
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    /// A NATS URL or password.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A port.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// This host's disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The control plane.
    #[error(transparent)]
    Control(#[from] StartError),
    /// A shard.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// Two metrics of one name.
    #[error("metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
    /// A task broke down: a bug.
    #[error("a task broke down")]
    Task(#[from] tokio::task::JoinError),
}
