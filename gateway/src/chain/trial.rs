//! A version on trial beside the promoted one, and how it compares.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use floodgate_event::report::{Difference, MAX_SAMPLES, TrialReport, TrialTally};
use floodgate_event::rollout::{self, TrialKind};
use floodgate_event::{EventId, Name};
use floodgate_sandbox::{Change, Child, Fault, FaultKind, Granted, HandlerAnswer, HeaderPair, Outcome};

use super::version::{Version, VersionRun};

/// A version that is tried on a share of a source's events.
#[derive(Clone, Debug)]
pub struct Trial {
    spec: rollout::Trial,
    version: Arc<Version>,
    /// What the binding grants, with counters that nobody reads: a trial must not change what handlers count.
    granted: Arc<Granted>,
    comparison: Arc<Comparison>,
}

/// The counts of a trial in this process, over all sources.
#[derive(Debug)]
pub struct Comparison {
    handler: Name,
    id: u64,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    tally: TrialTally,
    samples: Vec<Difference>,
}

impl Trial {
    /// Makes a trial of `version`. Its events are counted in `comparison`, and `granted` is
    /// [uncounted](Granted::uncounted).
    pub fn new(
        spec: rollout::Trial,
        version: Arc<Version>,
        granted: Arc<Granted>,
        comparison: Arc<Comparison>,
    ) -> Self {
        Self { spec, version, granted, comparison }
    }

    /// What its runs may ask of the host.
    pub(crate) fn granted(&self) -> &Arc<Granted> {
        &self.granted
    }

    pub(crate) fn takes(&self, event: &EventId) -> bool {
        self.spec.share.takes(event)
    }

    pub(crate) fn version(&self) -> &Arc<Version> {
        &self.version
    }

    /// Returns true if the version on trial decides about the event: a canary does, unless it failed.
    pub(crate) fn prevails(&self, tried: &VersionRun) -> bool {
        self.spec.kind == TrialKind::Canary && tried.result.is_ok()
    }

    pub(crate) fn is_canary(&self) -> bool {
        self.spec.kind == TrialKind::Canary
    }

    /// Counts an event that both versions ran on. If the event's time was over, the results say nothing about
    /// the versions, and nothing is counted.
    pub(crate) fn compare(&self, event: &str, source: &str, promoted: &VersionRun, tried: &VersionRun) {
        let out_of_time =
            |ran: &VersionRun| ran.result.as_ref().is_err_and(|fault| fault.kind() == FaultKind::Budget);
        if out_of_time(promoted) || out_of_time(tried) {
            return;
        }
        self.comparison.note(event, source, promoted, tried);
    }
}

impl Comparison {
    /// Begins a comparison without events.
    pub fn new(handler: Name, id: u64) -> Self {
        Self { handler, id, counts: Mutex::default() }
    }

