//! Verifies held requests again: by the source as it is now, with the time of receipt as `now`. A request
//! that verifies passes the same stages as any event.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use floodgate_event::held::OpenError;
use floodgate_event::proto::held_verified::Result as Outcome;
use floodgate_event::proto::{HeldAccepted, HeldRequest, VerifyHeld};
use floodgate_event::{Digest256, format, held, subject};
use floodgate_listen::{Account, Client, Reservation};
use floodgate_published::Published;
use http::{HeaderName, HeaderValue, Request};
use prost::Message as _;
use tokio::sync::watch;

use super::key_ring::KeyRing;
use super::replay::{self, NotReplayed};
use super::requests::Answers;
use super::state::State;
use crate::accept::{Received, Refusal, Sent};
use crate::stage::Verified;
use crate::verify::Verification;

/// How many bytes a request takes besides its message, which is held twice: sealed and opened.
const OVERHEAD: usize = 8 * 1024;

/// Answers the relay's requests to verify a held request.
pub(super) struct HeldRequests {
    pub(super) state: Arc<State>,
    pub(super) memory: Account,
    pub(super) ring: watch::Receiver<KeyRing>,
    pub(super) published: Published,
}

impl Answers for HeldRequests {
    const SUBJECT: &'static str = subject::VERIFY_HELD;
    const SLOTS: usize = 8;

    async fn answer(&self, payload: Bytes) -> Vec<u8> {
        let mut peer = String::new();
        let outcome = self.verify(payload, &mut peer).await.unwrap_or_else(Outcome::from);
        held::answer(peer, outcome).encode_to_vec()
    }
}

impl HeldRequests {
    async fn verify(&self, payload: Bytes, peer: &mut String) -> Result<Outcome, NotReplayed> {
        self.state.readiness().map_err(NotReplayed::unavailable)?;
        let memory = self.memory.reserve(2 * payload.len() + OVERHEAD).map_err(NotReplayed::unavailable)?;
        let VerifyHeld { request, dry_run, .. } = format::decode(payload).map_err(NotReplayed::refused)?;
        // `decode` has checked that it is there.
        let sealed = request.unwrap_or_default();
        let opened = {
            let ring = self.ring.borrow();
            let Some(key) = ring.of_id(&sealed.key) else {
                // Another gateway of the region may have it, or this one did before it was restarted.
                return Ok(Outcome::WithoutKey(sealed.key));
            };
            held::open(key, &sealed)?
        };
        peer.clone_from(&opened.peer);
        let served = self.state.served().ok_or_else(|| NotReplayed::unavailable("no configuration yet"))?;
        let source = replay::source(&served, &sealed.source)?;
        if source.verifier.tenant().as_str() != sealed.tenant {
            return Err(NotReplayed::refused("it was held for another tenant's source"));
        }
        if source.verifier.preset().own_applications {
            return Err(NotReplayed::refused(
                "requests of own applications are not held: have them sent again",
            ));
        }
        served.check_age(source, SystemTime::now())?;
        let most = source.verifier.intake().max_body_bytes as usize;
        let received = received(opened, Digest256::of(&sealed.sealed), most, memory)?;
        source.verifier.check_peer(received.peer().ip(), received.client(), received.at())?;
        let verified = match source.verifier.verify(received, &self.published).await {
            Ok(Verification::Event(verified)) => *verified,
            Ok(Verification::Handshake(_)) => {
                return Err(NotReplayed::refused("it is a handshake, and no event"));
            }
            Err(refused) => return Err(refused.refusal.into()),
        };
        let secret_id = verified.event.secret_id.clone();
        if !dry_run {
            self.enqueue(&served, source, verified).await?;
        }
        Ok(Outcome::Accepted(HeldAccepted { secret_id }))
    }

    async fn enqueue(
        &self,
        served: &super::served::Served,
        source: &super::served::Source,
        verified: Verified,
    ) -> Result<(), NotReplayed> {
        if self.state.runs_no_handlers() && source.chain.has_handlers() {
            return Err(NotReplayed::unavailable("handlers stopped"));
        }
        let handled = source.chain.run(verified).await.map_err(Refusal::from)?;
        served.enqueue().put(&source.name, handled).await.map_err(Refusal::from)?;
        Ok(())
    }
}

/// The request as it was received.
fn received(
    held: HeldRequest,
    digest: Digest256,
    most: usize,
    memory: Reservation,
) -> Result<Received, NotReplayed> {
    let HeldRequest { received_at_us, peer, method, target, headers, body, client_certificates, .. } = held;
    let mut request = Request::new(());
    *request.method_mut() = method.parse().map_err(NotReplayed::refused)?;
    *request.uri_mut() = target.parse().map_err(NotReplayed::refused)?;
    for header in headers {
        let name = HeaderName::try_from(header.name).map_err(NotReplayed::refused)?;
        let value = HeaderValue::from_maybe_shared(header.value).map_err(NotReplayed::refused)?;
        request.headers_mut().append(name, value);
    }
    let peer: SocketAddr = peer.parse().map_err(NotReplayed::refused)?;
    let at = SystemTime::UNIX_EPOCH + Duration::from_micros(received_at_us);
    // The certificates are counted with the message that they came in.
    let client = Client::again(client_certificates, Reservation::uncounted()).map(Arc::new);
    let sent = Sent { peer, client, at, copy_of: Some(digest) };
    Ok(Received::again(request.into_parts().0, body, most, sent, memory)?)
}

impl From<NotReplayed> for Outcome {
    fn from(reason: NotReplayed) -> Self {
        match reason {
            NotReplayed::Unavailable(reason) => Self::Unavailable(reason),
            NotReplayed::Refused(reason) => Self::Refused(reason),
            NotReplayed::Fault(fault) => Self::Refused(fault.message),
        }
    }
}

impl From<Refusal> for NotReplayed {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unavailable(_) => Self::unavailable(refusal),
            // A key that is not published now may never be again.
            refusal => Self::refused(refusal),
        }
    }
}

impl From<OpenError> for NotReplayed {
    fn from(error: OpenError) -> Self {
        Self::refused(format!("it cannot be opened: {error}"))
    }
}
