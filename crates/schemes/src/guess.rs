//! Which provider may have sent a request: the presets whose headers it has.

mod candidate;

use std::cmp::Reverse;

use floodgate_event::scheme::Settings;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use self::candidate::Candidate;
use crate::preset::{At, Preset};
use crate::{Failure, NoPublishedKeys, Received, Request, Scheme, Secrets, Step};
use crate::{fields, presets};

/// A preset that the request may be of.
#[derive(Debug)]
pub struct Guess {
    /// The preset whose headers and fields the request has.
    pub preset: &'static Preset,
    /// What came of verifying the request by the preset.
    pub outcome: Outcome,
    evidence: Evidence,
}

/// What came of verifying a request by a preset whose headers and fields it has.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The request verifies, by the key of this id.
    Verified(String),
    /// The request is a handshake of the provider. If the provider signs its handshakes, the signature
    /// verifies.
    Handshake,
    /// The request does not verify with the keys that were given.
    Refused(Failure),
    /// No given key has the form that the scheme needs. The failure comes from a placeholder key, so it means
    /// something only if its step comes before [`Step::Signature`].
    NoKey(Failure),
}

/// How well a request fits a preset. The fields are in the order of their weight.
#[derive(Debug)]
struct Evidence {
    is_certain: bool,
    /// How many headers of the request the scheme needs, without those that any sender may have.
    headers: usize,
    /// How much of the event's id and type is where the provider puts it.
    fields: usize,
}

/// Names the presets that the request fits, the most specific first. `secrets` may contain public keys. A
/// setting that `settings` lacks gets a placeholder.
pub fn guess(request: &Request<'_>, settings: &Settings, secrets: &Secrets) -> Vec<Guess> {
    let mut guesses: Vec<Guess> =
        presets::all().iter().filter_map(|preset| Guess::of(preset, request, settings, secrets)).collect();
    guesses.sort_by_key(|guess| (Reverse(guess.evidence.rank()), guess.preset.name));
    guesses
}

impl Evidence {
    fn rank(&self) -> (bool, usize, usize) {
        (self.is_certain, self.headers, self.fields)
    }
}

impl Guess {
    /// Returns `None` if the request lacks a header or a field that the preset needs.
    fn of(
        preset: &'static Preset,
        request: &Request<'_>,
        known: &Settings,
        secrets: &Secrets,
    ) -> Option<Self> {
        let candidate = Candidate::new(preset, known, request.url);
        let mine = with_keys(&candidate, secrets);
        let is_mine = mine.is_some();
        let scheme = mine.or_else(|| candidate.with_placeholders())?;
        if fits_anything(&scheme, request) {
            return None;
        }
        let before_its_key = candidate.scheme(&vec![], &[]);
        let asks = |scheme: &Scheme| matches!(scheme.question(request), Some(Ok(_)));
        let outcome = if asks(&scheme) || before_its_key.is_some_and(|scheme| asks(&scheme)) {
            Outcome::Handshake
        } else {
            outcome(&scheme, request, is_mine)?
        };
        let evidence = Evidence {
            is_certain: matches!(outcome, Outcome::Verified(_) | Outcome::Handshake),
            headers: needed(&scheme, request.headers),
            fields: [preset.id, preset.event_type].into_iter().flatten().map(|at| weight(at, request)).sum(),
        };
        Some(Self { preset, outcome, evidence })
    }
}

fn outcome(scheme: &Scheme, request: &Request<'_>, is_mine: bool) -> Option<Outcome> {
    match scheme.receive(request) {
        Err(failure) if failure.step() == Step::Form => None,
        Err(failure) if is_mine => Some(Outcome::Refused(failure)),
        Err(failure) => Some(Outcome::NoKey(failure)),
        // Whatever a placeholder verifies says nothing.
        Ok(_) if !is_mine && !by_published_key(scheme, request) => None,
        Ok(Received::Event(key)) => Some(Outcome::Verified(key.to_owned())),
        Ok(Received::Handshake(_)) => Some(Outcome::Handshake),
    }
}

fn by_published_key(scheme: &Scheme, request: &Request<'_>) -> bool {
    let without = scheme.receive(&Request { published: &NoPublishedKeys, ..*request });
    matches!(without, Err(failure) if failure.step() == Step::Key)
}

/// Prepares the scheme with those keys that have the form it needs. Returns `None` if no key has it, unless
/// the provider publishes the keys.
fn with_keys(candidate: &Candidate<'_>, secrets: &Secrets) -> Option<Scheme> {
    let (mut usable, mut public) = (vec![], vec![]);
    for secret in secrets {
        let (text, one) = (secret.secret.expose().to_owned(), vec![secret.clone()]);
        if candidate.scheme(&one, &[]).is_some() {
            usable.extend(one);
        } else if candidate.scheme(&vec![], std::slice::from_ref(&text)).is_some() {
            public.push(text);
        }
    }
    let scheme = candidate.scheme(&usable, &public)?;
    // Without any key it is ready for what comes before the provider has chosen one, and for nothing else.
    let waits = candidate.preset.key_comes_later() && usable.is_empty();
    (!waits).then_some(scheme)
}

/// Returns true if the scheme does not refuse an empty request for its form. Such a scheme says nothing about
/// this request.
fn fits_anything(scheme: &Scheme, request: &Request<'_>) -> bool {
    let headers = HeaderMap::new();
    let empty = Request { url: "", headers: &headers, body: b"", published: &NoPublishedKeys, ..*request };
    !matches!(scheme.receive(&empty), Err(failure) if failure.step() == Step::Form)
}

/// Counts the headers without which the scheme refuses the request.
fn needed(scheme: &Scheme, headers: &HeaderMap) -> usize {
    if scheme.require_headers(headers).is_err() {
        return 0;
    }
    let is_needed = |name: &&http::HeaderName| {
        let mut others = headers.clone();
        others.remove(*name);
        scheme.require_headers(&others).is_err()
    };
    headers.keys().filter(|name| *name != AUTHORIZATION).filter(is_needed).count()
}

/// Returns how much a value at this place counts. A header of the provider counts more than a field of the
/// body such as `/id`, which many bodies have.
fn weight(at: At, request: &Request<'_>) -> usize {
    match at {
        At::Header(name) => 2 * usize::from(request.headers.contains_key(name)),
        At::Json(pointer) => usize::from(fields::text(request.body, pointer).is_ok()),
    }
}
