//! A gateway whose streams are kept by a cluster of three servers:
//! one of them goes, and no sender hears of it.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_nats::jetstream::Context;
use floodgate_event::proto::Block;
use floodgate_event::seal::OpeningKey;
use floodgate_event::subject;
use floodgate_gateway::GatewayError;
use floodgate_testkit::nats::{self, Cluster, Setup};
use nix::sys::signal::Signal;
use prost::Message as _;
use tempfile::TempDir;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::nats::{free_port, provision};
use crate::region::{snapshot, start, until};

const STREAM: &str = "IN_STANDARD";
/// How many senders post at once.
const SENDERS: usize = 8;
/// How often a message is asked for; each time for as long as the client waits, 5 s.
const READS: usize = 10;

/// A region of three servers and a gateway in this process.
struct Region {
    cluster: Cluster,
    context: Context,
    address: SocketAddr,
    gateway: JoinHandle<Result<(), GatewayError>>,
    shutdown: CancellationToken,
    _folder: TempDir,
}

impl Region {
    /// Ready; its gateway prefers any server to the one that leads [`STREAM`].
    async fn start(limits: &str) -> Self {
        let cluster = Setup::default().option("lame_duck_grace_period", "1s").start_cluster(3).unwrap();
        let context = cluster.context(3).await.unwrap();
        provision(&context, 3).await;
        let (folder, key) = (tempfile::tempdir().unwrap(), OpeningKey::generate());
        let bucket = context.get_key_value(subject::SNAPSHOT_BUCKET).await.unwrap();
        let served = snapshot(&key, 1, "{}").to_bytes().unwrap();
        bucket.put(subject::SNAPSHOT_KEY, served.into()).await.unwrap();
        std::fs::write(folder.path().join("key"), key.to_text().expose()).unwrap();
        let (port, metrics) = (free_port(), free_port());
        let leader = nats::leader(&context, STREAM).await.unwrap();
        let config = format!(
            "region = \"eu\"\nlisten = \"127.0.0.1:{port}\"\nmetrics_listen = \"127.0.0.1:{metrics}\"\n\
             gateway = \"eu-1\"\nopening_key_file = \"key\"\nplaintext = true\n[limits]\n{limits}\n\
             [nats]\nurls = {:?}\n",
            cluster.urls(&leader)
        );
        std::fs::write(folder.path().join("gateway.toml"), config).unwrap();
        let shutdown = CancellationToken::new();
        let gateway = start(folder.path(), &shutdown);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let region = Self { cluster, context, address, gateway, shutdown, _folder: folder };
        region.until_ready().await;
        region
    }

    async fn until_ready(&self) {
        until("the gateway is ready", async || self.readiness().await == 200).await;
    }

    async fn readiness(&self) -> u16 {
        Client::connect(self.address).await.get("/readyz").await
    }

    async fn leader(&self) -> Option<String> {
        nats::leader(&self.context, STREAM).await
    }

    /// The bodies of all events in the stream.
    async fn stored(&self) -> BTreeSet<String> {
        let stream = persist(async || self.context.get_stream(STREAM).await).await;
        let last = stream.cached_info().state.last_sequence;
        let mut bodies = BTreeSet::new();
        for sequence in 1..=last {
            let message = persist(async || stream.get_raw_message(sequence).await).await;
            let block = Block::decode(message.payload).unwrap();
            let raw = block.events.into_iter().filter_map(|event| event.request?.raw);
            bodies.extend(raw.map(|raw| String::from_utf8(raw.to_vec()).unwrap()));
        }
        bodies
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.gateway.await.unwrap().unwrap();
    }
}

/// Asks until there is an answer: the cluster may still be choosing who gives it.
async fn persist<T, E: Debug>(ask: impl AsyncFn() -> Result<T, E>) -> T {
    for _ in 1..READS {
        if let Ok(answer) = ask().await {
            return answer;
        }
    }
    ask().await.unwrap()
}

/// Senders that post until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    senders: JoinSet<Vec<(String, u16)>>,
}

impl Load {
    fn start(address: SocketAddr) -> Self {
        let (stop, accepted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut senders = JoinSet::new();
        for sender in 0..SENDERS {
            let (stop, accepted) = (Arc::clone(&stop), Arc::clone(&accepted));
            senders.spawn(async move {
                let (mut client, mut answers) = (Client::connect(address).await, Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    let body = format!("{sender}/{}", answers.len());
                    let status = client.post(&body).await.status;
                    accepted.fetch_add(usize::from(status == 200), Ordering::Relaxed);
                    answers.push((body, status));
                }
                answers
            });
        }
        Self { stop, accepted, senders }
    }

    /// Returns once so many more were accepted.
    async fn until_more(&self, more: usize) {
        let enough = self.accepted.load(Ordering::Relaxed) + more;
        until("more are accepted", async || self.accepted.load(Ordering::Relaxed) >= enough).await;
    }

    /// The bodies that were sent, all of them accepted.
    async fn stop(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        let answers: Vec<(String, u16)> = self.senders.join_all().await.into_iter().flatten().collect();
        let refused: Vec<_> = answers.iter().filter(|(_, status)| *status != 200).collect();
        assert!(refused.is_empty(), "{} of {} were refused: {refused:?}", refused.len(), answers.len());
        answers.into_iter().map(|(body, _)| body).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_killed_is_waited_out() {
    let mut region = Region::start("publish_timeout_ms = 20000").await;
    let load = Load::start(region.address);
    load.until_more(200).await;
    let leader = region.leader().await.unwrap();
    region.cluster.server(&leader).unwrap().kill().unwrap();
    load.until_more(200).await;
    assert_ne!(region.leader().await, Some(leader.clone()));
    region.cluster.server(&leader).unwrap().start().unwrap();

    // Now the one that the gateway is connected to, and then one that says goodbye first.
    load.until_more(200).await;
    let (near, other) = {
        let mut names = region.cluster.names();
        names.retain(|name| *name != leader);
        (names[0].clone(), names[1].clone())
    };
    region.cluster.server(&near).unwrap().kill().unwrap();
    load.until_more(200).await;
    region.cluster.server(&near).unwrap().start().unwrap();
    region.cluster.context(3).await.unwrap();
    region.cluster.server(&other).unwrap().signal(Signal::SIGUSR2).unwrap();
    load.until_more(1_000).await;
    let sent = load.stop().await;
    let stored = region.stored().await;
    let lost: Vec<_> = sent.difference(&stored).collect();
    assert!(lost.is_empty(), "{lost:?}");
    region.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_it_says_so_and_accepts_nothing() {
    let mut region = Region::start("publish_timeout_ms = 1000").await;
    let mut client = Client::connect(region.address).await;
    assert_eq!(client.post("1").await.status, 200);
    let survivor = region.cluster.names()[0].clone();
    for name in region.cluster.names().into_iter().filter(|name| *name != survivor) {
        region.cluster.server(&name).unwrap().kill().unwrap();
    }
    until("it is not ready", async || region.readiness().await == 503).await;
    assert_eq!(client.post("2").await.status, 503);
    for name in region.cluster.names().into_iter().filter(|name| *name != survivor) {
        region.cluster.server(&name).unwrap().start().unwrap();
    }
    until("it accepts again", async || client.post("3").await.status == 200).await;
    region.until_ready().await;
    region.stop().await;
}
