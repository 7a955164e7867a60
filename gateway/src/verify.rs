//! Signatures, identity and the envelope. Only [`Verifier::verify`] builds a [`Verified`], and [`Verifier::restore`] of
//! what was one before.

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
use floodgate_event::source::{Dedup, Intake, Scheme};
use floodgate_event::{EventId, Name, Secret, time};

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
    /// Whether the provider's id decides what is a duplicate.
    id_is_key: bool,
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
            id_is_key: intake.dedup == Dedup::Id && scheme.covers(&event_id),
            fields: Fields::new(event_id, event_type, intake.order_by.clone()),
            intake,
        })
    }

    /// The source's rules.
    pub(crate) fn intake(&self) -> &Intake {
        &self.intake
    }

    /// Checks the signature and then, and only then, looks into the body.
    ///
    /// # Errors
    /// [`Refusal::SignatureRefused`], or whatever is wrong with the body's encoding.
    pub(crate) fn verify(&self, request: Received) -> Result<Verified, Refusal> {
        let now = time::unix_micros(request.at()) / 1_000_000;
        let headers = &request.parts().headers;
        let secret = self.keys.check(headers, request.raw(), now).ok_or(Refusal::SignatureRefused)?;
        let body = request.decode()?;
        let found = self.fields.find(headers, &body);
        let body_hash = BodyHash::of(request.raw());
        let identity = self.identify(&found, &body_hash);
        let shard = self.shard(identity.id, &found);
        let event = self.envelope(&request, found, identity, body_hash, secret);
        Ok(Verified { event, raw: Some(request.into_raw()), body, intake: Arc::clone(&self.intake), shard })
    }

    fn identify(&self, found: &Found, body_hash: &BodyHash) -> Identity {
        let (tenant, source) = (self.tenant.as_str(), self.name.as_str());
        match (self.intake.dedup, &found.id) {
            (Dedup::None, _) => Identity { id: EventId::unique(), kind: KeyKind::None },
            (Dedup::Id, Some(id)) if self.id_is_key => {
                Identity { id: EventId::from_provider_id(tenant, source, id), kind: KeyKind::Id }
            }
            (Dedup::Id | Dedup::Body, _) => {
                Identity { id: EventId::from_body(tenant, source, body_hash), kind: KeyKind::Body }
            }
        }
    }

    fn shard(&self, id: EventId, found: &Found) -> u32 {
        let order = found.order.as_deref();
        let order = order.map(|value| OrderValue { tenant: &self.tenant, source: &self.name, value });
        shard_of(id, order, self.deployment.shards)
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
        let mut mac = Hmac::<Sha256>::new_from_slice(b"k").unwrap();
        mac.update(body.as_bytes());
        let request = Request::post("/in/github?x=1")
            .header("x-hub-signature-256", format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
            .header("x-github-delivery", delivery)
            .header("x-github-event", "push")
            .body(Bytes::from_static(body.as_bytes()))
            .unwrap();
        Received::for_test(request, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn an_id_that_the_signature_does_not_cover_is_for_display_only() {
        let verifier = verifier("{}");
        let first = verifier.verify(request("{}", "a")).unwrap().event;
        let again = verifier.verify(request("{}", "b")).unwrap().event;
        assert_eq!((&first.id, first.key_kind), (&again.id, KeyKind::Body.into()));
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
        assert_eq!(without.key_kind, i32::from(KeyKind::Body));
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
