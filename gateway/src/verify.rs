//! Signatures, identity and the envelope. Only [`Verifier::verify`] builds a [`Verified`], and
//! [`Verifier::restore`] of what was one before.

mod envelope;
mod fields;
mod github;
mod headers;
mod keys;
mod restore;
mod standard;
mod stripe;
mod trace_context;
#[cfg(test)]
mod vectors;

use std::sync::Arc;

use floodgate_event::id::{BodyHash, Identity};
use floodgate_event::proto::KeyKind;
use floodgate_event::shard::{OrderValue, shard_of};
use floodgate_event::snapshot::Source;
use floodgate_event::source::{Dedup, Intake, Locator, Scheme};
use floodgate_event::{EventId, Name, Secret, time};
use http::{HeaderMap, HeaderName};

use self::fields::{Fields, Found};
pub(crate) use self::keys::InvalidSecret;
use self::keys::Keys;
use crate::accept::{Received, Refusal};
use crate::stage::Verified;

/// What every event of this gateway and revision has in common.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) region: Name,
    pub(crate) revision: u64,
    pub(crate) shards: u32,
}

/// Verifies the requests of one source, at one revision.
#[derive(Debug)]
pub(crate) struct Verifier {
    name: Name,
    tenant: Name,
    scheme: Scheme,
    deployment: Deployment,
    intake: Arc<Intake>,
    keys: Keys,
    fields: Fields,
    /// Whether the provider's id decides what is a duplicate, and what it is then.
    id_is: Option<KeyKind>,
    /// The header that the event's type stands in, where the signature does not cover it.
    unsigned_type: Option<HeaderName>,
}

impl Verifier {
    /// Prepares the keys, once per revision.
    ///
    /// # Errors
    /// If a secret is not one of the scheme's, or there is none: an unset secret must never verify anything.
    pub(crate) fn new(
        name: Name,
        source: &Source,
        secrets: Vec<(String, Secret)>,
        deployment: Deployment,
    ) -> Result<Self, InvalidSecret> {
        let scheme = source.scheme;
        let intake = Arc::new(source.intake.clone());
        let event_id = intake.event_id.clone().unwrap_or_else(|| scheme.default_event_id());
        let event_type = intake.event_type.clone().unwrap_or_else(|| scheme.default_event_type());
        let tolerance = source.tolerance_seconds.or(scheme.default_tolerance_seconds());
        Ok(Self {
            name,
            tenant: source.tenant.clone(),
            scheme,
            deployment,
            keys: Keys::new(scheme, secrets, tolerance)?,
            id_is: key_kind(scheme, intake.dedup, &event_id),
            unsigned_type: unsigned_header(scheme, &event_type),
            fields: Fields::new(&event_id, &event_type, intake.order_by.as_ref()),
            intake,
        })
    }

    /// The source's rules.
    pub(crate) fn intake(&self) -> &Intake {
        &self.intake
    }

    /// Refuses what carries no signature, before anybody reads its body.
    ///
    /// # Errors
    /// [`Refusal::SignatureRefused`].
    pub(crate) fn check_signed(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        self.keys.are_named_in(headers).map_err(Refusal::SignatureRefused)
    }

    /// Checks the signature and then, and only then, looks into the body.
    ///
    /// # Errors
    /// [`Refusal::SignatureRefused`], whatever is wrong with the body's encoding,
    /// or [`Refusal::TypeRefused`].
    pub(crate) fn verify(&self, mut request: Received) -> Result<Verified, Refusal> {
        let now = time::unix_micros(request.at()) / 1_000_000;
        let secret = self.keys.check(&request.parts().headers, request.raw(), now);
        let secret = secret.map_err(Refusal::SignatureRefused)?;
        let body = request.decode()?;
        let headers = &request.parts().headers;
        let found = self.fields.find(headers, &body);
        // Before anything is made of it: an unsigned type must not make many events of one signed body.
        if !self.intake.takes(found.event_type.as_deref().unwrap_or_default()) {
            return Err(Refusal::TypeRefused);
        }
        let body_hash = BodyHash::of(request.raw());
        let identity = self.identify(&found, &body_hash, headers);
        let shard = self.shard(identity.id, &found);
        let unread = found.unread().map(|(field, why)| (field, why.as_str())).collect();
        let event = self.envelope(&request, found, identity, body_hash, secret);
        let (intake, (raw, memory)) = (Arc::clone(&self.intake), request.into_counted());
        Ok(Verified { event, raw: Some(raw), body, intake, shard, unread, memory })
    }

