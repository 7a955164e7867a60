//! Wires the modules together and runs them: starts, serves, drains.

mod bind;
mod certificates;
mod components;
mod follow;
mod health;
mod held;
mod ingest;
mod key_ring;
mod logs;
mod open;
mod operations;
mod refused;
mod reload;
mod replay;
mod report;
mod requests;
mod secret_use;
mod served;
mod state;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use floodgate_ingress::{AccessLog, Shedder};
use floodgate_listen::{Bounds, Budget, Port, PortMetrics, Proxies};
use floodgate_sandbox::{Cache, Compiler, Engine, EngineError, Loader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::bind::Binder;
use self::certificates::Certificates;
use self::components::Components;
use self::follow::Follower;
use self::health::Health;
use self::held::HeldRequests;
use self::ingest::Ingest;
use self::key_ring::KeyRing;
use self::open::Opener;
use self::operations::Operations;
use self::reload::Reload;
use self::replay::Replays;
use self::state::State;
use crate::accept::service::{Checking, Service};
use crate::chain::{LogSender, Versions};
use crate::config::{Config, Drain};
use crate::metrics::Metrics;
use crate::nats::{self, ClientError};
use floodgate_published::{Fetcher, NoClient};
use floodgate_rejects::Holder;

/// The memory for connections and answers of the operators' port.
const OPERATIONS_BYTES: usize = 32 * 1024 * 1024;
/// How long it may take, after the last event was accepted, until each block is on disk or has failed. Each
/// block has twice its `publish_timeout_ms`, which is a minute at most.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(150);

/// Why a gateway could not start, or did not stop in order.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A port cannot be served.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address of the port.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The engine of handlers does not start.
    #[error("cannot start the handler engine: {0}")]
    Engine(#[from] EngineError),
    /// The folder of compiled handlers cannot be used.
    #[error("cannot use the folder of compiled handlers {}: {source}", folder.display())]
    Cache {
        /// The path of the folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The client that fetches keys of providers cannot be made.
    #[error("cannot make the client for keys of providers: {0}")]
    Keys(#[from] NoClient),
    /// The NATS client cannot be made.
    #[error(transparent)]
    Nats(#[from] ClientError),
    /// The metrics cannot be registered: a mistake in this program.
    #[error("cannot register metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// Swap was turned on. Everything that was accepted is answered.
    #[error("swap was turned on: handlers cannot run safely before a restart")]
    Swap,
    /// Some blocks were neither on disk nor given up in time. Their senders got no answer, and will send
    /// again.
    #[error("events were still on their way to the disk {0:?} after the last was accepted")]
    DrainTimeout(Duration),
}

/// Runs a gateway until `shutdown`, and then until everything that it accepted is answered and on disk.
///
/// Serves 503 until the region's NATS is there and holds a configuration. The centre is not needed.
///
/// # Errors
/// If it cannot start, or if requests are still under way when the time for draining has passed.
pub async fn run(mut config: Config, shutdown: CancellationToken) -> Result<(), GatewayError> {
    let metrics = Arc::new(Metrics::new()?);
    let engine =
        Engine::with_swap_devices(config.swaps.clone(), config.handlers.clone(), metrics.registry())?;
    let loader = loader(&config, engine.clone())?;
    let nats = nats::connect(&config.nats, &config.gateway).await?;
    let limits = Arc::new(config.limits.clone());
    let budget = Budget::new(limits.shares());
    let bounds = Arc::new(limits.bounds(config.drain.incomplete));
    let shedder = Arc::new(Shedder::new(budget.clone(), limits.room()));
    let publish_timeout = limits.publish_timeout();
    let state = Arc::new(State::new(nats.clone(), shutdown.clone(), publish_timeout, Arc::clone(&shedder)));
    let address_rate = limits.address_rate().map(Arc::new);

    let operations = Operations {
        state: Arc::clone(&state),
        metrics: Arc::clone(&metrics),
        budget: budget.clone(),
        address_rate: address_rate.clone(),
    };
    let operations = Port {
        listener: listen(config.metrics_listen, &bounds)?,
        tls: None,
        proxies: Proxies::default(),
        service: Arc::new(Checking::new(operations, limits.head())),
        bounds: Arc::clone(&bounds),
        // Operators must see metrics and health whatever memory the senders use.
        budget: Budget::unshared(OPERATIONS_BYTES),
        // Only the connections of senders are counted.
        metrics: PortMetrics::unregistered()?,
    };
    let networks = config.published_keys.allow_networks.clone();
    let (fetcher, published) = Fetcher::new(networks, Arc::clone(&state))?;
    let (pauses, confirmer) = ((&*limits).into(), fetcher.confirmer());
    let (rejects, rejects_writer) = floodgate_rejects::record(metrics.registry())?;
    let (keys, ring) = watch::channel(KeyRing::new(config.opening_key.clone()));
    let key = ring.clone();
    let key = Box::new(move || key.borrow().current().sealing_key().clone());
    let holder = Arc::new(Holder::new(nats.clone(), key, metrics.registry())?);
    let output = std::mem::take(&mut config.access_output);
    let ingest = Ingest {
        state: Arc::clone(&state),
        metrics: Arc::clone(&metrics),
        pauses,
        published: published.clone(),
        confirmer,
        address_rate: address_rate.clone(),
        access_log: AccessLog::start(config.access_log, output, metrics.access_log_left_out.clone()),
        rejects: rejects.clone(),
        holder: Arc::clone(&holder),
    };
    let (tls, offered) = watch::channel(config.tls.clone());
    let ingest = Port {
        listener: listen(config.listen, &bounds)?,
        tls: Some(Arc::new(move || offered.borrow().as_ref().map(|tls| Arc::clone(&tls.config)))),
        proxies: config.proxies.clone(),
        service: Arc::new(Checking::new(ingest, limits.head())),
        bounds,
        budget: budget.clone(),
        metrics: metrics.of_port(),
    };

    let background = CancellationToken::new();
    let _stop_background = background.clone().drop_guard();
    let (logs, lines) = LogSender::new();
    let versions = Versions::new(engine);
    let replays = Replays::new(
        &nats,
        Arc::clone(&state),
        budget.own_account(),
        Arc::clone(&metrics),
        (Components::new(loader.clone()), versions.clone()),
    );
    background_task(&background, requests::run(nats.clone(), replays));
    let held = HeldRequests {
        state: Arc::clone(&state),
        memory: budget.own_account(),
        ring: ring.clone(),
        published,
    };
    background_task(&background, requests::run(nats.clone(), Arc::new(held)));
    background_task(&background, async move { holder.count().await });
    background_task(&background, fetcher.run());
    if let Some(rate) = address_rate {
        background_task(&background, async move { rate.sweep_forever().await });
    }
    background_task(&background, versions.clone().report_suppressed_forever());
    let binder = Binder::new(Components::new(loader), versions.clone(), logs);
    let opener = Opener::new(&config, ring, nats.clone(), (Arc::clone(&metrics), shedder), binder);
    let certificates = Certificates { tls: tls.clone(), metrics: Arc::clone(&metrics) };
    background_task(&background, certificates.run(config.certificate_poll));
    if let Some(requests) = config.reload.take() {
        let (path, nats, metrics) = (config.path.clone(), nats.clone(), Arc::clone(&metrics));
        background_task(&background, Reload { path, tls, keys, nats, metrics }.run(requests));
    }
    background_task(&background, Follower::new(nats.clone(), Arc::clone(&state), opener).run());
    background_task(
        &background,
        Health::new(nats.clone(), Arc::clone(&state), versions.clone(), limits.publish_timeout()).run(),
    );
    let (region, gateway) = (config.region.clone(), config.gateway.clone());
    let maxima = config.handlers.maxima();
    background_task(&background, rejects_writer.run(nats.clone(), region.clone(), gateway.clone()));
    background_task(&background, logs::run(nats.clone(), region, gateway, lines));
    background_task(&background, report::run(nats, Arc::clone(&state), config.gateway.clone(), maxima));
    tokio::spawn(operations.serve(background.clone(), background.clone()));

    info!(region = %config.region, gateway = %config.gateway, listen = %config.listen, "gateway started");
    let served = serve(ingest, &state, config.drain).await;
    versions.report_suppressed();
    rejects.flush().await;
    served?;
    if state.runs_no_handlers() { Err(GatewayError::Swap) } else { Ok(()) }
}

fn loader(config: &Config, engine: Engine) -> Result<Loader, GatewayError> {
    let open = |folder: &PathBuf| {
        Cache::open(folder, config.handlers.cache_bytes, &config.opening_key)
            .map_err(|source| GatewayError::Cache { folder: folder.clone(), source })
    };
    let cache = config.handlers.cache_dir.as_ref().map(open).transpose()?;
    Ok(Loader::new(engine, Compiler::new(config.compile_command.clone()), cache))
}

/// Serves until the gateway must stop. Then it answers for a while that it is not ready, finishes what it
/// accepted, and flushes. No peer can delay this: not by a request that does not arrive whole, and not by an
/// answer that it does not read.
async fn serve<S: Service>(port: Port<Checking<S>>, state: &State, drain: Drain) -> Result<(), GatewayError> {
    let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
    let mut serving = tokio::spawn(port.serve(stop.clone(), cut.clone()));
    state.until_stopping().await;
    info!("draining");
    tokio::time::sleep(drain.grace).await;
    stop.cancel();
    let served = tokio::time::timeout(drain.timeout, &mut serving).await;
    if served.is_err() {
        warn!(
            seconds = drain.timeout.as_secs(),
            "requests are still under way; their senders will try again"
        );
        cut.cancel();
    }
    if let Ok(Err(error)) = served {
        error!(%error, "the accept loop failed");
    }
    tokio::time::timeout(FLUSH_TIMEOUT, state.flush())
        .await
        .map_err(|_| GatewayError::DrainTimeout(drain.timeout + FLUSH_TIMEOUT))?;
    info!("drained");
    Ok(())
}

fn background_task(stop: &CancellationToken, task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(stop.clone().run_until_cancelled_owned(task));
}

fn listen(address: SocketAddr, bounds: &Bounds) -> Result<TcpListener, GatewayError> {
    floodgate_listen::bind(address, bounds.backlog).map_err(|source| GatewayError::Listen { address, source })
}
