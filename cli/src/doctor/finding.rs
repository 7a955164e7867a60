//! The findings of checks.

use serde::Serialize;

/// The result of a check, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// Everything is as it should be. Its name in JSON is `well`.
    #[serde(rename = "well")]
    Ok,
    /// The check could not be made.
    Unknown,
    /// It will become wrong, or is not ideal.
    Warning,
    /// Events or their 2xx are at risk.
    Wrong,
}

/// The finding of one check.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    /// The kind of check. Scripts may rely on it.
    pub(super) check: &'static str,
    /// What was checked, such as a stream or a file.
    pub(super) subject: String,
    /// The result of the check.
    pub(super) state: State,
    /// What the check found.
    pub(super) found: String,
    /// Why it matters, if something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<&'static str>,
    /// What to do about it, if something is wrong.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

/// Why a finding matters, and what to do about it.
#[derive(Clone, Copy)]
pub(super) struct Advice<'a>(pub(super) &'static str, pub(super) &'a str);

/// The findings so far.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// Adds that something is as it should be.
    pub(super) fn ok(&mut self, check: &'static str, subject: impl Into<String>, found: impl Into<String>) {
        self.push(check, subject.into(), State::Ok, found.into(), None);
    }

    /// Adds what could not be checked, and how it could be.
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

    /// Adds a finding with its advice.
    pub(super) fn add(
        &mut self,
        state: State,
        check: &'static str,
        subject: impl Into<String>,
        found: impl Into<String>,
        advice: Advice<'_>,
    ) {
        self.push(check, subject.into(), state, found.into(), Some(advice));
    }

    /// Adds that something is wrong.
    pub(super) fn wrong(
        &mut self,
        check: &'static str,
        subject: impl Into<String>,
        found: impl Into<String>,
        advice: Advice<'_>,
    ) {
        self.add(State::Wrong, check, subject, found, advice);
    }

    /// Adds a finding. Leaves the advice out if everything is as it should be.
    pub(super) fn add_judged(
        &mut self,
        state: State,
        check: &'static str,
        subject: impl Into<String>,
        found: impl Into<String>,
        advice: Advice<'_>,
    ) {
        let advice = (state > State::Ok).then_some(advice);
        self.push(check, subject.into(), state, found.into(), advice);
    }

    fn push(
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

    /// Adds the findings of other checks.
    pub(super) fn append(&mut self, mut more: Self) {
        self.0.append(&mut more.0);
    }

    /// All findings in the order in which they were added.
    pub(super) fn all(&self) -> &[Finding] {
        &self.0
    }

    /// How many findings there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many findings say that something is wrong.
    pub(super) fn count_wrong(&self) -> usize {
        self.0.iter().filter(|finding| finding.state == State::Wrong).count()
    }
}