    /// Returns the counts and differences for the gateway's report.
    pub fn report(&self) -> TrialReport {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, id, tally, samples) =
            (self.handler.clone(), self.id, counts.tally, counts.samples.clone());
        TrialReport { name, id, tally, samples }
    }

    fn note(&self, event: &str, source: &str, promoted: &VersionRun, tried: &VersionRun) {
        let parts = differing(&promoted.result, &tried.result);
        let tally = TrialTally {
            events: 1,
            faults: u64::from(tried.result.is_err() && promoted.result.is_ok()),
            differences: u64::from(tried.result.is_ok() && promoted.result.is_ok() && !parts.is_empty()),
            tried_us: micros(tried.duration),
            promoted_us: micros(promoted.duration),
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.tally += tally;
        if !parts.is_empty() && counts.samples.len() < MAX_SAMPLES {
            counts.samples.push(Difference {
                event: event.to_owned(),
                source: source.to_owned(),
                promoted: describe(&promoted.result),
                tried: describe(&tried.result),
                parts: parts.into_iter().map(str::to_owned).collect(),
            });
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn describe(result: &Result<Outcome, Fault>) -> String {
    match result {
        Ok(outcome) => outcome.as_str().to_owned(),
        Err(fault) => format!("fault: {}", fault.kind()),
    }
}

/// The parts in which two results differ. Empty if they are the same.
fn differing(one: &Result<Outcome, Fault>, other: &Result<Outcome, Fault>) -> Vec<&'static str> {
    match (one, other) {
        (Ok(one), Ok(other)) => differing_outcomes(one, other),
        (Err(one), Err(other)) if one.kind() == other.kind() => Vec::new(),
        _ => vec!["outcome"],
    }
}

fn differing_outcomes(one: &Outcome, other: &Outcome) -> Vec<&'static str> {
    let (one, other) = (Parts::of(one), Parts::of(other));
    one.into_iter().zip(other).filter(|(one, other)| one.1 != other.1).map(|(one, _)| one.0).collect()
}

/// The parts of an outcome, by name. A part that the outcome does not have is empty.
struct Parts;

impl Parts {
    fn of(outcome: &Outcome) -> [(&'static str, Part<'_>); 9] {
        let (mut reason, mut body, mut kind, mut lane) = (Part::None, Part::None, Part::None, Part::None);
        let (mut headers, mut children, mut status, mut deliver) =
            (Part::None, Part::None, Part::None, Part::None);
        match outcome {
            Outcome::Pass => {}
            Outcome::Drop { reason: why } => reason = Part::Text(why),
            Outcome::Change(Change { body: new, event_type, lane: to, headers: added }) => {
                body = new.as_deref().map_or(Part::None, Part::Bytes);
                kind = event_type.as_deref().map_or(Part::None, Part::Text);
                lane = to.map_or(Part::None, |to| Part::Text(to.as_str()));
                headers = Part::of_pairs(added);
            }
            Outcome::Split(all) => children = Part::Children(all),
            Outcome::Respond(HandlerAnswer {
                status: code,
                headers: pairs,
                body: text,
                deliver: goes_on,
            }) => {
                deliver = Part::Number(u16::from(*goes_on));
                (status, headers, body) = (Part::Number(*code), Part::of_pairs(pairs), Part::Bytes(text));
            }
        }
        [
            ("outcome", Part::Text(outcome.as_str())),
            ("reason", reason),
            ("body", body),
            ("type", kind),
            ("lane", lane),
            ("headers", headers),
            ("children", children),
            ("status", status),
            ("deliver", deliver),
        ]
    }
}

#[derive(PartialEq)]
enum Part<'a> {
    None,
    Text(&'a str),
    Bytes(&'a [u8]),
    Number(u16),
    Pairs(&'a [HeaderPair]),
    Children(&'a [Child]),
}

impl<'a> Part<'a> {
    fn of_pairs(pairs: &'a [HeaderPair]) -> Self {
        if pairs.is_empty() { Self::None } else { Self::Pairs(pairs) }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn ran(result: Result<Outcome, Fault>) -> VersionRun {
        VersionRun { result, log: Vec::new(), duration: Duration::from_micros(5) }
    }

    fn answer(deliver: bool) -> Outcome {
        Outcome::Respond(HandlerAnswer { status: 200, headers: Vec::new(), body: Bytes::new(), deliver })
    }

    fn body(text: &'static str) -> Outcome {
        Outcome::Change(Change { body: Some(Bytes::from_static(text.as_bytes())), ..Change::default() })
    }

    #[test]
    fn differences_are_named_without_what_differs() {
        let typed = Outcome::Change(Change { event_type: Some("a".into()), body: None, ..Change::default() });
        for (one, other, parts) in [
            (Outcome::Pass, Outcome::Pass, &[][..]),
            (body("a"), body("a"), &[]),
            (body("a"), body("b"), &["body"]),
            (body("a"), typed, &["body", "type"]),
            (Outcome::Pass, Outcome::Drop { reason: "no".into() }, &["outcome", "reason"]),
            (answer(true), answer(true), &[]),
            (answer(true), answer(false), &["deliver"]),
        ] {
            assert_eq!(differing(&Ok(one), &Ok(other)), parts);
        }
    }

    #[test]
    fn events_are_counted_and_some_differences_kept() {
        let comparison = Comparison::new("redact".parse().unwrap(), 7);
        let fault = || Err(Fault::new(FaultKind::Trap, "secret 1234"));
        comparison.note("evt_1", "stripe", &ran(Ok(Outcome::Pass)), &ran(Ok(Outcome::Pass)));
        comparison.note("evt_2", "stripe", &ran(Ok(Outcome::Pass)), &ran(fault()));
        comparison.note("evt_3", "stripe", &ran(fault()), &ran(fault()));
        for _ in 0..20 {
            comparison.note("evt_4", "stripe", &ran(Ok(body("a"))), &ran(Ok(body("b"))));
        }
        let report = comparison.report();
        let expected = TrialTally { events: 23, faults: 1, differences: 20, tried_us: 115, promoted_us: 115 };
        assert_eq!((report.tally, report.samples.len()), (expected, MAX_SAMPLES));
        assert_eq!(report.samples[0].tried, "fault: trap");
        assert!(!serde_json::to_string(&report).unwrap().contains("1234"));
    }
}
