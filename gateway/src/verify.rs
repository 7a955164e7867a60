//! Verifies requests by their source's scheme, derives ids and builds envelopes. Only this module builds a
//! [`Verified`]: [`Verifier::verify`] for a request, [`batch`] for the events of an application, and
//! [`Verifier::restore`] for a replay.

pub(crate) mod batch;
mod envelope;
mod fields;
mod identity;
pub(crate) mod preview;
mod restore;
#[cfg(test)]
mod tests;
mod trace_context;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use floodgate_batch::Media;
use floodgate_event::id::BodyHash;
use floodgate_event::proto::KeyKind;
use floodgate_event::scheme::Settings;
use floodgate_event::shard::ShardCount;
use floodgate_event::snapshot::Source;
use floodgate_event::source::{Dedup, Intake, Locator, OnVerifyFailure, RawPolicy};
use floodgate_event::{ClientCertificates, Digest256, Lane, Name, time};
use floodgate_listen::{Client, RequestContext};
use floodgate_schemes::{
    Answer, Failure, InvalidSettings, NoPublishedKeys, Preset, PublishedKeys, Scheme, Secrets,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, Method};

use self::envelope::Signed;
use self::fields::Fields;
use self::identity::{key_kind, unsigned_header};
use crate::accept::{Received, Refusal, Refused};
use crate::stage::Verified;
use floodgate_published::{NotFetched, Published, Wanted};
use floodgate_rejects::Shown;

/// What all events of this gateway share at one revision.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) region: Name,
    pub(crate) revision: u64,
    pub(crate) shards: ShardCount,
}

/// Verifies the requests of one source, at one revision.
#[derive(Debug)]
pub(crate) struct Verifier {
    name: Name,
    tenant: Name,
    scheme: Arc<Scheme>,
    /// The settings that the scheme was made of.
    settings: Settings,
    deployment: Deployment,
    intake: Arc<Intake>,
    most_urgent: Lane,
    fields: Fields,
    /// The SHA-256 of each token, if own applications send to the source.
    tokens: Vec<Digest256>,
    /// True if each request is an event of its own.
    is_unique: bool,
    /// The kind of key that the provider's id makes. `None` if that id does not decide what is a duplicate.
    id_is: Option<KeyKind>,
    /// The header of the event's type, if the signature does not cover it.
    unsigned_type: Option<HeaderName>,
}

/// What a verified request turned out to be.
pub(crate) enum Verification {
    /// An event.
    Event(Box<Verified>),
    /// A handshake, with the answer to it.
    Handshake(Answer),
}

impl Verifier {
    /// Returns the most urgent lane that the source's types lead to.
    pub(crate) fn most_urgent(&self) -> Lane {
        self.most_urgent
    }

    /// Prepares the scheme of a source, once per revision.
    ///
    /// # Errors
    /// If a secret or a setting does not fit the scheme, or there is no secret: an unset secret must never
    /// verify anything.
    pub(crate) fn new(
        name: Name,
        source: &Source,
        secrets: Secrets,
        deployment: Deployment,
    ) -> Result<Self, InvalidSettings> {
        let settings = settings_of(source);
        let tokens = batch::tokens(source, &secrets);
        let scheme = Arc::new(Scheme::new(&source.scheme, &settings, secrets)?);
        let intake = Arc::new(source.intake.clone());
        let preset = scheme.preset();
        let event_id = intake.event_id.clone().or_else(|| preset.id.map(Locator::from));
        let event_type = intake.event_type.clone().or_else(|| preset.event_type.map(Locator::from));
        Ok(Self {
            name,
            tenant: source.tenant.clone(),
            deployment,
            // Where bodies repeat, only an id tells two events apart.
            is_unique: intake.dedup == Dedup::None || (preset.bodies_repeat && event_id.is_none()),
            id_is: event_id.as_ref().and_then(|event_id| key_kind(&scheme, intake.dedup, event_id)),
            unsigned_type: event_type.as_ref().and_then(|event_type| unsigned_header(&scheme, event_type)),
            // Lanes are in the order of their urgency.
            most_urgent: intake.lanes.values().copied().chain([intake.lane]).min().unwrap_or_default(),
            fields: match preset.own_applications {
                // Their ids and types are read when their events are found.
                true => Fields::new(None, None, intake.order_by.as_ref()),
                false => Fields::new(event_id.as_ref(), event_type.as_ref(), intake.order_by.as_ref()),
            },
            scheme,
            settings,
            intake,
            tokens,
        })
    }

