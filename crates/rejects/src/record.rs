//! The rows that wait to be written, and who may add one.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use floodgate_event::proto::Reject;
use floodgate_event::time;
use prometheus::{IntCounterVec, Opts, Registry};
use tokio::sync::{mpsc, oneshot};

use crate::caps::Caps;
use crate::connections::Connections;

/// The most rows that wait to be written. A row has at most some 7 KiB.
pub(crate) const MAX_QUEUED: usize = 256;
/// How long a stopping gateway waits until its last rows are written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Takes refusals. Clones share the record.
#[derive(Clone)]
pub struct Rejects(pub(crate) Arc<Record>);

pub(crate) struct Record {
    pub(crate) caps: Caps,
    pub(crate) connections: Connections,
    queue: mpsc::Sender<Message>,
    rows: IntCounterVec,
}

/// What the writer is told.
pub(crate) enum Message {
    Row(Box<Reject>),
    /// Everything before this is to be written, and then the sender is to be told.
    Flush(oneshot::Sender<()>),
}

impl Rejects {
    /// Makes an empty record, and the queue that a writer has to empty.
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<(Self, mpsc::Receiver<Message>)> {
        let rows = IntCounterVec::new(
            Opts::new("rejects_total", "Rows of the record of refused requests, by what became of them.")
                .namespace("floodgate"),
            &["outcome"],
        )?;
        registry.register(Box::new(rows.clone()))?;
        let (queue, messages) = mpsc::channel(MAX_QUEUED);
        let (caps, connections) = (Caps::of_rows(), Connections::default());
        Ok((Self(Arc::new(Record { caps, connections, queue, rows })), messages))
    }

    /// Records a refusal of this source's, or of a request that named none. `row` is only called if there is
    /// room for it.
    pub fn note(&self, source: Option<&str>, peer: IpAddr, row: impl FnOnce() -> Reject) {
        let Record { caps, queue, .. } = &*self.0;
        let source = source.unwrap_or_default();
        let Ok(place) = queue.try_reserve() else {
            self.count("queue_full", 1);
            return caps.leave_out(source);
        };
        let Some(left_out) = caps.admit(source, peer) else {
            return self.count("over_rate", 1);
        };
        let source = source.to_owned();
        place.send(Message::Row(Box::new(Reject { source, left_out, count: 1, ..row() })));
    }

    /// Records a connection that ended before it had a request.
    pub fn connection(&self, peer: SocketAddr, reason: &'static str, why: &dyn std::fmt::Display) {
        let now = time::unix_micros(SystemTime::now());
        self.0.connections.note(peer.ip(), reason, why, now);
    }

    /// Waits until all rows so far are written, for three seconds at most.
    pub async fn flush(&self) {
        let flushed = async {
            let (done, wait) = oneshot::channel();
            if self.0.queue.send(Message::Flush(done)).await.is_ok() {
                // An error means that the writer has stopped.
                let _ = wait.await;
            }
        };
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, flushed).await;
    }

    pub(crate) fn count(&self, outcome: &str, rows: u64) {
        self.0.rows.with_label_values(&[outcome]).inc_by(rows);
    }
}
