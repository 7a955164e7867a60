//! Answers a refusal, and counts, records and holds what was refused.

use std::net::SocketAddr;
use std::sync::Arc;

use floodgate_event::proto::Reject;
use floodgate_ingress::Outcome;
use floodgate_rejects::reason;
use floodgate_schemes::Step;
use tracing::{debug, warn};

use super::super::refused;
use super::super::served::Source;
use super::{Answered, Ingest};
use crate::accept::arriving::Arriving;
use crate::accept::refusal::Unavailable;
use crate::accept::{Arrived, Refusal, Refused, answer};

impl Ingest {
    pub(super) async fn refuse(
        &self,
        refused: Refused,
        source: Option<&Source>,
        body: &mut Arriving,
        peer: SocketAddr,
    ) -> Answered {
        let Refused { refusal, request } = refused;
        let refusal = match source {
            Some(source) if source.verifier.preset().own_applications => refusal.of_token(),
            _ => refusal,
        };
        let refused = Refused { refusal, request };
        self.count(&refused.refusal, source, peer);
        match source.filter(|source| is_held(source, &refused)) {
            Some(source) => self.hold(source, &refused.refusal, refused.request, peer).await,
            None => {
                self.record(&refused, source, peer);
                // Not kept while the rest of the body arrives: its memory is given back already.
                drop(refused.request);
            }
        }
        let refusal = refused.refusal;
        let goes_on = body.let_go().await;
        let code = refusal.outcome();
        let mut response = refusal.into_response();
        let source_name = source.map(|source| source.name.clone());
        self.tell(&mut response, || Outcome { code, source: source_name, event: None });
        match source {
            Some(source) if source.verifier.preset().without_bodies => {
                (answer::without_body(response), goes_on)
            }
            _ => (response, goes_on),
        }
    }

    /// Counts, logs and records a refusal.
    pub(super) fn note(&self, refused: &Refused, source: Option<&Source>, peer: SocketAddr) {
        self.count(&refused.refusal, source, peer);
        self.record(refused, source, peer);
    }

    /// Counts a refusal, and logs it. Anyone can cause refusals at any rate, so most are logged only at
    /// `debug`. The reason of a refused signature is what an operator looks for first, so it is logged at a
    /// bounded rate.
    fn count(&self, refusal: &Refusal, source: Option<&Source>, peer: SocketAddr) {
        let name = source.map(|source| &source.name);
        self.metrics.refused(name, refusal.outcome());
        if let Refusal::Unavailable(Unavailable::Shed(shed)) = refusal {
            self.metrics.shed(*shed);
        }
        let unverified = match refusal {
            Refusal::SignatureRefused(why) | Refusal::Unverified(why) | Refusal::Unauthorized(why) => {
                Some(why)
            }
            _ => None,
        };
        if let (Some(why), Some(source)) = (unverified, source) {
            self.metrics.signature_refused(&source.name, why.as_str());
            if let Some(left_out) = source.refusals.admit() {
                let reason = reason(why);
                warn!(source = source.name.as_str(), %peer, reason, left_out, "signature refused");
            }
        }
        debug!(source = name.map(|name| name.as_str()), %peer, %refusal, "request refused");
    }

    fn record(&self, refused: &Refused, source: Option<&Source>, peer: SocketAddr) {
        let name = source.map(|source| source.name.as_str());
        let request = refused.request.as_deref();
        self.rejects.note(name, peer.ip(), || refused::row(&refused.refusal, request, source, peer));
    }

    /// Holds a request and records it. A sender that goes away ends neither.
    async fn hold(
        &self,
        source: &Source,
        refusal: &Refusal,
        request: Option<Box<Arrived>>,
        peer: SocketAddr,
    ) {
        let row = refused::row(refusal, request.as_deref(), Some(source), peer);
        let (holder, rejects) = (Arc::clone(&self.holder), self.rejects.clone());
        let (tenant, name) = (source.verifier.tenant().clone(), source.name.clone());
        let held = tokio::spawn(async move {
            let Some(Arrived { parts, body: Some(body) }) = request.as_deref() else { return };
            let (owner, bytes) = ((tenant.as_str(), name.as_str()), body.raw.len());
            let whole = || refused::held_request(parts, body, peer);
            let held = holder.hold(owner, peer.ip(), whole, bytes).await;
            rejects.note(Some(name.as_str()), peer.ip(), || Reject { held, ..row });
        });
        // It only fails if it panics.
        let _ = held.await;
    }
}

/// Returns true if the request is to be held. One that lacks what the scheme needs was not signed.
fn is_held(source: &Source, Refused { refusal, request }: &Refused) -> bool {
    let is_signed = matches!(refusal, Refusal::SignatureRefused(why) if why.step() != Step::Form);
    let is_whole = request.as_ref().is_some_and(|request| request.body.is_some());
    source.verifier.holds() && is_signed && is_whole
}
