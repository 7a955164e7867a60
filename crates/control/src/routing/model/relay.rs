//! A relay, as far as routing goes.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use floodgate_clock::Clock;
use floodgate_deliver::{DeliveryIndex, DeliveryMetrics, Dispatcher};
use floodgate_egress::SsrfGuard;
use floodgate_event::ShardId;
use floodgate_event::seal::OpeningKey;
use floodgate_event::subject;
use floodgate_routes::Gone;
use floodgate_stream::central::StreamRecord;
use floodgate_stream::lease::Contender;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::SHARDS;
use crate::fault_injection::Faults;
use crate::tests::{agreed_clock, server};
use crate::{Control, Dependencies, Metrics, RegionKeys};

/// A killed relay's lease lasts so long.
const LEASE: Duration = Duration::from_secs(2);

/// A relay in a runtime of its own: dropping the runtime is a crash.
pub(super) struct Relay {
    pub(super) runtime: Option<Runtime>,
    pub(super) control: Control,
    shutdown: CancellationToken,
    _may_write: watch::Sender<bool>,
    _folder: TempDir,
}

impl Relay {
    pub(super) async fn start(port: u16, key: OpeningKey, name: String, faults: Faults) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let shutdown = CancellationToken::new();
        let (may_write, writes) = watch::channel(false);
        let folder = tempfile::tempdir().unwrap();
        let (state, stop) = (folder.path().to_owned(), shutdown.clone());
        let started = runtime.spawn(async move {
            let centre = server::connect(port).await;
            let (disable, disabled) = mpsc::channel(8);
            let control = Control::start(Dependencies {
                centre: centre.clone(),
                regions: Vec::new(),
                region_keys: RegionKeys::default(),
                opening_key: key,
                shards: SHARDS,
                may_write: writes,
                check_command: Vec::new(),
                disable: disabled,
                guard: SsrfGuard::new(Vec::new()),
                clock: agreed_clock(),
                metrics: Metrics::register(&prometheus::Registry::new()).unwrap(),
                faults,
                shutdown: stop.clone(),
            });
            let control = control.await.unwrap();
            for shard in SHARDS.ids() {
                let index = Arc::new(DeliveryIndex::open(&state, shard).unwrap());
                let lease = centre.get_key_value(subject::LEASE_BUCKET).await.unwrap();
                let contender = Contender::new(lease, shard, name.clone(), LEASE);
                let term = Term {
                    centre: centre.clone(),
                    shard,
                    control: control.clone(),
                    name: name.clone(),
                    index,
                    disable: disable.clone(),
                };
                tokio::spawn(term.run(contender, stop.clone()));
            }
            control
        });
        let control = started.await.unwrap();
        Self { runtime: Some(runtime), control, shutdown, _may_write: may_write, _folder: folder }
    }

    /// Runs something in the relay's runtime. `None` if the relay was killed meanwhile.
    pub(super) async fn inside<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        self.runtime.as_ref()?.spawn(work).await.ok()
    }

    pub(super) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Hands its leases over, so that another relay takes over at once.
    pub(super) async fn stop(&mut self) {
        self.shutdown.cancel();
        let control = self.control.clone();
        self.inside(async move { control.stopped().await }).await;
        // The leases are handed back after the drain.
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.kill();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a relay needs to write one shard's journal.
struct Term {
    centre: Context,
    shard: ShardId,
    control: Control,
    name: String,
    index: Arc<DeliveryIndex>,
    disable: mpsc::Sender<Gone>,
}

impl Term {
    async fn run(self, contender: Contender, shutdown: CancellationToken) {
        while let Some(lease) = contender.acquire(&shutdown).await {
            let term = Dispatcher {
                jetstream: self.centre.clone(),
                shard: self.shard,
                relay: self.name.clone(),
                lease: lease.clone(),
                routes: self.control.routes(),
                announcer: self.control.announcer(self.shard, self.name.clone()),
                clock: Clock::new(None),
                index: self.index.clone(),
                log: StreamRecord::default(),
                disable: self.disable.clone(),
                guard: SsrfGuard::new(Vec::new()),
                max_held: 1_000,
                metrics: DeliveryMetrics::register(&prometheus::Registry::new()).unwrap(),
                shutdown: shutdown.clone(),
            };
            term.run().await.unwrap();
            lease.give_up();
        }
    }
}
