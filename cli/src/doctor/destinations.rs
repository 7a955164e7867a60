//! Checks destinations: those that get nothing, and those with dead deliveries.

use floodgate_api::view::{ShownDestination, Waiting};

use super::finding::{Advice, Findings, State};

const CHECK: &str = "destination";

/// Adds each destination that needs attention, and how many do not.
pub(super) fn judge(destinations: &[ShownDestination], findings: &mut Findings) {
    let before = findings.len();
    destinations.iter().for_each(|destination| judge_one(destination, findings));
    let good = destinations.len() - (findings.len() - before);
    if good > 0 {
        findings.ok(CHECK, "destinations", format!("{good} take deliveries, with none given up"));
    }
}

fn judge_one(destination: &ShownDestination, findings: &mut Findings) {
    let Waiting { pending, dead } = destination.deliveries;
    let view = &destination.view;
    let waits = format!("{pending} deliveries are held, {dead} dead");
    let held = "Its deliveries wait, up to forward.max_held; past that the oldest are given up.";
    if let Some(why) = &destination.held {
        let advice = Advice(held, "put it again, with its secrets");
        return findings.wrong(CHECK, view.name.as_str(), format!("held: {why}; {waits}"), advice);
    }
    let (state, found, advice) = match (&view.answered_410_at, view.enabled, view.paused, dead) {
        (Some(at), false, ..) => (
            State::Wrong,
            format!("disabled: it answered 410 on {at}; {waits}"),
            Advice(held, "ask the consumer's owner; put it again where it wants deliveries, or delete it"),
        ),
        (None, false, ..) => (
            State::Warning,
            format!("disabled; {waits}"),
            Advice(held, "put it with `enabled = true`, or delete it"),
        ),
        (_, true, true, _) => (
            State::Warning,
            format!("paused; {waits}"),
            Advice(held, "put it with `paused = false`, or delete it"),
        ),
        (_, true, false, 1..) => (
            State::Warning,
            format!("{dead} dead deliveries"),
            Advice(
                "The consumer never took these events, and they are not tried again.",
                "`floodgate events show` says what it answered; the relay's log names the events",
            ),
        ),
        (_, true, false, 0) => return,
    };
    findings.add(state, CHECK, view.name.as_str(), found, advice);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What these tests do not look at is as it mostly is.
    fn whole(destination: Value) -> ShownDestination {
        let mut whole = json!({
            "tenant": "default", "secrets": [{"id": "1"}], "url": "https://shop.example/", "subscribe": {},
            "timeout_seconds": 15, "concurrency": 16, "rate_per_second": null, "retry": {},
            "original_headers": false,
        });
        let (Some(all), Value::Object(some)) = (whole.as_object_mut(), destination) else { unreachable!() };
        all.extend(some);
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn whoever_gets_nothing_is_named() {
        let destinations: Vec<Value> = serde_json::from_str(
            r#"[
                {"name": "well", "enabled": true, "paused": false, "deliveries": {"pending": 9, "dead": 0}},
                {"name": "gone", "enabled": false, "answered_410_at": "t", "deliveries": {"pending": 7, "dead": 1}},
                {"name": "off", "enabled": false, "deliveries": {"pending": 0, "dead": 0}},
                {"name": "waits", "enabled": true, "paused": true},
                {"name": "fails", "enabled": true, "deliveries": {"pending": 0, "dead": 4}},
                {"name": "sealed", "enabled": true, "held": "sealed to another key"},
                {"name": "older", "enabled": true, "held": null}
            ]"#,
        )
        .unwrap();
        let mut findings = Findings::default();
        judge(&destinations.into_iter().map(whole).collect::<Vec<_>>(), &mut findings);
        let found: Vec<_> =
            findings.all().iter().map(|found| (found.subject.as_str(), found.state)).collect();
        let expected = [
            ("gone", State::Wrong),
            ("off", State::Warning),
            ("waits", State::Warning),
            ("fails", State::Warning),
            ("sealed", State::Wrong),
            ("destinations", State::Ok),
        ];
        assert_eq!(found, expected);
        assert_eq!(findings.all()[0].found, "disabled: it answered 410 on t; 7 deliveries are held, 1 dead");
        assert!(findings.all()[5].found.starts_with("2 take"));
    }
}
