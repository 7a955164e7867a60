//! Checks, once a second, whether every lane's stream exists, answers, and has the settings that a 2xx relies
//! on; and whether handlers can still run safely.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{Config, Info};
use async_nats::{Client, Request, RequestError};
use floodgate_stream::Connection;
use floodgate_stream::contract::{self, Contract, Harm};
use tracing::{error, info, warn};

use super::state::{State, Streams};
use crate::chain::Versions;
use floodgate_enqueue::MAX_BLOCK_BYTES;

/// How often the streams are checked.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a stream may take to answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Checks the streams, and the conditions that handlers rely on.
pub(super) struct Health {
    nats: Connection,
    state: Arc<State>,
    versions: Versions,
    /// What each lane's stream must be.
    contracts: Vec<Contract>,
}

impl Health {
    pub(super) fn new(
        nats: Connection,
        state: Arc<State>,
        versions: Versions,
        publish_timeout: Duration,
    ) -> Self {
        let contracts = Contract::regional().map(|lane| lane.with_publish_timeout(publish_timeout));
        Self { nats, state, versions, contracts: contracts.collect() }
    }

    /// Checks the streams for ever, once a second.
    pub(super) async fn run(self) {
        // The second check must also run while NATS is away, because handlers do.
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
        for contract in &self.contracts {
            let unfit = |fault| Unfit { stream: contract.name().to_owned(), fault };
            check_stream(self.nats.client(), contract).await.map_err(unfit)?;
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

/// Fails with the worst fault of a stream's settings.
async fn check_stream(client: &Client, contract: &Contract) -> Result<(), Fault> {
    let info = look(client, contract.name()).await?;
    let max = client.server_info().max_payload;
    if (1..MAX_BLOCK_BYTES).contains(&max) {
        return Err(Fault::MaxPayload { max, least: MAX_BLOCK_BYTES });
    }
    if info.cluster.as_ref().is_some_and(|cluster| cluster.leader.is_none()) {
        return Err(Fault::NoLeader);
    }
    check_settings(contract, &info.config)
}

fn check_settings(contract: &Contract, config: &Config) -> Result<(), Fault> {
    contract.faults(config).into_iter().next().map_or(Ok(()), |fault| Err(Fault::Setting(fault)))
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

struct Unfit {
    stream: String,
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
    Setting(contract::Fault),
    #[error("the server's max_payload is {max} bytes; blocks need {least}")]
    MaxPayload { max: usize, least: usize },
}

impl Streams {
    /// The state of the streams after a check with this result.
    fn after(self, fault: Option<&Fault>) -> Self {
        match fault {
            None => Self::Fit,
            Some(Fault::Setting(fault)) if fault.harm == Harm::Limits => Self::Fit,
            Some(fault) if fault.is_certain() => Self::Unfit,
            // Each event is decided by its own ack: one that gets an ack is on disk.
            Some(_) if self == Self::Fit => Self::Silent { since: Instant::now() },
            Some(_) => self,
        }
    }
}

impl Fault {
    /// Returns true if the fault is certainly the stream's. Otherwise it is only unknown how the stream is:
    /// the server may be slow, or its cluster may have no leader for a moment.
    fn is_certain(&self) -> bool {
        match self {
            Self::Request(_) | Self::Malformed(_) | Self::NoLeader => false,
            Self::JetStream(error) => error.error_code() == ErrorCode::STREAM_NOT_FOUND,
            // A stream whose only fault is a limit takes blocks until the limit is reached.
            Self::Setting(fault) => fault.harm > Harm::Limits,
            Self::MaxPayload { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use async_nats::RequestErrorKind;
    use floodgate_event::Lane;

    use super::*;

    fn setting(harm: Harm) -> Fault {
        Fault::Setting(contract::Fault { found: "discard is old".to_owned(), harm })
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
        let contract = |timeout| Contract::lane(Lane::Bulk).with_publish_timeout(timeout);
        let good = Config {
            subjects: vec!["in.bulk.*".to_owned()],
            discard: async_nats::jetstream::stream::DiscardPolicy::New,
            duplicate_window: Duration::from_secs(10),
            ..Config::default()
        };
        assert!(check_settings(&contract(timeout), &good).is_ok());
        assert!(check_settings(&contract(timeout * 2), &good).is_err(), "the window fits the time-out");
        let few = Config { max_messages_per_subject: 1, ..good };
        let fault = check_settings(&contract(timeout), &few).unwrap_err().to_string();
        assert!(fault.contains("max_messages_per_subject is 1"), "{fault}");
    }
}
