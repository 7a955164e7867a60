//! What a check found.

use serde::Serialize;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Well,
    /// It could not be looked at.
    Unknown,
    /// It will become wrong, or is not as one would want it.
    Warning,
    /// Events, or the right to trust an answer, are at risk.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    /// What kind of look it was; scripts may rely on it.
    pub(super) check: &'static str,
    /// At what.
    pub(super) subject: String,
    /// How it is.
    pub(super) state: State,
    /// What was seen.
    pub(super) found: String,
    /// Why it matters, where it is not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<&'static str>,
    /// What to do, where it is not well.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

/// Why something matters, and what to do about it.
#[derive(Clone, Copy)]
pub(super) struct Advice<'a>(pub(super) &'static str, pub(super) &'a str);

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// Notes that something is as it should be.
    pub(super) fn well(&mut self, check: &'static str, subject: impl Into<String>, found: impl Into<String>) {
        self.note(check, subject.into(), State::Well, found.into(), None);
    }

    /// Notes what could not be looked at, and how it could.
    pub(super) fn unknown(
        &mut self,
        check: &'static str,
        subject: impl Into<String>,
        found: impl Into<String>,
        remedy: &str,
    ) {
        let (subject, found, remedy) = (subject.into(), found.into(), Some(remedy.to_owned()));
        self.0.push(Finding { check, subject, state: State::Unknown, found, why: None, remedy });
    }

    /// Notes that something is not as it should be.
    pub(super) fn not_well(
        &mut self,
        state: State,
        check: &'static str,
        subject: impl Into<String>,
        found: impl Into<String>,
        advice: Advice<'_>,
    ) {
        self.note(check, subject.into(), state, found.into(), Some(advice));
    }

    /// Notes that something is wrong.
    pub(super) fn wrong_is(
        &mut self,
        check: &'static str,
        subject: impl Into<String>,
        found: impl Into<String>,
        advice: Advice<'_>,
    ) {
        self.not_well(State::Wrong, check, subject, found, advice);
    }

    /// Notes something by its state; the advice is left out where it is well.
    pub(super) fn judged(
        &mut self,
        state: State,
        check: &'static str,
        subject: impl Into<String>,
        found: impl Into<String>,
        advice: Advice<'_>,
    ) {
        let advice = (state > State::Well).then_some(advice);
        self.note(check, subject.into(), state, found.into(), advice);
    }

    fn note(
        &mut self,
        check: &'static str,
        subject: String,
        state: State,
        found: String,
        advice: Option<Advice<'_>>,
    ) {
        let (why, remedy) = advice.map(|Advice(why, remedy)| (why, remedy.to_owned())).unzip();
        self.0.push(Finding { check, subject, state, found, why, remedy });
    }

    /// Adds what another look found.
    pub(super) fn append(&mut self, mut more: Self) {
        self.0.append(&mut more.0);
    }

    /// All of them, in the order in which they were found.
    pub(super) fn all(&self) -> &[Finding] {
        &self.0
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many are of things that are wrong.
    pub(super) fn wrong(&self) -> usize {
        self.0.iter().filter(|finding| finding.state == State::Wrong).count()
    }
}
