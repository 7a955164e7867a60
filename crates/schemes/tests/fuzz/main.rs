//! Requests that nobody signed, requests that were signed and then changed, and templates of any form. The
//! seeds are the vectors of `tests-data/signatures.json`. `PROPTEST_CASES` makes a run longer.

// Clippy allows `unwrap` inside `#[test]` functions, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod changed;
mod strangers;
mod templates;

use floodgate_schemes::vectors::Vector;
use proptest::prelude::*;

/// The vectors that a scheme must accept.
fn seeds() -> Vec<Vector> {
    let all: Vec<Vector> = serde_json::from_str(include_str!("../../tests-data/signatures.json")).unwrap();
    all.into_iter().filter(|vector| vector.expect.as_deref() == Some("valid")).collect()
}

/// How many cases of a cheap property are tried, unless `PROPTEST_CASES` says otherwise.
fn cases(usual: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(usual),
    }
}

/// One change of a text, as a careless proxy or an attacker would make it.
#[derive(Clone, Debug)]
enum Change {
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
    Swap(prop::sample::Index, prop::sample::Index),
    Cut(prop::sample::Index),
}

impl Change {
    fn any() -> impl Strategy<Value = Self> {
        let at = any::<prop::sample::Index>;
        prop_oneof![
            (at(), 1..=u8::MAX).prop_map(|(at, mask)| Self::Flip(at, mask)),
            (
                at(),
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 1..4),
                    "[,;=. {}\":0-9v]{1,3}".prop_map(String::into_bytes),
                ]
            )
                .prop_map(|(at, bytes)| Self::Insert(at, bytes)),
            (at(), 1..20_usize).prop_map(|(at, length)| Self::Remove(at, length)),
            (at(), 1..20_usize).prop_map(|(at, length)| Self::Repeat(at, length)),
            (at(), at()).prop_map(|(one, other)| Self::Swap(one, other)),
            at().prop_map(Self::Cut),
        ]
    }

    fn apply(&self, text: &mut Vec<u8>) {
        match self {
            Self::Insert(at, bytes) => {
                let at = at.index(text.len() + 1);
                text.splice(at..at, bytes.iter().copied());
            }
            _ if text.is_empty() => {}
            Self::Flip(at, mask) => {
                let at = at.index(text.len());
                text[at] ^= mask;
            }
            Self::Remove(at, length) => {
                let at = at.index(text.len());
                text.drain(at..(at + length).min(text.len()));
            }
            Self::Repeat(at, length) => {
                let at = at.index(text.len());
                let again = text[at..(at + length).min(text.len())].to_vec();
                text.splice(at..at, again);
            }
            Self::Swap(one, other) => {
                let (one, other) = (one.index(text.len()), other.index(text.len()));
                text.swap(one, other);
            }
            Self::Cut(at) => text.truncate(at.index(text.len())),
        }
    }
}