    fn identify(&self, found: &Found, body_hash: &BodyHash, headers: &HeaderMap) -> Identity {
        let (tenant, source) = (self.tenant.as_str(), self.name.as_str());
        if self.intake.dedup == Dedup::None {
            return Identity { id: EventId::unique(), kind: KeyKind::None };
        }
        match (self.id_is, &found.id) {
            (Some(KeyKind::Delivery), Ok(id)) => {
                Identity { id: EventId::from_delivery(tenant, source, id), kind: KeyKind::Delivery }
            }
            (Some(kind), Ok(id)) => Identity { id: EventId::from_provider_id(tenant, source, id), kind },
            _ => self.identify_body(body_hash, headers),
        }
    }

    /// One body may come under two types, which are two events.
    fn identify_body(&self, body: &BodyHash, headers: &HeaderMap) -> Identity {
        let (tenant, source) = (self.tenant.as_str(), self.name.as_str());
        match self.unsigned_type.as_ref().and_then(|name| headers.get(name)) {
            Some(event_type) => Identity {
                id: EventId::from_typed_body(tenant, source, body, event_type.as_bytes()),
                kind: KeyKind::TypedBody,
            },
            None => Identity { id: EventId::from_body(tenant, source, body), kind: KeyKind::Body },
        }
    }

    fn shard(&self, id: EventId, found: &Found) -> u32 {
        let order = found.order.as_ref().and_then(|order| order.as_deref().ok());
        let order = order.map(|value| OrderValue { tenant: &self.tenant, source: &self.name, value });
        shard_of(id, order, self.deployment.shards)
    }
}

/// What the provider's id makes of an event's key; none where the body is the key.
fn key_kind(scheme: Scheme, dedup: Dedup, event_id: &Locator) -> Option<KeyKind> {
    match dedup {
        Dedup::Id | Dedup::Delivery if scheme.covers(event_id) => Some(KeyKind::Id),
        Dedup::Delivery => Some(KeyKind::Delivery),
        Dedup::Id | Dedup::Body | Dedup::None => None,
    }
}

