//! A scan against a parser, on JSON and on what was JSON before somebody changed some bytes of it. The seeds
//! are the lines of `tests-data/texts.jsonl`. `PROPTEST_CASES` makes a run longer.

// Clippy allows `unwrap` inside `#[test]` functions, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

use floodgate_json::{Edit, Pointer, find, lossy, without_bom};
use proptest::prelude::*;
use serde_json::Value;

/// Texts that once were found wrong, or easily are: JSON and what is nearly JSON.
const SEEDS: &[u8] = include_bytes!("../tests-data/texts.jsonl");

fn seeds() -> Vec<Vec<u8>> {
    SEEDS.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

fn cases(usual: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(usual),
    }
}

/// A seed, or JSON of any form, with some bytes changed.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let scalar = prop_oneof![
        "(null|true|false|-?[0-9]{1,3}(\\.[0-9]{1,2})?([eE][+-]?[0-9])?)",
        r#""([a-c/~é]|\\(["\\/bfnrt]|u00[46][0-9a-f]|ud83d\\ude00)){0,4}""#,
    ];
    let json = scalar.prop_recursive(4, 30, 4, |inner| {
        let member = (r#""([ab01~/]|\\u006[12]){0,2}""#, inner.clone())
            .prop_map(|(key, value)| format!("{key}: {value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(" ,"))),
            // Keys may come twice.
            prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    });
    let change = (
        any::<prop::sample::Index>(),
        0..3_usize,
        prop_oneof![
            "[{}\\[\\]\",:\\\\0-9a u]{0,2}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..2),
        ],
    );
    let changes = prop_oneof![Just(vec![]), prop::collection::vec(change, 1..4)];
    let text = prop_oneof![
        1 => prop::sample::select(seeds()),
        3 => json.prop_map(String::into_bytes),
    ];
    (text, changes).prop_map(|(mut text, changes)| {
        for (at, length, bytes) in changes {
            let start = at.index(text.len() + 1);
            let end = (start + length).min(text.len());
            text.splice(start..end, bytes);
        }
        text
    })
}

fn pointers() -> impl Strategy<Value = String> {
    "(/([ab01]{0,2}|~0|~1|a~1|id|é|data|0)){0,4}"
}

#[test]
fn the_seeds_are_of_both_kinds() {
    let good = seeds().iter().filter(|text| serde_json::from_slice::<Value>(text).is_ok()).count();
    assert!(good >= 10 && seeds().len() - good >= 10, "{good} of {}", seeds().len());
}

proptest! {
    #![proptest_config(cases(8_000))]

    #[test]
    fn a_scan_finds_what_a_parser_finds(text in texts(), one in pointers(), other in pointers()) {
        let pointers = [&one, &other].map(|text| Pointer::parse(text));
        let found = find(&text, [pointers[0].as_ref(), pointers[1].as_ref()]);
        let shown = String::from_utf8_lossy(&text);
        for range in found.values.iter().flatten() {
            prop_assert!(range.start < range.end && range.end <= text.len(), "{shown}");
        }
        let Ok(value) = serde_json::from_slice::<Value>(&text) else { return Ok(()) };
        prop_assert!(found.whole, "{shown} is JSON");
        for (pointer, range) in [&one, &other].into_iter().zip(&found.values) {
            let ours = range.clone().map(|range| serde_json::from_slice::<Value>(&text[range]).unwrap());
            prop_assert_eq!(ours.as_ref(), value.pointer(pointer), "{} in {}", pointer, shown);
        }
    }

    /// What a scan calls incomplete, no parser takes.
    #[test]
    fn what_is_cut_off_is_not_whole(text in texts(), at: prop::sample::Index) {
        let cut = &text[..at.index(text.len() + 1)];
        if !find(cut, [None]).whole {
            prop_assert!(serde_json::from_slice::<Value>(cut).is_err(), "{}", String::from_utf8_lossy(cut));
        }
    }

    #[test]
    fn an_edit_of_json_is_json_and_changes_nothing_else(text in texts(), key in "[ab]{1,2}|id") {
        let parsed = serde_json::from_slice::<Value>(&text);
        let Ok(mut edit) = Edit::new(&text) else { return Ok(()) };
        let pointer = format!("/{key}");
        let set = edit.set(&pointer, &"new").is_ok();
        let Ok(Value::Object(mut expected)) = parsed else { return Ok(()) };
        prop_assert!(set, "{}", String::from_utf8_lossy(&text));
        expected.insert(key, "new".into());
        let edited = serde_json::from_slice::<Value>(edit.as_bytes());
        prop_assert_eq!(edited.ok(), Some(Value::Object(expected)), "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn nothing_makes_any_of_it_panic(text in texts(), pointer in "(/|~|[a-z0-9é]){0,8}") {
        let _ = lossy(without_bom(&text));
        let _ = Pointer::parse(&pointer).map(|pointer| find(&text, [Some(&pointer)]));
        if let Ok(mut edit) = Edit::new(&text) {
            let _ = edit.remove(&pointer);
            let _ = edit.set(&pointer, &1);
        }
    }
}
