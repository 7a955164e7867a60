//! Findings as a table for people, or as JSON.

use serde_json::json;

use super::finding::{Finding, Findings, State};
use crate::exit::Failure;
use crate::output;
use crate::table::Table;

/// Prints the findings to the standard output.
pub(super) fn print(findings: &Findings, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return output::print_json(&json!({"well": findings.count_wrong() == 0, "findings": findings.all()}));
    }
    output::print(&text(findings))
}

/// A table of all findings, and below it what to do about those that are not ok, the worst first.
fn text(findings: &Findings) -> String {
    let mut table = Table::new(["", "check", "of", "found"]);
    for finding in findings.all() {
        table.row([mark(finding.state), finding.check, &finding.subject, &finding.found]);
    }
    let mut rest: Vec<_> = findings.all().iter().filter(|finding| finding.remedy.is_some()).collect();
    rest.sort_by_key(|finding| std::cmp::Reverse(finding.state));
    let details: String = rest.into_iter().map(detail).collect();
    format!("{}{details}", table.render())
}

fn mark(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Unknown => "?",
        State::Warning => "warning",
        State::Wrong => "WRONG",
    }
}

fn detail(finding: &Finding) -> String {
    let check = finding.check;
    let (subject, found) = (output::printable(&finding.subject), output::printable(&finding.found));
    let why = finding.why.map(|why| format!("\n  {why}")).unwrap_or_default();
    let remedy = finding.remedy.as_ref().map(|remedy| format!("\n  do: {remedy}")).unwrap_or_default();
    format!("\n{}  {check} of {subject}: {found}{why}{remedy}\n", mark(finding.state))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Advice;
    use super::*;

    #[test]
    fn the_worst_comes_first_with_what_to_do() {
        let mut findings = Findings::default();
        findings.ok("version", "floodgate", "0.1.0");
        findings.add(State::Warning, "space", "/var", "12 % free", Advice("It fills.", "add some"));
        findings.wrong("secret", "a.key", "mode 644", Advice("Others read it.", "chmod 600 a.key"));
        let text = text(&findings);
        let at = |part: &str| text.find(part).unwrap();
        assert!(at("WRONG  secret of a.key") < at("warning  space of /var"), "{text}");
        assert!(text.contains("do: chmod 600 a.key") && findings.count_wrong() == 1, "{text}");
    }
}
