//! SendGrid.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use floodgate_event::scheme::Settings;
use floodgate_schemes::{Failure, Scheme};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

use crate::support::post;

/// What stands before a point of P-256 in a `SubjectPublicKeyInfo`.
const BEFORE_POINT: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";

/// The Inbound Parse Webhook sends a form, which begins with its boundary.
#[test]
fn a_form_is_accepted_and_a_digit_before_it_is_not() {
    let (algorithm, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
    let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap();
    let public = [&hex::decode(BEFORE_POINT).unwrap(), key.public_key().as_ref()].concat();
    let settings = Settings { public_keys: vec![BASE64.encode(public)], ..Settings::default() };
    let scheme = Scheme::new("sendgrid", &settings, vec![]).unwrap();
    let body = "--xYzZY\r\nContent-Disposition: form-data; name=\"from\"\r\n\r\na@b.example\r\n--xYzZY--\r\n";
    let signature = key.sign(&random, format!("1800000000{body}").as_bytes()).unwrap();
    let sent = |time: &str, body: String| {
        post(body)
            .header("x-twilio-email-event-webhook-timestamp", time)
            .header("x-twilio-email-event-webhook-signature", &BASE64.encode(signature))
    };
    let genuine = sent("1800000000", body.to_owned());
    assert!(genuine.key(&scheme).is_ok_and(|key| key.starts_with("key_")), "{:?}", genuine.key(&scheme));
    let moved = sent("180000000", format!("0{body}"));
    assert!(matches!(moved.key(&scheme), Err(Failure::Malformed { .. })));
}
