//! Standard Webhooks and Svix: which keys they take.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use floodgate_event::scheme::Settings;
use floodgate_schemes::{Failure, InvalidSettings};
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::support::{NOW, Sent, post, try_scheme, with_secrets};

const PRESETS: [(&str, &str); 2] = [("standard", "webhook"), ("svix", "svix")];
const BODY: &str = r#"{"test": 2432232314}"#;

fn content() -> String {
    format!("msg_1.{NOW}.{BODY}")
}

fn signed(prefix: &str, signature: &str) -> Sent {
    post(BODY)
        .header(&format!("{prefix}-id"), "msg_1")
        .header(&format!("{prefix}-timestamp"), &NOW.to_string())
        .header(&format!("{prefix}-signature"), signature)
}

fn v1(bytes: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes), content().as_bytes());
    format!("v1,{}", BASE64.encode(tag))
}

/// Whoever knows it could sign otherwise.
#[test]
fn a_public_key_is_never_a_key_for_hmac() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let public = pair.public_key().as_ref();
    let v1a = format!("v1a,{}", BASE64.encode(pair.sign(content().as_bytes())));
    for (preset, prefix) in PRESETS {
        for text in [BASE64.encode(public), format!("whpk_{}", BASE64.encode(public))] {
            let settings = Settings { public_keys: vec![text.clone()], ..Settings::default() };
            let scheme = try_scheme(preset, &settings, &[]).unwrap();
            assert!(signed(prefix, &v1a).key(&scheme).is_ok(), "{preset} {text}");
            let forged = signed(prefix, &v1(public));
            assert_eq!(forged.key(&scheme), Err(Failure::NoMatch { keys: 1 }), "{preset} {text}");
        }
        let as_secret = with_secrets(preset, &[&format!("whpk_{}", BASE64.encode(public))]);
        assert_eq!(signed(prefix, &v1a).key(&as_secret), Ok("key-0"), "{preset}");
        assert!(signed(prefix, &v1(public)).key(&as_secret).is_err(), "{preset}");
    }
}

#[test]
fn a_public_key_has_one_form() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let short = format!("whpk_{}", BASE64.encode([7; 31]));
    for bad in [secret, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &short, "whpk_", "whpk_*"] {
        let settings = Settings { public_keys: vec![bad.to_owned()], ..Settings::default() };
        for secrets in [&[][..], &[secret]] {
            let refused = try_scheme("standard", &settings, secrets).map(drop).unwrap_err();
            assert!(
                matches!(refused, InvalidSettings::Setting { setting: "public_keys", .. }),
                "{bad}: {refused}"
            );
        }
    }
    assert_eq!(
        try_scheme("standard", &Settings::default(), &[]).map(drop),
        Err(InvalidSettings::NoKey),
        "neither"
    );
}

/// A source may have both.
#[test]
fn a_secret_and_a_public_key_verify_beside_each_other() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let public_keys = vec![BASE64.encode(pair.public_key())];
    let scheme = try_scheme(
        "standard",
        &Settings { public_keys, ..Settings::default() },
        &[&format!("whsec_{}", BASE64.encode([1; 24]))],
    )
    .unwrap();
    assert_eq!(signed("webhook", &v1(&[1; 24])).key(&scheme), Ok("key-0"));
    let v1a = format!("v1a,{}", BASE64.encode(pair.sign(content().as_bytes())));
    assert!(signed("webhook", &v1a).key(&scheme).is_ok_and(|key| key.starts_with("key_")));
}

#[test]
fn a_secret_needs_no_padding_and_may_have_75_bytes() {
    for (preset, prefix) in PRESETS {
        for length in [24, 25, 26, 64, 65, 75] {
            let bytes: Vec<u8> = (0..length).collect();
            let padded = BASE64.encode(&bytes);
            for text in [padded.trim_end_matches('=').to_owned(), padded] {
                for secret in [format!("whsec_{text}"), text] {
                    let sent = signed(prefix, &v1(&bytes));
                    assert_eq!(sent.key(&with_secrets(preset, &[&secret])), Ok("key-0"), "{preset} {secret}");
                }
            }
        }
        for length in [23, 76] {
            let refused = try_scheme(preset, &Settings::default(), &[&BASE64.encode(vec![0; length])]);
            let expected = InvalidSettings::Key("`whsec_` and 24 to 75 bytes of base64");
            assert_eq!(refused.map(drop), Err(expected), "{preset} {length}");
        }
    }
}
