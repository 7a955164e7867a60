//! Brings an event to a gateway that replays it: of its own region, or of another where that one is away.

use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, Request, RequestError};
use bytes::Bytes;
use floodgate_control::{ComponentError, Control, Version};
use floodgate_event::causes::chain;
use floodgate_event::format::{self, DecodeError};
use floodgate_event::proto::replayed::Result as Answer;
use floodgate_event::proto::{self, Replayed};
use floodgate_event::{replay, subject};
use floodgate_replicate::books::RegionStreams;
use prost::Message as _;

use super::feed::Quarantined;

/// How long a gateway may take: it may have to fetch and compile the handler first.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often all regions are asked for an event.
const ROUNDS: u32 = 8;
/// Wait between two rounds.
const PAUSE: Duration = Duration::from_secs(1);

/// How often it is looked whether a region that was asked is still connected.
const LOOK: Duration = Duration::from_millis(250);

/// What became of an event.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is on a region's disk; what handlers made of it.
    Replayed(&'static str),
    /// A gateway had it, and it stays quarantined; why.
    Failed(String),
    /// No gateway would have it; why.
    Untaken(String),
}

/// Sends events to gateways.
pub(super) struct Courier {
    pub(super) control: Control,
    pub(super) regions: Vec<RegionStreams>,
}

impl Courier {
    /// Has an event replayed. One that was replayed without the answer coming through is replayed again, and
    /// the second copy is a duplicate.
    pub(super) async fn replay(&self, quarantined: Quarantined, handler: Option<&Version>) -> Outcome {
        let Quarantined { shard, event: Some(event), .. } = quarantined else {
            return Outcome::Failed("the central log does not have it".to_owned());
        };
        let region = event.region.clone();
        let request = replay::request(event, shard, handler.map(Version::to_proto));
        let payload = Bytes::from(request.encode_to_vec());
        let mut trouble = "no region is configured".to_owned();
        for round in 0..ROUNDS {
            if round > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            for region in self.nearest(&region) {
                match self.ask_while_connected(region, &payload, handler).await {
                    Ok(Answer::Accepted(accepted)) => return Outcome::Replayed(known(&accepted.outcome)),
                    Ok(Answer::Fault(fault)) => return Outcome::Failed(describe(&fault)),
                    Ok(Answer::Refused(reason)) => return Outcome::Failed(reason),
                    Ok(Answer::Unavailable(reason)) => trouble = format!("{}: {reason}", region.name),
                    Err(error) => trouble = format!("{}: {}", region.name, chain(&error)),
                }
            }
        }
        Outcome::Untaken(trouble)
    }

    /// The event's own region first: a stable sort leaves the others as they are.
    fn nearest(&self, own: &str) -> Vec<&RegionStreams> {
        let mut regions: Vec<_> = self.regions.iter().collect();
        regions.sort_by_key(|region| region.name.as_str() != own);
        regions
    }

    /// A region that goes away meanwhile is noticed long before its time is up.
    async fn ask_while_connected(
        &self,
        region: &RegionStreams,
        payload: &Bytes,
        handler: Option<&Version>,
    ) -> Result<Answer, AskError> {
        tokio::select! {
            biased;
            () = disconnected(region.context.client()) => Err(AskError::Away),
            answer = self.ask(region, payload, handler) => answer,
        }
    }

    async fn ask(
        &self,
        region: &RegionStreams,
        payload: &Bytes,
        handler: Option<&Version>,
    ) -> Result<Answer, AskError> {
        let client = region.context.client();
        if let Some(version) = handler {
            self.control.bring(version, &region.context).await?;
        }
        // An inbox of its own: the client would keep an entry for each question that is never answered.
        let request =
            Request::new().payload(payload.clone()).inbox(client.new_inbox()).timeout(Some(TIMEOUT));
        let answer = client.send_request(subject::REPLAY, request).await?;
        let answer: Replayed = format::decode(answer.payload)?;
        // `decode` has checked that it says something.
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

/// A gateway of another version may know outcomes that this one does not.
fn known(outcome: &str) -> &'static str {
    ["pass", "change", "drop", "split", "respond"]
        .into_iter()
        .find(|&known| known == outcome)
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
