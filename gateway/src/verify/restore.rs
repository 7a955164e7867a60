//! Restores a quarantined event to the state before its handlers ran.

use std::sync::Arc;

use bytes::Bytes;
use floodgate_event::ShardId;
use floodgate_event::proto::Event;
use floodgate_listen::Reservation;

use super::Verifier;
use crate::stage::Verified;

impl Verifier {
    /// Restores a quarantined event to what it was before its handlers ran. Its signature was valid when it
    /// arrived, and is not checked again: its time has passed, and the secret may have changed. The time of
    /// receipt, id, lane and shard stay the same. The source's present settings decide how raw bytes are kept
    /// and which lane a type gets.
    ///
    /// # Errors
    /// If it is not an event of this source, or lacks its body.
    pub(crate) fn restore(
        &self,
        mut event: Event,
        shard: ShardId,
        memory: Reservation,
    ) -> Result<Verified, NotRestored> {
        if event.source != self.name.as_str() || event.tenant != self.tenant.as_str() {
            return Err(NotRestored::Foreign);
        }
        let raw = event.request.as_mut().and_then(|request| request.raw.take());
        // A payload that equals the raw bytes is left out.
        let body: Bytes = event.payload.take().or_else(|| raw.clone()).ok_or(NotRestored::NoBody)?;
        event.payload_is_raw_decoded = false;
        event.handlers.clear();
        event.disposition = None;
        let intake = Arc::clone(&self.intake);
        Ok(Verified { event, raw, body, intake, shard, memory, unread: Vec::new() })
    }
}

/// Why a quarantined event cannot be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotRestored {
    /// The event is another source's, or that of another tenant under the same name.
    #[error("it is not an event of this source")]
    Foreign,
    /// The event was stored without its body, so handlers cannot run over it.
    #[error("its body was not kept")]
    NoBody,
}

#[cfg(test)]
mod tests {
    use floodgate_event::proto::event::Disposition;
    use floodgate_event::proto::{HandlerRun, Quarantined};
    use floodgate_event::{Secret, snapshot};

    use super::*;
    use crate::verify::Deployment;
    use floodgate_event::ShardCount;

    fn verifier(tenant: &str) -> Verifier {
        let source = serde_json::json!({
            "tenant": tenant, "scheme": "github", "secrets": [], "handlers": [],
            "tolerance_seconds": null, "intake": {},
        });
        let source: snapshot::Source = serde_json::from_value(source).unwrap();
        let deployment =
            Deployment { region: "eu".parse().unwrap(), revision: 7, shards: ShardCount::new(8).unwrap() };
        let secret = Secret::new("another by now");
        let secrets = vec![floodgate_schemes::NamedSecret { id: "sec_2".to_owned(), secret }];
        Verifier::new("github".parse().unwrap(), &source, secrets, deployment).unwrap()
    }

    /// An event before handlers see it, and as it is quarantined with these bytes.
    fn events(raw: Option<&'static [u8]>, payload: Option<&'static [u8]>) -> (Event, Event) {
        let request = floodgate_event::proto::Request { method: "POST".into(), ..Default::default() };
        let before = Event {
            id: vec![1; 16],
            tenant: "default".into(),
            source: "github".into(),
            received_at_us: 5,
            config_revision: 3,
            request: Some(request.clone()),
            ..Event::default()
        };
        let has_both = raw.is_some() && payload.is_some();
        let raw = raw.map(Bytes::from_static);
        let quarantined = Event {
            request: Some(floodgate_event::proto::Request { raw, ..request }),
            payload: payload.map(Bytes::from_static),
            payload_is_raw_decoded: has_both,
            handlers: vec![HandlerRun { outcome: "fault".into(), ..HandlerRun::default() }],
            disposition: Some(Disposition::Quarantined(Quarantined::default())),
            ..before.clone()
        };
        (before, quarantined)
    }

    #[test]
    fn a_quarantined_event_becomes_what_it_was_before_handlers_saw_it() {
        let gzip: &[u8] = b"gzip of it";
        for (raw, payload, body) in [
            (Some(&b"{}"[..]), None, b"{}"),
            (Some(gzip), Some(&b"{}"[..]), b"{}"),
            (None, Some(&b"{}"[..]), b"{}"),
        ] {
            let (before, quarantined) = events(raw, payload);
            let restored =
                verifier("default").restore(quarantined, ShardId::new(5), Reservation::uncounted()).unwrap();
            assert_eq!((&restored.event, restored.shard), (&before, ShardId::new(5)));
            assert_eq!((restored.raw.as_deref(), &*restored.body), (raw, &body[..]));
        }
    }

    #[test]
    fn another_tenants_event_and_one_without_a_body_are_refused() {
        let (_, whole) = events(None, Some(b"{}"));
        assert_eq!(
            verifier("other").restore(whole, ShardId::FIRST, Reservation::uncounted()).unwrap_err(),
            NotRestored::Foreign
        );
        let (_, empty) = events(None, None);
        assert_eq!(
            verifier("default").restore(empty, ShardId::FIRST, Reservation::uncounted()).unwrap_err(),
            NotRestored::NoBody
        );
    }
}
