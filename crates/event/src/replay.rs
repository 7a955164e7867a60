//! The messages of a replay: the relay's request to a gateway, and the gateway's answer.

use crate::format::{DecodeError, VERSION, Versioned};
use crate::proto::replayed::Result as Outcome;
use crate::proto::{Event, Pinned, Replay, Replayed};
use crate::{EventId, Lane, ShardId};

/// Makes the request to replay an event. `handler` is the version to run in place of the promoted one.
pub fn request(event: Event, shard: ShardId, handler: Option<Pinned>) -> Replay {
    Replay { version: VERSION, event: Some(event), shard: shard.get(), handler }
}

/// Makes a gateway's answer to such a request.
pub fn answer(outcome: Outcome) -> Replayed {
    Replayed { version: VERSION, result: Some(outcome) }
}

impl Versioned for Replay {
    const NAME: &'static str = "replay";

    fn version(&self) -> u32 {
        self.version
    }

    fn check(&self) -> Result<(), DecodeError> {
        let event = self.event.as_ref().ok_or(missing::<Self>("event"))?;
        require::<Self>(EventId::try_from(&*event.id).is_ok(), "event.id")?;
        require::<Self>(Lane::try_from(event.lane).is_ok(), "event.lane")?;
        require::<Self>(event.body_hash.len() == 16, "event.body_hash")?;
        require::<Self>(event.request.is_some(), "event.request")?;
        let digest = |handler: &Pinned| handler.digest.len() == 32;
        require::<Self>(self.handler.as_ref().is_none_or(digest), "handler.digest")
    }
}

impl Versioned for Replayed {
    const NAME: &'static str = "answer to a replay";

    fn version(&self) -> u32 {
        self.version
    }

    fn check(&self) -> Result<(), DecodeError> {
        require::<Self>(self.result.is_some(), "result")
    }
}

fn require<T: Versioned>(holds: bool, field: &'static str) -> Result<(), DecodeError> {
    if holds { Ok(()) } else { Err(missing::<T>(field)) }
}

fn missing<T: Versioned>(field: &'static str) -> DecodeError {
    DecodeError::Field { format: T::NAME, field }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::format::decode;
    use crate::proto::Request;

    fn event() -> Event {
        Event {
            id: vec![1; 16],
            lane: 2,
            body_hash: vec![2; 16],
            request: Some(Request::default()),
            ..Event::default()
        }
    }

    #[test]
    fn what_is_no_event_of_ours_is_refused_by_field() {
        let replay = |event| decode::<Replay>(&*request(event, ShardId::new(0), None).encode_to_vec());
        assert!(replay(event()).is_ok());
        let refused = replay(Event { lane: 9, ..event() }).unwrap_err();
        assert_eq!(refused.to_string(), "replay: event.lane is missing or malformed");
        let pinned = Some(Pinned { digest: vec![0; 31], ..Pinned::default() });
        let refused =
            decode::<Replay>(&*request(event(), ShardId::new(0), pinned).encode_to_vec()).unwrap_err();
        assert_eq!(refused.to_string(), "replay: handler.digest is missing or malformed");
    }

    #[test]
    fn an_answer_says_something() {
        let said = decode::<Replayed>(&*answer(Outcome::Refused("no".into())).encode_to_vec());
        assert_eq!(said.unwrap().result, Some(Outcome::Refused("no".into())));
        let nothing = Replayed { version: VERSION, result: None };
        assert!(decode::<Replayed>(&*nothing.encode_to_vec()).is_err());
    }
}
