//! Keeps the parts running: starts them stage by stage, restarts the ones that end, and stops them in
//! reverse.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use floodgate_event::Backoff;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::part::{Part, Stage};

/// The pauses before restarts in a row.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
/// If a part ran for this long, its next restart begins with the first pause again.
const SETTLED: Duration = Duration::from_secs(30);
/// How many changes may wait to be recorded.
const MAX_CHANGES: usize = 64;

/// The stages in the order in which they are stopped. Gateways drain into NATS, so they go first.
const STOP_ORDER: [Stage; 3] = [Stage::Gateway, Stage::Relay, Stage::Nats];

/// The parts of a deployment.
pub(crate) struct Supervisor {
    waiting: Vec<Part>,
    running: Vec<Running>,
    processes: BTreeMap<String, u32>,
    report: mpsc::Sender<Change>,
    changes: mpsc::Receiver<Change>,
}

/// The parts of one stage, while they run.
struct Running {
    stage: Stage,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

enum Change {
    Started { part: String, pid: u32 },
    Ended(PartEnded),
}

/// A part ended by itself.
#[derive(Debug, thiserror::Error)]
#[error("{part} ended with {status}; its log is {}", log.display())]
pub(crate) struct PartEnded {
    part: String,
    status: ExitStatus,
    log: PathBuf,
}

impl Supervisor {
    /// Makes a supervisor of these parts, none of which runs yet.
    pub(crate) fn new(parts: Vec<Part>) -> Self {
        let (report, changes) = mpsc::channel(MAX_CHANGES);
        Self { waiting: parts, running: Vec::new(), processes: BTreeMap::new(), report, changes }
    }

    /// Starts the parts of a stage.
    pub(crate) fn start(&mut self, stage: Stage) {
        let mut running = Running { stage, stop: CancellationToken::new(), tasks: JoinSet::new() };
        for part in self.waiting.extract_if(.., |part| part.stage == stage) {
            running.tasks.spawn(keep_running(part, running.stop.clone(), self.report.clone()));
        }
        self.running.push(running);
    }

    /// The process ids by part. A part that is down has its last one.
    pub(crate) fn processes(&self) -> &BTreeMap<String, u32> {
        &self.processes
    }

    /// Waits until a part has been started again. Cancel-safe.
    pub(crate) async fn restarted(&mut self) {
        while self.change().await.is_some() {}
    }

    /// Waits until a part ends. Cancel-safe.
    pub(crate) async fn first_end(&mut self) -> PartEnded {
        loop {
            if let Some(ended) = self.change().await {
                return ended;
            }
        }
    }

    /// Records the next change. Returns it if a part ended.
    async fn change(&mut self) -> Option<PartEnded> {
        // `self` holds a sender, so the channel never closes.
        match self.changes.recv().await? {
            Change::Started { part, pid } => {
                self.processes.insert(part, pid);
                None
            }
            Change::Ended(ended) => Some(ended),
        }
    }

    /// Stops everything, stage by stage.
    pub(crate) async fn stop(mut self) {
        for stage in STOP_ORDER {
            for running in self.running.iter_mut().filter(|running| running.stage == stage) {
                running.stop.cancel();
                // Nobody reads changes any more, and a full channel must not block a part.
                self.changes.close();
                while running.tasks.join_next().await.is_some() {}
            }
        }
    }
}

/// Runs a part, and restarts it when it ends, until `stop` is cancelled.
async fn keep_running(part: Part, stop: CancellationToken, report: mpsc::Sender<Change>) {
    if let Err(error) = part.rotate_log() {
        tracing::warn!(part = part.name, %error, "the last run's log cannot be put aside");
    }
    let mut backoff = BACKOFF;
    loop {
        let started = Instant::now();
        run_once(&part, &stop, &report).await;
        if started.elapsed() >= SETTLED {
            backoff.reset();
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(backoff.pause()) => {}
        }
    }
}

/// Runs a part until it ends or `stop` is cancelled.
async fn run_once(part: &Part, stop: &CancellationToken, report: &mpsc::Sender<Change>) {
    let mut child = match part.spawn() {
        Ok(child) => child,
        Err(error) => return tracing::error!(part = part.name, %error, "cannot be started"),
    };
    if let Some(pid) = child.id() {
        send(report, Change::Started { part: part.name.clone(), pid }).await;
    }
    tokio::select! {
        () = stop.cancelled() => part.end(child).await,
        ended = child.wait() => match ended {
            Ok(status) => report_end(part, status, report).await,
            Err(error) => tracing::error!(part = part.name, %error, "cannot be waited for"),
        },
    }
}

async fn report_end(part: &Part, status: ExitStatus, report: &mpsc::Sender<Change>) {
    tracing::warn!(part = part.name, %status, log = %part.log().display(), "ended; starting it again");
    send(report, Change::Ended(PartEnded { part: part.name.clone(), status, log: part.log().to_owned() }))
        .await;
}

async fn send(report: &mpsc::Sender<Change>, change: Change) {
    // This fails only while everything is being stopped, when nobody needs the change.
    let _ = report.send(change).await;
}
