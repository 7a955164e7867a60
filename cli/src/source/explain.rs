//! Explains, step by step, what a gateway would do with a request.

mod render;

use bytes::Bytes;
use floodgate_event::scheme::Settings;
use floodgate_gateway::Preview;
use floodgate_schemes::hints::{self, hints};
use floodgate_schemes::{Failure, Preset, PublishedKeys, Received, Request, Scheme, Secrets, Step};

use super::saved::Saved;

/// The steps, in their order.
const STEPS: [Step; 5] = [Step::Form, Step::Time, Step::Key, Step::Signature, Step::Audience];

/// A request and a source.
pub(super) struct Case<'a> {
    pub(super) scheme: &'a Scheme,
    pub(super) settings: &'a Settings,
    pub(super) secrets: &'a Secrets,
    pub(super) saved: &'a Saved,
    pub(super) url: &'a str,
    pub(super) now: u64,
    pub(super) published: &'a dyn PublishedKeys,
}

/// The result of each step, the event that the request would be, and hints.
pub(super) struct Explanation<'a> {
    case: &'a Case<'a>,
    outcome: Outcome,
    /// The event that the request is, or would be if it were valid; none for a handshake.
    event: Option<Result<Preview, String>>,
    /// What may be wrong.
    hints: Vec<String>,
}

enum Outcome {
    /// An event that the key of this id signed.
    Event(String),
    /// A question of the provider, which is answered with this status.
    Handshake(u16),
    Refused(Failure),
}

/// How a step went.
enum State<'a> {
    Passed,
    Failed(&'a Failure),
    NotReached,
    /// Requests of the scheme have no signed time.
    NoTime,
}

/// Verifies the request and looks for what may be wrong.
pub(super) fn explain<'a>(case: &'a Case<'a>) -> Explanation<'a> {
    let outcome = match case.scheme.receive(&case.request(case.now)) {
        Ok(Received::Event(key)) => Outcome::Event(key.to_owned()),
        Ok(Received::Handshake(answer)) => Outcome::Handshake(answer.status),
        Err(failure) => Outcome::Refused(failure),
    };
    let hints = match &outcome {
        Outcome::Refused(failure) => case.hints(failure),
        Outcome::Event(_) | Outcome::Handshake(_) => vec![],
    };
    let body = Bytes::copy_from_slice(&case.saved.body);
    let event = || floodgate_gateway::preview(case.scheme, &case.saved.headers, &body);
    let event = (!matches!(outcome, Outcome::Handshake(_))).then(event);
    Explanation { case, outcome, event, hints }
}

impl Case<'_> {
    fn request(&self, now: u64) -> Request<'_> {
        Request {
            method: &self.saved.method,
            url: self.url,
            headers: &self.saved.headers,
            body: &self.saved.body,
            now,
            published: self.published,
            client: None,
        }
    }

    fn preset(&self) -> &'static Preset {
        self.scheme.preset()
    }

    fn hints(&self, failure: &Failure) -> Vec<String> {
        let mut said = match failure {
            Failure::Stale { seconds, .. } => self.at_its_time(self.now.saturating_add_signed(*seconds)),
            Failure::UnknownKey(address) => {
                vec![format!(
                    "a gateway fetches this key, and this command does not: save what {address} publishes, and give \
                     --published ADDRESS=FILE"
                )]
            }
            _ => vec![],
        };
        said.extend(self.tried(failure, self.now));
        said
    }

    /// Says what a verification at the time of the request would find.
    fn at_its_time(&self, at: u64) -> Vec<String> {
        match self.scheme.receive(&self.request(at)) {
            Ok(_) => vec![format!("only the age is wrong: with --at {at} the request is valid")],
            Err(failure) => {
                let step = failure.step().as_str();
                let mut said = vec![format!("with --at {at} it is still refused: {step}: {failure}")];
                if failure.step() != Step::Time {
                    said.extend(self.tried(&failure, at));
                }
                said
            }
        }
    }

    fn tried(&self, failure: &Failure, now: u64) -> Vec<String> {
        let (settings, secrets, request) = (self.settings, self.secrets, &self.request(now));
        hints(&hints::Case { preset: self.preset(), settings, secrets, request }, failure)
    }
}

impl Explanation<'_> {
    fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Refused(failure) => Some(failure),
            Outcome::Event(_) | Outcome::Handshake(_) => None,
        }
    }

    /// Why the request is refused, if it is.
    pub(super) fn refusal(&self) -> Option<String> {
        let failure = self.failure()?;
        Some(format!("the request is refused: {}: {failure}", failure.step().as_str()))
    }

    fn steps(&self) -> impl Iterator<Item = (Step, State<'_>)> {
        let failed = self.failure().and_then(|failure| place(failure.step()));
        STEPS.into_iter().enumerate().map(move |(number, step)| {
            let state = match (failed, self.failure()) {
                (Some(failed), Some(failure)) if number == failed => State::Failed(failure),
                (Some(failed), _) if number > failed => State::NotReached,
                _ if step == Step::Time && !self.case.preset().has_time(self.case.settings) => State::NoTime,
                _ => State::Passed,
            };
            (step, state)
        })
    }
}

fn place(step: Step) -> Option<usize> {
    STEPS.iter().position(|other| *other == step)
}

#[cfg(test)]
mod tests;
