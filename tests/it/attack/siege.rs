//! Thousands of connections that are slow or idle, from many addresses, while honest events come in at a
//! steady rate. The short form is for every run; `FLOODGATE_SIEGE=full` holds 5,000 slow and 2,000 idle
//! connections against 2,000 events a second.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use floodgate_testkit::{Failure, Result, Scene, metrics, process, wait};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

use super::MEMORY_BYTES;
use super::steady::{Rate, Steady};
use super::strangers::{Address, FORGED};

const FORM: &str = "FLOODGATE_SIEGE";
/// How long it may take until the connections are open, and until they are gone again.
const LIMIT: Duration = Duration::from_secs(120);
/// The pause between two pieces of a slow request.
const PIECE: Duration = Duration::from_secs(1);
/// How long a stranger waits before it replaces a connection that the gateway has ended.
const AGAIN: Duration = Duration::from_millis(200);
/// How many addresses the strangers have.
const ADDRESSES: usize = 250;
/// How many strangers begin at once; their handshakes cost the machine as much as the gateway's half.
const AT_ONCE: usize = 100;
/// The gateway has ended some, and their strangers are about to come back.
const HELD_PERCENT: usize = 80;

/// How many of each there are.
struct Form {
    slow: usize,
    idle: usize,
    rate: Rate,
}

impl Form {
    fn chosen() -> Self {
        match std::env::var(FORM).as_deref() {
            Ok("full") => Self { slow: 5_000, idle: 2_000, rate: Rate { per_second: 2_000, seconds: 30 } },
            _ => Self { slow: 300, idle: 120, rate: Rate { per_second: 100, seconds: 8 } },
        }
    }

    fn all(&self) -> usize {
        self.slow + self.idle
    }
}

/// What else this process and the gateway have open.
const SPARE_FILES: u64 = 1_000;

