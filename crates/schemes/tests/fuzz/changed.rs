//! Requests that a provider signed, and that somebody changed on the way.

use std::sync::LazyLock;

use floodgate_event::source::Locator;
use floodgate_schemes::vectors::Vector;
use floodgate_schemes::{Failure, Request, Scheme};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use proptest::sample::Index;

use super::{Change, cases, seeds};

/// They sign a part of the body, or nothing of it.
const PARTIAL: [&str; 6] = ["adyen", "aws-sns", "gitlab", "mailgun", "microsoft-graph", "okta"];

static SEEDS: LazyLock<Vec<Seed>> = LazyLock::new(|| seeds().into_iter().map(Seed::new).collect());

/// A seed with its scheme.
struct Seed {
    vector: Vector,
    scheme: Scheme,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Seed {
    fn at(index: Index) -> &'static Self {
        index.get(&SEEDS)
    }

    fn new(vector: Vector) -> Self {
        let scheme = Scheme::new(vector.preset(), &vector.settings(), vector.secrets()).unwrap();
        let (headers, body) = {
            let kept = vector.kept().unwrap();
            let request = kept.request(&vector);
            (request.headers.clone(), request.body.to_vec())
        };
        Self { vector, scheme, headers, body }
    }

    fn receive(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Failure> {
        let kept = self.vector.kept().unwrap();
        let request = Request { headers, body, ..kept.request(&self.vector) };
        self.scheme.require(request.method, headers)?;
        let received = self.scheme.receive(&request).map(drop);
        // What a gateway does next, with whatever verified.
        let _ = self.scheme.content(&request);
        received
    }

    /// The headers that decide, without the kind of the body, which is part of no signature.
    fn deciding(&self) -> Vec<HeaderName> {
        let is_needed = |name: &&HeaderName| {
            let mut without = self.headers.clone();
            without.remove(*name);
            self.receive(&without, &self.body).is_err()
        };
        let signs = self.headers.keys().filter(|name| *name != CONTENT_TYPE);
        signs.filter(is_needed).cloned().collect()
    }
}

/// The parts of a value that are long enough to be a signature, a time or an id.
fn tokens(value: &[u8]) -> Vec<&[u8]> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/._-".contains(byte);
    value.split(|byte| !is_part(byte)).filter(|token| token.len() >= 10).collect()
}

fn is_time(token: &[u8]) -> bool {
    token.len() <= 13 && token.iter().all(u8::is_ascii_digit)
}

fn contains(text: &[u8], token: &[u8]) -> bool {
    text.windows(token.len()).any(|window| window == token)
}

#[test]
fn the_seeds_verify_and_cover_every_kind_of_signature() {
    for seed in SEEDS.iter() {
        assert_eq!(seed.receive(&seed.headers, &seed.body), Ok(()), "{}", seed.vector.name);
    }
    for preset in ["aws-sns", "discord", "paypal", "plaid", "sendgrid", "standard", "stripe", "wise"] {
        assert!(SEEDS.iter().any(|seed| seed.vector.preset() == preset), "{preset}");
    }
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn no_change_of_a_signed_body_verifies(
        seed: Index,
        changes in prop::collection::vec(Change::any(), 1..4),
    ) {
        let seed = Seed::at(seed);
        let mut body = seed.body.clone();
        changes.iter().for_each(|change| change.apply(&mut body));
        let verified = seed.receive(&seed.headers, &body).is_ok();
        let preset = seed.vector.preset();
        let form = seed.headers.get(CONTENT_TYPE).is_some_and(|kind| contains(kind.as_bytes(), b"form"));
        let covered = seed.scheme.covers(&Locator::Json("/id".to_owned())) && !PARTIAL.contains(&preset);
        // A form can be written in several ways, and Twilio signs the decoded parameters.
        if covered && !form && body != seed.body {
            prop_assert!(!verified, "{preset}: {}: {}", seed.vector.name, String::from_utf8_lossy(&body));
        }
    }

    /// If a changed header still verifies, the signature in it is still whole: it may have another before it
    /// or after it.
    #[test]
    fn no_change_of_a_signature_verifies(
        seed: Index,
        which: Index,
        changes in prop::collection::vec(Change::any(), 1..4),
    ) {
        let seed = Seed::at(seed);
        let deciding = seed.deciding();
        prop_assume!(!deciding.is_empty());
        let name = which.get(&deciding);
        let before = seed.headers[name].as_bytes().to_vec();
        let mut after = before.clone();
        changes.iter().for_each(|change| change.apply(&mut after));
        let Ok(value) = HeaderValue::from_bytes(&after) else { return Ok(()) };
        let mut headers = seed.headers.clone();
        headers.insert(name, value);
        if seed.receive(&headers, &seed.body).is_ok() {
            let tokens = tokens(&before);
            prop_assert!(
                tokens.is_empty() || tokens.iter().any(|token| contains(&after, token)),
                "{}: {name}: {}", seed.vector.name, String::from_utf8_lossy(&after)
            );
            prop_assert!(
                tokens.iter().filter(|token| is_time(token)).all(|time| contains(&after, time)),
                "{}: the time changed: {}", seed.vector.name, String::from_utf8_lossy(&after)
            );
        }
    }

    /// With two values it would be unclear which one counts, even if one of them is right.
    #[test]
    fn no_header_that_decides_may_come_twice(seed: Index, which: Index, second in "[!-~]{0,40}", same: bool) {
        let seed = Seed::at(seed);
        let deciding = seed.deciding();
        prop_assume!(!deciding.is_empty());
        let name = which.get(&deciding);
        let mut headers = seed.headers.clone();
        let second = if same { headers[name].clone() } else { HeaderValue::try_from(second).unwrap() };
        headers.append(name, second);
        prop_assert!(seed.receive(&headers, &seed.body).is_err(), "{}: {name}", seed.vector.name);
    }
}
