//! Looks, again and again, whether every lane's stream is there, answers, and is fit to stand behind a 2xx;
//! and whether handlers can still run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{Config, Info};
use async_nats::{Client, Request, RequestError};
use floodgate_event::{Lane, subject};
use floodgate_stream::fitness::{self, Harm, Needs};
use tracing::{error, info, warn};

use super::state::{State, Streams};
use crate::chain::Versions;
use crate::enqueue::MAX_BLOCK_BYTES;
use crate::nats::Connection;

/// How often.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a stream may take to answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Looks after the streams, and after what handlers rely on.
pub(super) struct Health {
    nats: Connection,
    state: Arc<State>,
    versions: Versions,
    publish_timeout: Duration,
}

impl Health {
    pub(super) fn new(
        nats: Connection,
        state: Arc<State>,
        versions: Versions,
        publish_timeout: Duration,
    ) -> Self {
        Self { nats, state, versions, publish_timeout }
    }

    /// Runs for ever.
    pub(super) async fn run(self) {
        // Handlers need no NATS to see what they should not.
        tokio::join!(self.look_at_streams(), self.look_at_swap());
    }

    async fn look_at_swap(&self) {
        loop {
            if self.versions.engine().is_unsafe() && self.versions.any() && !self.state.runs_no_handlers() {
                error!(
                    "swap was turned on: no handler runs any more, since one event's data might be seen by the next; \
                     the gateway stops, to be started again in a way that goes with swap"
                );
                self.state.run_no_handlers();
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn look_at_streams(&self) {
        loop {
            self.nats.until_up().await;
            self.note(self.check().await);
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn check(&self) -> Result<(), Unfit> {
        for lane in Lane::ALL {
            let stream = subject::regional_stream(lane);
            let info = look(self.nats.client(), stream).await.map_err(|fault| Unfit { stream, fault })?;
            let max = self.nats.client().server_info().max_payload;
            if (1..MAX_BLOCK_BYTES).contains(&max) {
                return Err(Unfit { stream, fault: Fault::MaxPayload { max, least: MAX_BLOCK_BYTES } });
            }
            if info.cluster.as_ref().is_some_and(|cluster| cluster.leader.is_none()) {
                return Err(Unfit { stream, fault: Fault::NoLeader });
            }
            fitness(lane, &info.config, self.publish_timeout).map_err(|fault| Unfit { stream, fault })?;
        }
        Ok(())
    }

    fn note(&self, result: Result<(), Unfit>) {
        let fault = result.as_ref().err().map(|unfit| &unfit.fault);
        let is_changed = self.state.set_streams(self.state.streams().after(fault));
        let named = result.as_ref().err().map(|Unfit { stream, fault }| format!("{stream}: {fault}"));
        let news = self.state.set_stream_fault(named) || is_changed;
        match result {
            Ok(()) if news => info!("streams are ready"),
            Err(Unfit { stream, fault }) if news => warn!(stream, %fault, "stream is not ready"),
            Ok(()) | Err(_) => {}
        }
    }
}

/// Asks with an inbox of its own: the client would keep an entry for each question that is never answered.
async fn look(client: &Client, stream: &str) -> Result<Info, Fault> {
    let request = Request::new().inbox(client.new_inbox()).timeout(Some(TIMEOUT));
    let answer = client.send_request(format!("$JS.API.STREAM.INFO.{stream}"), request).await?;
    match serde_json::from_slice(&answer.payload).map_err(Fault::Malformed)? {
        Response::Ok(info) => Ok(info),
        Response::Err { error } => Err(Fault::JetStream(error)),
    }
}

/// What the promise of a 2xx needs of a stream: the worst that is wrong.
fn fitness(lane: Lane, config: &Config, publish_timeout: Duration) -> Result<(), Fault> {
    let needs = Needs {
        subjects: &subject::regional_wildcard(lane),
        message_bytes: MAX_BLOCK_BYTES,
        window: Some(2 * publish_timeout),
        direct: false,
    };
    fitness::faults(config, needs).into_iter().next().map_or(Ok(()), |fault| Err(Fault::Setting(fault)))
}

struct Unfit {
    stream: &'static str,
    fault: Fault,
}

/// Why a stream cannot be used.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Request(#[from] RequestError),
    #[error("unreadable answer: {0}")]
    Malformed(#[source] serde_json::Error),
    #[error("{0}")]
    JetStream(#[source] async_nats::jetstream::Error),
    #[error("it has no leader")]
    NoLeader,
    #[error("{0}")]
    Setting(fitness::Fault),
    #[error("the server's max_payload is {max} bytes; blocks need {least}")]
    MaxPayload { max: usize, least: usize },
}

impl Streams {
    /// What is known after a look that found this.
    fn after(self, fault: Option<&Fault>) -> Self {
        match fault {
            None => Self::Fit,
            Some(Fault::Setting(fault)) if fault.harm == Harm::Limits => Self::Fit,
            Some(fault) if fault.is_certain() => Self::Unfit,
            // The acks decide, one by one: an event that gets one is on disk.
            Some(_) if self == Self::Fit => Self::Silent { since: Instant::now() },
            Some(_) => self,
        }
    }
}

impl Fault {
    /// Whether it is known of the stream, and not only that nobody can tell:
    /// the server may be slow, or its cluster without a leader for a moment.
    fn is_certain(&self) -> bool {
        match self {
            Self::Request(_) | Self::Malformed(_) | Self::NoLeader => false,
            Self::JetStream(error) => error.error_code() == ErrorCode::STREAM_NOT_FOUND,
            // One that only limits goes on taking blocks until the limit is reached.
            Self::Setting(fault) => fault.harm > Harm::Limits,
            Self::MaxPayload { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use async_nats::RequestErrorKind;

    use super::*;

    fn setting(harm: Harm) -> Fault {
        Fault::Setting(fitness::Fault { found: "discard is old".to_owned(), harm })
    }

    #[test]
    fn only_what_is_certain_takes_a_stream_out_of_use() {
        let (slow, old) = (Fault::Request(RequestErrorKind::TimedOut.into()), setting(Harm::Loses));
        let after = |faults: &[Option<&Fault>]| {
            faults.iter().fold(Streams::Unseen, |streams, fault| streams.after(*fault))
        };
        assert_eq!(after(&[Some(&slow)]), Streams::Unseen);
        assert!(matches!(after(&[None, Some(&slow), Some(&Fault::NoLeader)]), Streams::Silent { .. }));
        assert_eq!(after(&[None, Some(&old), Some(&slow)]), Streams::Unfit);
        assert_eq!(after(&[Some(&old), None]), Streams::Fit);
        assert_eq!(after(&[Some(&setting(Harm::Blocks))]), Streams::Unfit);
        assert_eq!(after(&[Some(&old), Some(&setting(Harm::Limits))]), Streams::Fit);
    }

    #[test]
    fn a_stream_that_may_lose_events_is_named() {
        let timeout = Duration::from_secs(5);
        let good = Config {
            subjects: vec!["in.bulk.*".to_owned()],
            discard: async_nats::jetstream::stream::DiscardPolicy::New,
            duplicate_window: Duration::from_secs(10),
            ..Config::default()
        };
        assert!(fitness(Lane::Bulk, &good, timeout).is_ok());
        assert!(fitness(Lane::Bulk, &good, timeout * 2).is_err(), "the window fits the time-out");
        let few = Config { max_messages_per_subject: 1, ..good };
        let fault = fitness(Lane::Bulk, &few, timeout).unwrap_err().to_string();
        assert!(fault.contains("max_messages_per_subject is 1"), "{fault}");
    }
}