    /// Returns true if the source has the same scheme with the same settings.
    pub(crate) fn is_as_strict_as(&self, source: &Source) -> bool {
        let has_scheme = self.scheme.preset().name == source.scheme.as_str();
        let has_settings = self.settings == settings_of(source) && *self.intake == source.intake;
        has_scheme && has_settings && self.tenant == source.tenant
    }

    /// Returns the settings of the source that need neither secrets nor handlers.
    pub(crate) fn intake(&self) -> &Intake {
        &self.intake
    }

    /// Refuses a request without a signature before its body is read, and one of an own application whose
    /// content type does not carry events.
    ///
    /// # Errors
    /// [`Refusal::SignatureRefused`] or [`Refusal::UnsupportedMediaType`].
    pub(crate) fn check_signed(&self, parts: &Parts) -> Result<(), Refusal> {
        self.scheme.require(parts.method.as_str(), &parts.headers)?;
        match self.preset().own_applications {
            true => Ok(Media::of(&parts.headers).map(drop)?),
            false => Ok(()),
        }
    }

    /// Returns the methods of the source's path, for the header `Allow`.
    pub(crate) fn allow(&self) -> &'static str {
        let asks = |method| self.scheme.preset().handshakes.iter().any(|asked| asked.is_unsigned(method));
        match (asks("GET"), asks("HEAD")) {
            (true, true) => "GET, HEAD, POST, OPTIONS",
            (true, false) => "GET, POST, OPTIONS",
            (false, true) => "HEAD, POST, OPTIONS",
            (false, false) => "POST, OPTIONS",
        }
    }

    /// Returns what may be shown of a request to this source.
    pub(crate) fn shows<T>(&self, show: impl FnOnce(Shown<'_>) -> T) -> T {
        let is_secret = |name: &str| self.scheme.is_secret_header(name);
        let secret_parameters = self.scheme.preset().secret_parameters;
        let body = self.intake.raw == RawPolicy::Keep && !self.scheme.preset().secret_in_body;
        show(Shown { is_secret: &is_secret, secret_parameters, is_known: true, body })
    }

    /// Returns true if requests whose signature fails are to be held.
    pub(crate) fn holds(&self) -> bool {
        self.intake.on_verify_failure == OnVerifyFailure::Hold
    }

    /// Returns the tenant of the source.
    pub(crate) fn tenant(&self) -> &Name {
        &self.tenant
    }

    /// Returns the preset, which says what answers its provider wants.
    pub(crate) fn preset(&self) -> &'static Preset {
        self.scheme.preset()
    }

    /// Answers a handshake that comes by another method than POST. Returns `None` for any other request.
    ///
    /// # Errors
    /// [`Refusal::SignatureRefused`].
    pub(crate) fn question(&self, parts: &Parts, received_at: SystemTime) -> Option<Result<Answer, Refusal>> {
        if parts.method == Method::POST {
            return None;
        }
        let request = request_of(parts, &[], received_at);
        self.scheme.question(&request).map(|answer| answer.map_err(Refusal::from))
    }

    /// Verifies a request, and only then decodes its body. Waits for a key that has to be fetched first.
    ///
    /// # Errors
    /// [`Refusal::SignatureRefused`], the faults of the body's encoding, or [`Refusal::TypeRefused`].
    pub(crate) async fn verify(
        &self,
        request: Received,
        published: &Published,
    ) -> Result<Verification, Refused> {
        let received = match self.check(&request, published) {
            Err(Failure::UnknownKey(address)) => {
                let fetched = match self.wanted(&address) {
                    // Boxed, because it is rare and large.
                    Some(wanted) => Box::pin(published.wait_for(wanted)).await,
                    None => Err(NotFetched),
                };
                match fetched {
                    Ok(()) => self.check(&request, published),
                    Err(NotFetched) => Err(Failure::UnknownKey(address)),
                }
            }
            received => received,
        };
        match received {
            Ok(floodgate_schemes::Received::Event(secret)) => {
                Ok(Verification::Event(Box::new(self.event(request, secret)?)))
            }
            Ok(floodgate_schemes::Received::Handshake(answer)) => Ok(Verification::Handshake(answer)),
            Err(failure) => Err(Refused::whole(failure.into(), request)),
        }
    }

    fn check(
        &self,
        request: &Received,
        published: &Published,
    ) -> Result<floodgate_schemes::Received<'_>, Failure> {
        self.scheme.receive(&as_received(request, published))
    }

    /// Returns the addresses of this source's keys, as far as they are known before a request names them.
    pub(crate) fn publishers(&self) -> impl Iterator<Item = Wanted> {
        self.scheme.publishers().into_iter().filter_map(|address| self.wanted(address))
    }

    fn wanted(&self, address: &str) -> Option<Wanted> {
        Some(Wanted {
            address: address.to_owned(),
            fetch: self.scheme.fetch(address)?,
            source: self.name.clone(),
            scheme: Arc::clone(&self.scheme),
        })
    }

    /// Refuses senders that are not in the source's networks, or have not the certificate that it asks for.
    ///
    /// # Errors
    /// [`Refusal::SignatureRefused`].
    pub(crate) fn check_sender(&self, context: &RequestContext, at: SystemTime) -> Result<(), Refusal> {
        self.check_peer(context.peer.ip(), context.client.as_deref().map(Client::certificates), at)
    }

    /// The same for a request that was held.
    ///
    /// # Errors
    /// As [`Self::check_sender`].
    pub(crate) fn check_peer(
        &self,
        sender: IpAddr,
        client: Option<&ClientCertificates>,
        at: SystemTime,
    ) -> Result<(), Refusal> {
        if !self.scheme.admits(sender) {
            return Err(Failure::NotAllowed { what: format!("the address {sender}") }.into());
        }
        Ok(self.scheme.admits_client(client, seconds(at))?)
    }

    /// Returns true if only TLS clients with a certificate may send.
    pub(crate) fn needs_client_certificate(&self) -> bool {
        self.scheme.needs_client_certificate()
    }

    /// Reads the body of a request that this secret signed.
    fn event(&self, mut request: Received, secret: &str) -> Result<Verified, Refusal> {
        let body = request.decode()?;
        let headers = &request.parts().headers;
        let found = self.fields.find(headers, &body);
        // This comes first, because an unsigned type must not turn one signed body into many events.
        if !self.intake.takes(found.event_type.as_deref().unwrap_or_default()) {
            return Err(Refusal::TypeRefused);
        }
        let body_hash = BodyHash::of(request.raw());
        let identity = self.identify(&found, &body_hash, &request);
        let shard = self.shard(identity.id, &found);
        let unread = found.unread().map(|(field, why)| (field, why.as_str())).collect();
        let signed = Signed { identity, body_hash, secret_id: secret };
        let event = self.envelope(&request, found, signed);
        let (intake, (raw, memory)) = (Arc::clone(&self.intake), request.into_counted());
        Ok(Verified { event, raw: Some(raw), body, intake, shard, unread, memory })
    }
}