/// What a stranger does with its connection.
#[derive(Clone, Copy)]
enum Way {
    /// Sends a handshake, a byte at a time.
    SlowHandshake,
    /// Sends the head of a request, a byte at a time.
    SlowHead,
    /// Sends a body, a few bytes at a time.
    SlowBody,
    /// Shakes hands, and sends nothing.
    Idle,
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_idle_connections_take_nothing_from_honest_events() -> Result<()> {
    let form = Form::chosen();
    // Before the gateway starts, which inherits it.
    let most = process::raise_open_files()?;
    if most < 2 * form.all() as u64 + SPARE_FILES {
        println!(
            "SKIPPED: slow_and_idle_connections_take_nothing_from_honest_events: {most} open files allowed"
        );
        return Ok(());
    }
    Scene::play(async |scene| hold(scene, &form).await).await
}

async fn hold(scene: &Scene, form: &Form) -> Result<()> {
    let ready = scene.deployment.ready()?;
    let (region, gateway) = (&ready.regions["eu"], scene.deployment.process("gateway-eu")?);
    let open = async || metrics::sum(&region.metrics, "floodgate_connections").await;
    let quiet = Steady::run(scene, "quiet", form.rate).await?;
    let before = process::peak_resident_bytes(gateway)?;

    let strangers = Strangers::begin(&Address::of(region)?, form)?;
    let expected = (form.all() * HELD_PERCENT / 100) as f64;
    wait::until("the strangers hold their connections", LIMIT, async || {
        Ok((open().await? >= expected).then_some(()))
    })
    .await?;
    let (begun, held) = (strangers.held(), open().await?);
    let besieged = Steady::run(scene, "besieged", form.rate).await?;
    let (files, allowed) = process::open_files(gateway)?;
    let (peak, still) = (process::peak_resident_bytes(gateway)?, open().await?);
    println!(
        "{held} connections at the begin ({begun} by the strangers' count) and {still} at the end, {files} files \
         of {allowed}\n{quiet}\n{besieged}\np99 {:.1} times that without strangers\nmemory {} MiB before, {} MiB \
         at most",
        besieged.p99().as_secs_f64() / quiet.p99().as_secs_f64(),
        before >> 20,
        peak >> 20,
    );
    assert!(still >= expected / 2.0, "only {still} connections were left: this was no siege");
    assert_eq!((besieged.refused, besieged.not_ready), (0, 0), "{besieged}");
    assert!(peak - before <= MEMORY_BYTES, "{} MiB more than before", (peak - before) >> 20);
    assert!(files < allowed, "{files} of {allowed} files are open");
    assert_eq!(scene.deployment.process("gateway-eu")?, gateway, "it never fell");

    drop(strangers);
    wait::until("the strangers' connections are gone", LIMIT, async || {
        Ok((open().await? < (form.all() / 10).max(20) as f64).then_some(()))
    })
    .await?;
    let stored = scene.balanced_books().await?.events.stored;
    assert_eq!(stored, 2 * u64::from(form.rate.events()));
    Ok(())
}

/// The strangers, until they are dropped. On the internet they have machines of their own, so they have a
/// thread here that leaves the processors to all others.
struct Strangers {
    held: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
}

impl Drop for Strangers {
    fn drop(&mut self) {
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

/// Gives this thread the least share of the processors. Linux has a priority for each thread.
fn step_back() {
    let thread = nix::unistd::gettid().to_string();
    // Where there is no `renice`, the strangers only take more.
    let _ = std::process::Command::new("renice").args(["-n", "19", "-p", &thread]).output();
}

impl Strangers {
    fn begin(address: &Address, form: &Form) -> Result<Self> {
        let held = Arc::new(AtomicUsize::new(0));
        let mut one_thread = Builder::new_multi_thread();
        let runtime = one_thread.worker_threads(1).enable_all().on_thread_start(step_back).build()?;
        let beginning = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        for number in 0..form.all() {
            let way = match number {
                slow if slow < form.slow => [Way::SlowHandshake, Way::SlowHead, Way::SlowBody][slow % 3],
                _ => Way::Idle,
            };
            let stranger = Stranger {
                address: address.clone(),
                from: Ipv4Addr::new(127, 1, 0, u8::try_from(1 + number % ADDRESSES).unwrap_or(1)),
                held: Arc::clone(&held),
                beginning: Arc::clone(&beginning),
            };
            runtime.spawn(async move {
                loop {
                    // However it ends, be it by the gateway.
                    let _ = stranger.once(way).await;
                    sleep(AGAIN).await;
                }
            });
        }
        Ok(Self { held, runtime: Some(runtime) })
    }

    fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

struct Stranger {
    address: Address,
    from: Ipv4Addr,
    held: Arc<AtomicUsize>,
    beginning: Arc<tokio::sync::Semaphore>,
}

impl Stranger {
    async fn once(&self, way: Way) -> Result<()> {
        let begins = self.beginning.acquire().await.map_err(|_| Failure::new("nobody begins any more"))?;
        if let Way::SlowHandshake = way {
            let stream = self.address.connect_from(self.from).await?;
            drop(begins);
            // The start of a record with a ClientHello, which never becomes whole.
            return self
                .drip(stream, &[b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc".as_slice(), &[3; 400]].concat(), 1)
                .await;
        }
        let mut stream = self.address.shake_hands_from(self.from).await?;
        drop(begins);
        let (name, value) = FORGED;
        let head = format!(
            "POST /in/standard HTTP/1.1\r\nhost: a\r\n{name}: {value}\r\nwebhook-id: a\r\nwebhook-timestamp: 1\r\n"
        );
        match way {
            Way::SlowHead => self.drip(stream, head.as_bytes(), 1).await,
            Way::SlowBody => {
                stream.write_all((head + "content-length: 100000\r\n\r\n").as_bytes()).await?;
                self.drip(stream, &[b'x'; 1_000], 10).await
            }
            Way::Idle | Way::SlowHandshake => self.drip(stream, &[], 1).await,
        }
    }

    /// Sends a piece now and then, and reads until the gateway has had enough.
    async fn drip(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        bytes: &[u8],
        piece: usize,
    ) -> Result<()> {
        let _held = Held::count(&self.held);
        let mut pieces = bytes.chunks(piece);
        let mut ignored = [0; 1_024];
        loop {
            match timeout(PIECE, stream.read(&mut ignored)).await {
                Ok(read) => {
                    if read? == 0 {
                        return Ok(());
                    }
                }
                Err(_) => {
                    if let Some(piece) = pieces.next() {
                        stream.write_all(piece).await?;
                        stream.flush().await?;
                    }
                }
            }
        }
    }
}

/// Counts a connection for as long as it is held.
struct Held(Arc<AtomicUsize>);

impl Held {
    fn count(all: &Arc<AtomicUsize>) -> Self {
        all.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(all))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
