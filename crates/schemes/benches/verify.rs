//! What verifying costs through a preset, beside checks that are written for one provider by hand: median
//! nanoseconds of both in turns, and their ratio.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that cannot start has nothing to say"
)]

use std::hint::black_box;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use floodgate_event::Secret;
use floodgate_event::scheme::Settings;
use floodgate_schemes::{NamedSecret, NoPublishedKeys, Request, Scheme, Unsigned, single};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

const NOW: u64 = 1_700_000_000;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Rounds, of which the median counts.
const ROUNDS: usize = 101;
/// Requests of one round.
const REQUESTS: u32 = 500;

/// A check by hand: the key that signed, or none.
type ByHand = fn(&Hmac<Sha256>, &HeaderMap, &[u8]) -> bool;

fn main() {
    for bytes in [1_024, 16_384] {
        for (name, by_hand) in [("github", github as ByHand), ("stripe", stripe), ("standard", standard)] {
            compare(name, by_hand, bytes);
        }
    }
}

fn compare(name: &str, by_hand: ByHand, bytes: usize) {
    let body = vec![b'x'; bytes];
    let secrets = vec![NamedSecret { id: "sec_1".to_owned(), secret: Secret::new(SECRET) }];
    let scheme = Scheme::new(name, &Settings::default(), secrets).expect("a scheme");
    let none = HeaderMap::new();
    let message =
        Unsigned { method: "POST", url: "/in/a", headers: &none, body: &body, id: "msg_1", now: NOW };
    let headers: HeaderMap = scheme.sign(&message).expect("a symmetric scheme").headers.into_iter().collect();
    let request = Request {
        method: "POST",
        url: "/in/a",
        headers: &headers,
        body: &body,
        now: NOW,
        published: &NoPublishedKeys,
        client: None,
    };
    let bytes_of_key = match name {
        "standard" => BASE64.decode(&SECRET["whsec_".len()..]).expect("base64"),
        _ => SECRET.as_bytes().to_vec(),
    };
    let key = Hmac::<Sha256>::new_from_slice(&bytes_of_key).expect("HMAC takes any key");
    assert!(scheme.receive(&request).is_ok() && by_hand(&key, &headers, &body), "both accept the request");

    let (mut preset, mut hand) = (Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        preset.push(nanoseconds(|| scheme.receive(black_box(&request)).is_ok()));
        hand.push(nanoseconds(|| by_hand(black_box(&key), black_box(&headers), black_box(&body))));
    }
    let (preset, hand) = (median(preset), median(hand));
    println!(
        "{name:9} {bytes:6} B   preset {preset:6.0} ns   by hand {hand:6.0} ns   ratio {:.2}",
        preset / hand
    );
}

/// Of one request, over a round.
fn nanoseconds(check: impl Fn() -> bool) -> f64 {
    let started = Instant::now();
    for _ in 0..REQUESTS {
        assert!(black_box(check()));
    }
    started.elapsed().as_nanos() as f64 / f64::from(REQUESTS)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn github(key: &Hmac<Sha256>, headers: &HeaderMap, body: &[u8]) -> bool {
    let theirs = single(headers, "x-hub-signature-256").ok().and_then(|text| text.strip_prefix("sha256="));
    theirs.is_some_and(|theirs| same(&hex::encode(mac(key, &[body])), theirs))
}

fn stripe(key: &Hmac<Sha256>, headers: &HeaderMap, body: &[u8]) -> bool {
    let Ok(header) = single(headers, "stripe-signature") else { return false };
    let values = |name: &'static str| {
        let pairs = header.split(',').filter_map(|pair| pair.split_once('='));
        pairs.filter(move |(key, _)| *key == name).map(|(_, value)| value)
    };
    let Some(signed) = values("t").next() else { return false };
    let fresh = signed.parse::<u64>().is_ok_and(|signed| signed.abs_diff(NOW) <= 300);
    let ours = hex::encode(mac(key, &[signed.as_bytes(), b".", body]));
    fresh && values("v1").any(|theirs| same(&ours, theirs))
}

fn standard(key: &Hmac<Sha256>, headers: &HeaderMap, body: &[u8]) -> bool {
    let header = |name| single(headers, name).unwrap_or_default();
    let (id, signed) = (header("webhook-id"), header("webhook-timestamp"));
    let fresh = signed.parse::<u64>().is_ok_and(|signed| signed.abs_diff(NOW) <= 300);
    let tag = mac(key, &[id.as_bytes(), b".", signed.as_bytes(), b".", body]);
    let ours = format!("v1,{}", BASE64.encode(tag));
    fresh && header("webhook-signature").split(' ').any(|theirs| same(&ours, theirs))
}

fn mac(key: &Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = key.clone();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn same(ours: &str, theirs: &str) -> bool {
    ours.as_bytes().ct_eq(theirs.as_bytes()).into()
}