/// `Locator` only takes names of headers.
fn unsigned_header(scheme: Scheme, event_type: &Locator) -> Option<HeaderName> {
    match event_type {
        Locator::Header(name) if !scheme.covers(event_type) => name.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use bytes::Bytes;
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use http::Request;
    use sha2::Sha256;

    use super::*;

    fn verifier(intake: &str) -> Verifier {
        let source = format!(
            r#"{{"tenant": "default", "scheme": "github", "secrets": [], "handlers": [],
                 "tolerance_seconds": null, "intake": {intake}}}"#
        );
        let secrets = vec![("sec_1".to_owned(), Secret::new("k"))];
        let deployment = Deployment { region: "eu".parse().unwrap(), revision: 7, shards: 8 };
        Verifier::new("github".parse().unwrap(), &serde_json::from_str(&source).unwrap(), secrets, deployment)
            .unwrap()
    }

    fn request(body: &'static str, delivery: &str) -> Received {
        typed(body, delivery, b"push")
    }

    fn typed(body: &'static str, delivery: &str, event_type: &[u8]) -> Received {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"k").unwrap();
        mac.update(body.as_bytes());
        let request = Request::post("/in/github?x=1")
            .header("x-hub-signature-256", format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
            .header("x-github-delivery", delivery)
            .header("x-github-event", event_type)
            .body(Bytes::from_static(body.as_bytes()))
            .unwrap();
        Received::for_test(request, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn an_id_that_the_signature_does_not_cover_is_for_display_only() {
        let verifier = verifier("{}");
        let first = verifier.verify(request("{}", "a")).unwrap().event;
        let again = verifier.verify(request("{}", "b")).unwrap().event;
        assert_eq!((&first.id, first.key_kind), (&again.id, KeyKind::TypedBody.into()));
        assert_eq!((first.provider_id.as_str(), again.provider_id.as_str()), ("a", "b"));
    }

    #[test]
    fn an_id_that_it_covers_decides_whatever_the_rest_of_the_body_says() {
        let verifier = verifier(r#"{"event_id": {"json": "/id"}}"#);
        let first = verifier.verify(request(r#"{"id": 5}"#, "a")).unwrap().event;
        let again = verifier.verify(request(r#"{"id": "5", "x": 1}"#, "a")).unwrap().event;
        assert_eq!((&first.id, first.key_kind), (&again.id, KeyKind::Id.into()));
        assert_ne!(first.body_hash, again.body_hash);
        let without = verifier.verify(request(r#"{"id": null}"#, "a")).unwrap().event;
        assert_eq!(without.key_kind, i32::from(KeyKind::TypedBody));
    }

    fn id_of(verifier: &Verifier, request: Received) -> (String, i32) {
        let event = verifier.verify(request).unwrap().event;
        (EventId::try_from(&*event.id).unwrap().to_string(), event.key_kind)
    }

    #[test]
    fn one_body_under_two_unsigned_types_is_two_events() {
        for intake in ["{}", r#"{"dedup": "body"}"#] {
            let verifier = verifier(intake);
            let push = id_of(&verifier, typed("{}", "a", b"push"));
            assert_eq!(push, id_of(&verifier, typed("{}", "b", b"push")), "the same event once more");
            assert_ne!(push.0, id_of(&verifier, typed("{}", "a", b"star")).0);
            let odd = ["caf\u{e9}", "caf\u{ea}"].map(|text| {
                let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
                id_of(&verifier, typed("{}", "a", &latin)).0
            });
            assert_ne!(odd[0], odd[1], "types that cannot be read are told apart all the same");
        }
        // The body's own type is signed with it.
        let signed = verifier(r#"{"event_type": {"json": "/type"}}"#);
        let (push, star) = (typed("{}", "a", b"push"), typed("{}", "a", b"star"));
        assert_eq!(id_of(&signed, push), id_of(&signed, star));
        let expected = EventId::from_body("default", "github", &BodyHash::of(b"{}")).to_string();
        assert_eq!(id_of(&signed, request("{}", "a")), (expected, KeyKind::Body.into()), "as it always was");
    }

    #[test]
    fn a_delivery_s_id_decides_where_the_source_says_so() {
        let verifier = verifier(r#"{"dedup": "delivery"}"#);
        let first = id_of(&verifier, request("{}", "a"));
        assert_eq!(first, id_of(&verifier, request("[]", "a")));
        assert_ne!(first.0, id_of(&verifier, request("{}", "b")).0);
        assert_eq!(first.1, i32::from(KeyKind::Delivery));
        assert_eq!(id_of(&verifier, request("{}", "")).1, i32::from(KeyKind::TypedBody), "without one");
        // What is signed stays what it is.
        let signed = self::verifier(r#"{"dedup": "delivery", "event_id": {"json": "/id"}}"#);
        let expected = EventId::from_provider_id("default", "github", "5").to_string();
        assert_eq!(id_of(&signed, request(r#"{"id": 5}"#, "a")), (expected, KeyKind::Id.into()));
    }

    #[test]
    fn long_ids_are_told_apart() {
        let verifier = verifier(r#"{"event_id": {"json": "/id"}, "dedup": "id"}"#);
        let body = |length| -> &'static str {
            Box::leak(format!("{{\"id\": \"{}\"}}", "x".repeat(length)).into_boxed_str())
        };
        let ids = [512, 513, 30_000].map(|length| id_of(&verifier, request(body(length), "a")));
        assert!(ids.iter().all(|(_, kind)| *kind == i32::from(KeyKind::Id)), "{ids:?}");
        assert!(ids[0].0 != ids[1].0 && ids[1].0 != ids[2].0, "{ids:?}");
    }

    #[test]
    fn types_that_a_source_does_not_list_are_refused_signed_or_not() {
        let verifier = verifier(r#"{"types": ["push", "issues*"]}"#);
        for (event_type, taken) in [
            (&b"push"[..], true),
            (b"issues.opened", true),
            (b"star", false),
            (b"caf\xe9", false),
            (b"", false),
        ] {
            match verifier.verify(typed("{}", "a", event_type)) {
                Ok(_) => assert!(taken, "{event_type:?}"),
                Err(refusal) => {
                    assert!(!taken && refusal == Refusal::TypeRefused, "{event_type:?}: {refusal}")
                }
            }
        }
    }

    #[test]
    fn an_odd_token_takes_no_field_away_and_what_cannot_be_read_is_said() {
        let verifier = verifier(r#"{"event_id": {"json": "/id"}, "event_type": {"json": "/type"}}"#);
        let verified = verifier.verify(request(r#"{"\ud83d": 1, "id": "a", "type": "t"}"#, "a")).unwrap();
        assert_eq!((verified.event.r#type.as_str(), verified.event.provider_id.as_str()), ("t", "a"));
        assert_eq!((verified.unread.len(), verified.event.unread.len()), (0, 0));
        let verified = verifier.verify(request(r#"{"id": "a", "type": "\ud83d"}"#, "a")).unwrap();
        assert_eq!((verified.event.r#type.as_str(), verified.event.provider_id.as_str()), ("", "a"));
        assert_eq!(verified.unread, [("type", "malformed")]);
        assert_eq!(verified.event.unread.len(), 1);
    }

    #[test]
    fn without_dedup_every_request_is_an_event() {
        let verifier = verifier(r#"{"dedup": "none"}"#);
        let ids = ["a", "a"].map(|delivery| verifier.verify(request("{}", delivery)).unwrap().event.id);
        assert_ne!(ids[0], ids[1]);
    }

    #[test]
    fn what_is_ordered_together_shares_a_shard() {
        let verifier = verifier(r#"{"order_by": {"json": "/customer"}}"#);
        let bodies = [r#"{"customer":"c","n":1}"#, r#"{"customer":"c","n":2}"#, r#"{"customer":"c","n":3}"#];
        let shards = bodies.map(|body| verifier.verify(request(body, "a")).unwrap().shard);
        assert_eq!(shards, [shards[0]; 3]);
    }

    #[test]
    fn headers_keep_their_bytes_and_repeats() {
        let mut request = request("{}", "a");
        let (mut parts, body) = (request.parts().clone(), request.into_raw());
        for (name, value) in
            [("content-type", &b"text/plain; a=\xe4"[..]), ("x-b", b"2\xff"), ("x-b", b"1"), ("x-c", b"")]
        {
            let name = name.parse::<http::HeaderName>().unwrap();
            parts.headers.append(name, http::HeaderValue::from_bytes(value).unwrap());
        }
        request = Received::for_test(Request::from_parts(parts, body), SystemTime::UNIX_EPOCH);
        let event = verifier("{}").verify(request).unwrap().event;
        assert_eq!(event.content_type, "text/plain; a=\u{fffd}");
        let headers = event.request.unwrap().headers;
        let values = |name: &str| -> Vec<Bytes> {
            headers.iter().filter(|header| header.name == name).map(|header| header.value.clone()).collect()
        };
        assert_eq!(values("content-type"), [&b"text/plain; a=\xe4"[..]]);
        assert_eq!(values("x-b"), [&b"2\xff"[..], b"1"]);
        assert_eq!(values("x-c"), [&b""[..]]);
    }

    #[test]
    fn the_envelope_says_what_was_received() {
        let event = verifier(r#"{"lanes": {"push": "critical"}}"#).verify(request("{}", "a")).unwrap().event;
        let request = event.request.unwrap();
        assert_eq!((request.path.as_str(), request.query.as_str()), ("/in/github", "x=1"));
        assert_eq!(request.headers.len(), 3);
        assert_eq!(
            (event.r#type.as_str(), event.lane),
            ("push", floodgate_event::proto::Lane::Critical.into())
        );
        assert_eq!((event.secret_id.as_str(), event.config_revision), ("sec_1", 7));
    }
}
