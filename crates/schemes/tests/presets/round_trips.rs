//! What every preset has in common.

use floodgate_event::source::Locator;
use floodgate_schemes::{Preset, presets};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::{Sent, post, scheme};

/// Only the provider can sign, or nobody does.
const PUBLIC: [&str; 10] =
    ["aws-sns", "discord", "discord-events", "jwt", "mtls", "none", "paypal", "plaid", "sendgrid", "wise"];
/// They sign a part of the body.
const PARTIAL: [&str; 2] = ["adyen", "mailgun"];
/// It sends the secret itself, in the body.
const CLEAR_IN_BODY: &str = "microsoft-graph";

/// A body that has what each preset reads from one.
fn sample(text: &str) -> Sent {
    let body = serde_json::json!({
        "text": text,
        "webhookTimestamp": crate::support::NOW * 1_000,
        "value": [{"id": "n0"}, {"id": "n1"}],
        "notificationItems": [{"NotificationRequestItem": {
            "pspReference": "7914073381342284", "merchantAccountCode": "Shop", "merchantReference": "a:b",
            "amount": {"value": 1130, "currency": "EUR"}, "eventCode": "AUTHORISATION", "success": "true",
        }}],
    });
    post(body.to_string())
}

fn symmetric() -> impl Iterator<Item = &'static Preset> {
    presets::all().iter().filter(|preset| !PUBLIC.contains(&preset.name))
}

fn is_clear(preset: &Preset) -> bool {
    let named = !preset.secret_headers.is_empty() || !preset.secret_parameters.is_empty();
    named || preset.name == CLEAR_IN_BODY
}

#[test]
fn what_a_preset_signs_it_verifies_and_no_other_key_does() {
    for preset in symmetric() {
        let (ours, name) = (scheme(preset.name), preset.name);
        let signed = sample("x").signed(&ours).unwrap_or_else(|| panic!("{name} does not sign"));
        assert_eq!(signed.key(&ours), Ok("key-0"), "{name}");
        let other = match name {
            "standard" | "svix" => "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "adyen" | "adyen-platform" => "74F490DD33F7327BAECC88B2947C011FC02D014A473AAA33A8EC93E4DC069174",
            "token" => "d41d8cd98f00b204e9800998ecf8427e",
            _ => "user:else",
        };
        let theirs = crate::support::with_secrets(name, &[other]);
        assert!(signed.key(&theirs).is_err(), "{name}");
        let both = crate::support::with_secrets(name, &[other, crate::support::secret(name)]);
        assert_eq!(signed.key(&both), Ok("key-1"), "{name}");
        assert!(sample("x").key(&ours).is_err(), "{name}: unsigned");
    }
}

/// Whoever has one request could send it under any id.
#[test]
fn ids_that_are_not_signed_are_known_not_to_be() {
    let ids =
        symmetric().filter(|preset| !is_clear(preset)).filter_map(|preset| Some((preset.name, preset.id?)));
    let uncovered = ids.filter(|(name, id)| !scheme(name).covers(&Locator::from(*id)));
    let expected =
        ["bitbucket", "coinbase-cdp", "github", "github-sha1", "jira", "linear", "razorpay", "shopify"];
    assert_eq!(uncovered.map(|(name, _)| name).collect::<Vec<_>>(), expected);
}

fn flipped(bytes: &[u8], at: usize, mask: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= mask;
    bytes
}

proptest! {
    #[test]
    fn no_byte_of_a_body_can_change(text in "[ -~é]{0,40}", at: Index, mask in 1..=u8::MAX) {
        for preset in symmetric().filter(|preset| !is_clear(preset) && !PARTIAL.contains(&preset.name)) {
            let ours = scheme(preset.name);
            let mut signed = sample(&text).signed(&ours).unwrap();
            signed.body = flipped(&signed.body, at.index(signed.body.len()), mask);
            prop_assert!(signed.received(&ours).is_err(), "{} {:?}", preset.name, signed);
        }
    }

    /// Nor of what else signing adds. Two things may: the name of an authentication scheme has no case, and
    /// version 0 of a Hook0 signature is not read where there is version 1.
    #[test]
    fn no_byte_of_a_signature_can_change(at: Index, mask in 1..=u8::MAX) {
        for preset in symmetric() {
            let ours = scheme(preset.name);
            let unsigned = sample("x");
            let signed = unsigned.signed(&ours).unwrap();
            for (name, value) in signed.headers.iter().filter(|(name, _)| *name != "content-type") {
                let value = value.as_bytes();
                let from = match preset.name {
                    "basic" => "Basic ".len(),
                    "cloudevents" | "token" => "Bearer ".len(),
                    "coinbase-cdp" => value.len() - 64,
                    _ => 0,
                };
                let at = from + at.index(value.len() - from);
                let Some(changed) = signed.with_value(name, &flipped(value, at, mask)) else { continue };
                prop_assert!(changed.received(&ours).is_err(), "{} {:?}", preset.name, changed);
            }
            if let Some(changed) = changed_in_url(&unsigned, &signed, &at, mask) {
                prop_assert!(changed.received(&ours).is_err(), "{} {:?}", preset.name, changed);
            }
        }
    }
}

/// A byte of the value that signing added to the query.
fn changed_in_url(unsigned: &Sent, signed: &Sent, at: &Index, mask: u8) -> Option<Sent> {
    let added = signed.url.len().checked_sub(unsigned.url.len()).filter(|added| *added > 0)?;
    let start = signed.url.len() - added;
    let start = start + signed.url[start..].find('=')? + 1;
    let url = flipped(signed.url.as_bytes(), start + at.index(signed.url.len() - start), mask);
    let is_other = |url: &String| decoded(url) != decoded(&signed.url);
    Some(Sent { url: String::from_utf8(url).ok().filter(is_other)?, ..signed.clone() })
}

/// `%2b` and `%2B` are the same byte.
fn decoded(url: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(url).collect()
}
