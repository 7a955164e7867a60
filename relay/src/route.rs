//! Wires the relay's rooms together: connect, provision, open what is on disk, then every shard on its own.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use floodgate_event::Lane;
use floodgate_event::causes::chain;
use floodgate_nats::Link;
use prometheus::Registry;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::{self, ApiState};
use crate::books::{Bookkeeper, RegionStreams, ShardBooks};
use crate::config::{Config, ConfigError};
use crate::control::{Control, ControlContext, RegionLink, StartError};
use crate::dedup::ledger::{Feed, Ledger, LedgerError};
use crate::forward::index::IndexError;
use crate::forward::{DeliveryIndex, ForwardMetrics, SsrfGuard};
use crate::lookup::EventLookup;
use crate::metrics::{self, ReplicationMetrics};
use crate::nats::{self, ConnectError};
use crate::progress::Progress;
use crate::provision::{self, Wanted};
use crate::replay::Replays;
use crate::serve::{BindError, Listener};
use crate::shard::{Shard, ShardError};

/// Wait before the centre is asked again while it does not answer.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Destinations waiting to be disabled.
const DISABLE_QUEUE: usize = 64;

/// Runs a relay until `shutdown`, or until this host fails it.
///
/// # Errors
/// If the configuration, the disk or a port cannot be used. NATS servers and consumers are waited for.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), RelayError> {
    let centre_link = nats::connect("centre", &config.nats).await?;
    let centre = nats::jetstream(centre_link.client());
    let (_region_links, regions) = connect_regions(&config).await?;
    provision_centre(&centre, &config, &shutdown).await;
    let mut background = JoinSet::new();
    for (region, settings) in regions.clone().into_iter().zip(&config.regions) {
        let (shutdown, wanted) = (shutdown.clone(), Wanted::of(settings));
        background.spawn(async move {
            provision::keep_region(&region.name, &region.context, wanted, &shutdown).await;
        });
    }

    let registry = Registry::new();
    let (may_write, writes) = watch::channel(false);
    let (disable, disabled) = mpsc::channel(DISABLE_QUEUE);
    let control = Control::start(ControlContext {
        centre: centre.clone(),
        regions: regions.clone(),
        opening_key: config.opening_key()?,
        shards: config.shards,
        may_write: writes,
        check_command: config.handlers.check_command.clone().unwrap_or_default(),
        disable: disabled,
        shutdown: shutdown.clone(),
    });
    let control = control.await?;

    let streams: Vec<RegionStreams> = regions
        .iter()
        .map(|region| RegionStreams { name: region.name.clone(), context: region.context.clone() })
        .collect();
    let shard_books = open_shards(&config)?;
    let books = Arc::new(Bookkeeper::new(centre.clone(), streams.clone(), shard_books.clone()));
    let lookup = EventLookup::new(centre.clone(), shard_books.clone().into());

    let replays = Replays::new(control.clone(), lookup.clone(), streams.clone(), shutdown.clone());
    let token = config.admin_token()?;
    let api = api::router(ApiState::new(control.clone(), &token, Arc::clone(&books), lookup, replays));
    background.spawn(Listener::bind(config.admin.listen, api).await?.serve(shutdown.clone()));
    let page = metrics::router(registry.clone());
    background.spawn(Listener::bind(config.metrics_listen, page).await?.serve(shutdown.clone()));

    let replication_metrics = ReplicationMetrics::register(&registry)?;
    let forward_metrics = ForwardMetrics::register(&registry)?;
    let mut shards = JoinSet::new();
    for opened in shard_books {
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
            feeds: feeds(&streams),
            routes: control.routes(),
            disable: disable.clone(),
            guard: SsrfGuard::new(config.forward.allow_networks.clone()),
            max_held: config.forward.max_held,
            may_write: may_write.clone(),
            replication_metrics: replication_metrics.clone(),
            forward_metrics: forward_metrics.clone(),
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
        let connection = nats::connect(&region.name, &region.nats).await?;
        links.push(RegionLink {
            name: region.name.clone(),
            sealing_key: region.sealing_key()?,
            context: nats::jetstream(connection.client()),
        });
        connections.push(connection);
    }
    Ok((connections, links))
}

async fn provision_centre(context: &Context, config: &Config, shutdown: &CancellationToken) {
    while let Err(error) = provision::centre(context, config.shards, config.centre).await {
        tracing::warn!(error = %chain(&error), "cannot provision the centre yet");
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(RETRY_PAUSE) => {}
        }
    }
}

fn open_shards(config: &Config) -> Result<Vec<ShardBooks>, RelayError> {
    let open = |shard: u32| {
        let ledger = Arc::new(Ledger::open(&config.state_dir.join(format!("ledger-{shard}")))?);
        let deliveries = Arc::new(DeliveryIndex::open(&config.state_dir, shard)?);
        Ok(ShardBooks { shard, ledger, deliveries, progress: Progress::default() })
    };
    (0..config.shards).map(open).collect()
}

fn feeds(regions: &[RegionStreams]) -> Vec<Feed> {
    let of_region = |region: &RegionStreams| {
        let region = region.name.to_string();
        Lane::ALL.map(move |lane| Feed { region: region.clone(), lane })
    };
    regions.iter().flat_map(of_region).collect()
}

/// Why the relay ended. All of it is this host's or its configuration's fault.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A NATS URL or password.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A port.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The ledger's disk.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The delivery index's disk.
    #[error(transparent)]
    Index(#[from] IndexError),
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
