//! Sends an event to a gateway that replays it: one of its own region, or of another region if that one is
//! away.

use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, Request, RequestError};
use bytes::Bytes;
use floodgate_control::{ComponentError, Control, PinnedVersion};
use floodgate_event::causes::chain;
use floodgate_event::format::{self, DecodeError};
use floodgate_event::proto::replayed::Result as Answer;
use floodgate_event::proto::{self, Replayed};
use floodgate_event::{replay, subject};
use floodgate_stream::RegionConnection;
use prost::Message as _;

use super::events::Quarantined;

/// How long a gateway may take: it may have to fetch and compile the handler first.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How many times all regions are asked for one event.
const ROUNDS: u32 = 8;
/// The pause between two rounds.
const PAUSE: Duration = Duration::from_secs(1);

/// How often to check that a region that was asked is still connected.
const LOOK: Duration = Duration::from_millis(250);

/// The result for one event.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The event is on a region's disk. The text is the outcome of its handlers.
    Replayed(&'static str),
    /// A gateway had the event, and it stays quarantined. The text says why.
    Failed(String),
    /// No gateway took the event. The text says why.
    Untaken(String),
}

/// Asks gateways to replay events.
pub(super) struct GatewayClient {
    pub(super) control: Control,
    pub(super) regions: Vec<RegionConnection>,
}

impl GatewayClient {
    /// Has an event replayed. If an answer is lost, the event is replayed again, and the second copy is a
    /// duplicate.
    pub(super) async fn replay(&self, quarantined: Quarantined, handler: Option<&PinnedVersion>) -> Outcome {
        let Quarantined { shard, event: Some(event), .. } = quarantined else {
            return Outcome::Failed("the central log does not have it".to_owned());
        };
        let region = event.region.clone();
        let request = replay::request(event, shard, handler.map(PinnedVersion::to_proto));
        let payload = Bytes::from(request.encode_to_vec());
        let mut trouble = "no region is configured".to_owned();
        for round in 0..ROUNDS {
            if round > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            for region in self.nearest(&region) {
                match self.ask_while_connected(region, &payload, handler).await {
                    Ok(Answer::Accepted(accepted)) => {
                        return Outcome::Replayed(outcome_name(&accepted.outcome));
                    }
                    Ok(Answer::Fault(fault)) => return Outcome::Failed(describe(&fault)),
                    Ok(Answer::Refused(reason)) => return Outcome::Failed(reason),
                    Ok(Answer::Unavailable(reason)) => trouble = format!("{}: {reason}", region.name),
                    Err(error) => trouble = format!("{}: {}", region.name, chain(&error)),
                }
            }
        }
        Outcome::Untaken(trouble)
    }

    /// Returns all regions, the event's own first. A stable sort keeps the order of the others.
    fn nearest(&self, own: &str) -> Vec<&RegionConnection> {
        let mut regions: Vec<_> = self.regions.iter().collect();
        regions.sort_by_key(|region| region.name.as_str() != own);
        regions
    }

    /// Asks a region. If its connection is lost meanwhile, this returns at once, and not only after the
    /// timeout.
    async fn ask_while_connected(
        &self,
        region: &RegionConnection,
        payload: &Bytes,
        handler: Option<&PinnedVersion>,
    ) -> Result<Answer, AskError> {
        tokio::select! {
            biased;
            () = disconnected(region.context.client()) => Err(AskError::Away),
            answer = self.ask(region, payload, handler) => answer,
        }
    }

    async fn ask(
        &self,
        region: &RegionConnection,
        payload: &Bytes,
        handler: Option<&PinnedVersion>,
    ) -> Result<Answer, AskError> {
        let client = region.context.client();
        if let Some(version) = handler {
            self.control.copy_component(version, &region.context).await?;
        }
        // The request has an inbox of its own. The client would keep an entry for each request without an
        // answer.
        let request =
            Request::new().payload(payload.clone()).inbox(client.new_inbox()).timeout(Some(TIMEOUT));
        let answer = client.send_request(subject::REPLAY, request).await?;
        let answer: Replayed = format::decode(answer.payload)?;
        // `decode` has checked that there is a result.
        Ok(answer.result.unwrap_or_else(|| Answer::Unavailable(String::new())))
    }
}

async fn disconnected(client: Client) {
    while client.connection_state() == State::Connected {
        tokio::time::sleep(LOOK).await;
    }
}

fn describe(fault: &proto::Quarantined) -> String {
    format!("{} failed again: {}: {}", fault.handler, fault.kind, fault.message)
}

/// Returns a known outcome's name, or `other`: a gateway of another version may know more outcomes.
fn outcome_name(outcome: &str) -> &'static str {
    ["pass", "change", "drop", "split", "respond"]
        .into_iter()
        .find(|&name| name == outcome)
        .unwrap_or("other")
}

/// Why a region gave no answer.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("out of reach")]
    Away,
    #[error(transparent)]
    Component(#[from] ComponentError),
    #[error("no gateway answers")]
    Request(#[from] RequestError),
    #[error(transparent)]
    Answer(#[from] DecodeError),
}
