//! Says what may be wrong with a request that was refused. It tries common mistakes one by one, and names a
//! mistake if the signature verifies with it. No hint contains a secret, or the signature that would have
//! been right.

mod body;
mod form;
mod json;
mod key;
mod url;

use floodgate_event::scheme::{Settings, Template, Timestamp, Unit};
use floodgate_event::source::Intake;
use http::HeaderMap;

use crate::guess::{Guess, Outcome, guess};
use crate::preset::Preset;
use crate::scheme::url_of;
use crate::{Failure, Request, Secrets, Step, template};

/// The longest body that is tried in other forms: no source takes a longer one.
const MAX_BODY_BYTES: usize = Intake::MAX_BODY_BYTES as usize;
/// How many presets are named that a request may be of.
const MAX_NAMED: usize = 5;
/// The longest tolerance that is named: a source can have no longer one.
const MAX_TOLERANCE_SECONDS: u64 = 86_400;

/// A request that was refused, and what refused it.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The preset that refused the request.
    pub preset: &'static Preset,
    /// The settings of the source, with its public keys.
    pub settings: &'a Settings,
    /// The secrets of the source, without its public keys.
    pub secrets: &'a Secrets,
    /// The request that was refused.
    pub request: &'a Request<'a>,
}

/// What a mistake changes. A field that is `None` is as in the case.
#[derive(Default)]
struct Mistake<'m> {
    template: Option<Template>,
    secrets: Option<Secrets>,
    headers: Option<HeaderMap>,
    body: Option<&'m [u8]>,
    url: Option<&'m str>,
}

/// Returns what may be wrong, the most likely first. It does not try other times of receipt: the caller can
/// ask again with another time.
pub fn hints(case: &Case<'_>, failure: &Failure) -> Vec<String> {
    match failure.step() {
        Step::Form => other(case).or_else(|| alike(case)).into_iter().collect(),
        Step::Time => times(case, failure),
        Step::Signature if case.request.body.len() <= MAX_BODY_BYTES => {
            [key::hint, form::hint, body::hint, url::hint, other]
                .iter()
                .filter_map(|hint| hint(case))
                .collect()
        }
        Step::Signature | Step::Key | Step::Audience => vec![],
    }
}

impl Case<'_> {
    /// Returns true if the request verifies with this mistake.
    fn holds(&self, mistake: Mistake<'_>) -> bool {
        let mut settings = self.settings.clone();
        settings.tolerance_seconds = settings.tolerance_seconds.or(self.preset.tolerance_seconds);
        let secrets = mistake.secrets.as_ref().unwrap_or(self.secrets);
        let verify = match &mistake.template {
            Some(template) => template::prepare(template, &settings, secrets),
            None => self.preset.signing.prepare(&settings, secrets),
        };
        let headers = mistake.headers.as_ref().unwrap_or(self.request.headers);
        let body = mistake.body.unwrap_or(self.request.body);
        let url = mistake.url.map_or_else(|| url_of(&settings, self.request), Into::into);
        let request = Request { headers, body, url: &url, ..*self.request };
        verify.is_ok_and(|verify| verify.verify(&request).is_ok())
    }

    /// Returns the template by which the scheme signs, or `None` if it signs by no template.
    fn template(&self) -> Option<&Template> {
        self.preset.signing.template().or(self.settings.signature.as_ref())
    }
}

fn times(case: &Case<'_>, failure: &Failure) -> Vec<String> {
    let Failure::Stale { seconds, .. } = *failure else { return vec![] };
    if let Some(hint) = unit(case) {
        return vec![hint];
    }
    let needed = seconds.unsigned_abs();
    let ahead = (seconds > 0).then(|| {
        "the signed time is ahead of now: compare the clocks of the sender and of this host".to_owned()
    });
    let tolerance = (needed <= MAX_TOLERANCE_SECONDS).then(|| {
        format!("a tolerance of {needed} s would let the time pass, and captured requests for as long")
    });
    ahead.into_iter().chain(tolerance).collect()
}

/// Tries the other unit of time.
fn unit(case: &Case<'_>) -> Option<String> {
    let template = case.template()?;
    let timestamp = template.timestamp.clone()?;
    let (unit, name) = match timestamp.unit {
        Unit::Seconds => (Unit::Milliseconds, "milliseconds"),
        Unit::Milliseconds => (Unit::Seconds, "seconds"),
    };
    let template = Template { timestamp: Some(Timestamp { unit, ..timestamp }), ..template.clone() };
    let holds = case.holds(Mistake { template: Some(template), ..Mistake::default() });
    holds.then(|| format!("it verifies if the signed time is in {name}"))
}

/// Names another provider by whose scheme the request verifies.
fn other(case: &Case<'_>) -> Option<String> {
    guesses(case).into_iter().find_map(|guess| match guess.outcome {
        Outcome::Verified(_) => Some(format!("it verifies as `{}`", guess.preset.name)),
        Outcome::Handshake => Some(format!("it is a handshake of `{}`", guess.preset.name)),
        Outcome::Refused(_) | Outcome::NoKey(_) => None,
    })
}

/// Names the providers whose requests have the same headers and fields.
fn alike(case: &Case<'_>) -> Option<String> {
    let guesses = guesses(case).into_iter().take(MAX_NAMED);
    let names: Vec<String> = guesses.map(|guess| format!("`{}`", guess.preset.name)).collect();
    (!names.is_empty()).then(|| format!("it has what requests of {} have", names.join(", ")))
}

/// Returns the presets that the request fits. The preset of the case is never the certain one: it refused the
/// request.
fn guesses(case: &Case<'_>) -> Vec<Guess> {
    guess(case.request, case.settings, case.secrets)
}

#[cfg(test)]
mod tests;
