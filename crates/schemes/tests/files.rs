//! Files of vectors that somebody else wrote.

use floodgate_schemes::vectors::{self, Verdict};
use proptest::prelude::*;
use serde_json::{Value, json};

const FILE: &str = include_str!("../tests-data/signatures.json");

fn judge(file: &str) -> Result<Vec<Verdict>, serde_json::Error> {
    vectors::judge(file).map(Iterator::collect)
}

#[allow(clippy::unwrap_used)] // A test without its vectors has failed.
fn vectors() -> Vec<Value> {
    serde_json::from_str(FILE).unwrap()
}

#[test]
fn a_reason_names_the_step() {
    for verdict in judge(FILE).unwrap() {
        assert_eq!(verdict.reason.is_none(), verdict.result == "valid", "{verdict:?}");
    }
    let stale = vectors().into_iter().find(|vector| vector["name"] == "stale by 301 s").unwrap();
    let verdict = judge(&json!([stale]).to_string()).unwrap().swap_remove(0);
    assert_eq!(
        verdict.reason.as_deref(),
        Some("time: the signed time is 301 s in the past, and 300 s are allowed")
    );
}

#[test]
fn a_vector_that_cannot_be_read_holds_back_no_other() {
    let good = vectors().into_iter().find(|vector| vector["scheme"] == "github-sha256").unwrap();
    let expected = good["expect"].clone();
    let with = |name: &str, value: Value| {
        let mut vector = good.clone();
        vector[name] = value;
        vector
    };
    let bad = [
        json!(null),
        json!("whsec_in_a_wrong_place"),
        json!({"provider": 1, "name": ["a"]}),
        json!({"provider": "no-such-provider", "scheme": "no-such-scheme", "name": "", "method": "POST",
            "url": "/", "headers": {}}),
        with("now", json!("whsec_in_a_wrong_place")),
        with("headers", json!({"no header": "x"})),
        with("headers", json!({"x-a": "line\nend"})),
        with("body_b64", json!("!")),
        with("secret", json!([])),
    ];
    let text = bad.iter().map(Value::to_string).collect::<Vec<_>>();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let lone = "{\"name\": \"\\ud800\"}".to_owned();
    let all = [&text[..], &[deep, lone, good.to_string()]].concat().join(",");
    let verdicts = judge(&format!("\u{feff}[{all}]")).unwrap();
    assert_eq!(verdicts.len(), bad.len() + 3);
    let (last, others) = verdicts.split_last().unwrap();
    assert_eq!(Some(last.result), expected.as_str());
    assert!(!last.differs());
    for verdict in others {
        assert_eq!(verdict.result, "invalid");
        let reason = verdict.reason.as_deref().unwrap();
        assert!(!reason.is_empty() && !reason.contains("wrong_place"), "{reason}");
    }
    let unknown =
        others.iter().find_map(|verdict| verdict.reason.as_deref().filter(|text| text.contains("no-such")));
    assert_eq!(unknown, Some("there is no scheme `no-such-scheme`"));
}

/// Another's file may have its own names for schemes.
#[test]
fn the_provider_names_the_preset_of_an_unknown_scheme() {
    let mut vector = vectors().into_iter().find(|vector| vector["name"] == "published form vector").unwrap();
    for (provider, scheme, result) in [
        ("twilio", "hmac-sha1-of-the-url", "valid"),
        ("another", "twilio", "valid"),
        ("twilio", "github", "invalid"),
        ("another", "hmac-sha1-of-the-url", "invalid"),
    ] {
        vector["provider"] = json!(provider);
        vector["scheme"] = json!(scheme);
        assert_eq!(judge(&json!([vector]).to_string()).unwrap()[0].result, result, "{provider} {scheme}");
    }
}

#[test]
fn what_is_no_list_is_refused() {
    for file in ["", "{}", "null", "[", "[1,]", "[] x"] {
        assert!(judge(file).is_err(), "{file}");
    }
    assert_eq!(judge("[]").unwrap(), []);
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(file in ".{0,200}") {
        let _ = judge(&file);
        let _ = judge(&format!("[{file}]"));
    }

    /// Bytes of a good file are replaced, so that most of it is still read.
    #[test]
    fn no_damage_makes_the_reader_panic(at in any::<prop::sample::Index>(), with in "[ -~\n]{0,3}", cut in 0_usize..4) {
        let vectors = vectors();
        let text = json!([at.get(&vectors), {"name": "behind"}]).to_string();
        let place = at.index(text.len());
        let (before, after) = (text.get(..place), text.get((place + cut).min(text.len())..));
        if let (Some(before), Some(after)) = (before, after) {
            let _ = judge(&format!("{before}{with}{after}"));
        }
    }
}