fn settings_of(source: &Source) -> Settings {
    Settings { tolerance_seconds: source.tolerance_seconds, ..source.settings.clone() }
}

fn as_received<'r>(
    request: &'r Received,
    published: &'r dyn PublishedKeys,
) -> floodgate_schemes::Request<'r> {
    let described = request_of(request.parts(), request.raw(), request.at());
    floodgate_schemes::Request { published, client: request.client(), ..described }
}

/// Describes a request to a scheme. Of the URL there is only what a scheme reads parameters from. The rest of
/// the provider's URL is a setting of the source.
fn request_of<'r>(parts: &'r Parts, body: &'r [u8], at: SystemTime) -> floodgate_schemes::Request<'r> {
    floodgate_schemes::Request {
        method: parts.method.as_str(),
        url: parts.uri.path_and_query().map_or("", PathAndQuery::as_str),
        headers: &parts.headers,
        body,
        now: seconds(at),
        published: &NoPublishedKeys,
        client: None,
    }
}

fn seconds(at: SystemTime) -> u64 {
    time::unix_micros(at) / 1_000_000
}

/// If a key is not there now, that is not the sender's fault, and the sender should try again.
impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::UnknownKey(_) => Self::Unverified(failure),
            failure => Self::SignatureRefused(failure),
        }
    }
}
