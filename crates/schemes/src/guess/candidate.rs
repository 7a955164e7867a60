//! A preset that is tried, with settings and keys that stand for those that nobody knows.

use floodgate_event::Secret;
use floodgate_event::scheme::Settings;
use serde_json::{Map, Value, json};

use crate::preset::Preset;
use crate::{InvalidSettings, NamedSecret, Scheme, Secrets};

/// Placeholder secrets: a text, a key of Standard Webhooks, hexadecimal digits, and a user with a password.
const SECRETS: [&str; 4] = [
    "placeholder",
    "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    "user:placeholder",
];

/// Placeholder public keys: Ed25519 ([RFC 8032](https://www.rfc-editor.org/rfc/rfc8032) section 7.1), ECDSA
/// on P-256, and RSA. Nobody has the private halves of the last two.
const PUBLIC_KEYS: [&str; 3] = [
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEWRZc9CSTpBp48ZGThhraA7LK31B8HOxM5L4bScsIBuNDQTL6TO5QdnraA8XLNLfWfZPuazm4\
     dUGHJi/6IEOKKQ==",
    "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAk6OSFzfKXK3vriCGN0wevRbD6UscNR7M80625go1yA666ooDfIe5gYMjnqeeWBQcBH0/
3vRLMPwFVExFJ8ahvZYiShqpCvdTIuIA40gdXU8aE4ra5g70itTkH04oyGkHYcu4WkLEwsaSNrmMS8AYhQLPVXjjAlPBQVmqeEr/2AXfkUCYfKne
z4FF8pySMqpGwj6Sicic6rPVnW8wLixssWOMgF/dDSiUlsb7yA5qokJ3jXqbyx3Bgb5+lhgbxr9Eqz9whLaJtendYA6VztEEE8cbm8C0BUBdG7IY
kVte3IiVIip/v3Q6Ihv5j4YVP2FmiAARZl6+6SgdVhwlNTyy9QIDAQAB
-----END PUBLIC KEY-----",
];

/// The most settings that are made up for a preset.
const MAX_MADE_UP: usize = 8;

/// A preset and what is known of its source.
pub(super) struct Candidate<'a> {
    pub(super) preset: &'static Preset,
    settings: Settings,
    url: &'a str,
}

impl<'a> Candidate<'a> {
    /// Keeps those of the `known` settings that the preset uses.
    pub(super) fn new(preset: &'static Preset, known: &Settings, url: &'a str) -> Self {
        let settings = changed(known, |values| values.retain(|name, _| preset.uses.contains(&&**name)));
        let tolerance_seconds = known.tolerance_seconds.filter(|_| preset.has_time(known));
        Self { preset, settings: Settings { tolerance_seconds, ..settings }, url }
    }

    /// Prepares the scheme with these secrets and public keys, and makes up the settings that it still needs.
    /// Returns `None` if it cannot be prepared.
    pub(super) fn scheme(&self, secrets: &Secrets, public_keys: &[String]) -> Option<Scheme> {
        let mut settings = self.settings.clone();
        settings.public_keys.extend_from_slice(public_keys);
        for _ in 0..MAX_MADE_UP {
            match Scheme::of(self.preset, &settings, secrets.clone()) {
                Err(InvalidSettings::Needs { setting, .. }) => {
                    let value = self.made_up(setting)?;
                    settings = changed(&settings, |values| drop(values.insert(setting.to_owned(), value)));
                }
                scheme => return scheme.ok(),
            }
        }
        None
    }

    /// Prepares the scheme with the first placeholder key that has its form. Returns `None` if none has.
    pub(super) fn with_placeholders(&self) -> Option<Scheme> {
        let secret = |text: &str| vec![NamedSecret { id: String::new(), secret: Secret::new(text) }];
        let secrets = SECRETS.iter().map(|text| (secret(text), vec![]));
        let public = PUBLIC_KEYS.iter().map(|text| (vec![], vec![(*text).to_owned()]));
        let both = SECRETS.iter().flat_map(|text| {
            PUBLIC_KEYS.iter().map(move |public| (secret(text), vec![(*public).to_owned()]))
        });
        secrets.chain(public).chain(both).find_map(|(secrets, public)| self.scheme(&secrets, &public))
    }

    /// Returns a placeholder for a setting. `header` and `signature` have none, because they say what a
    /// request has. A promise such as `unverified` has none either.
    fn made_up(&self, setting: &str) -> Option<Value> {
        Some(match setting {
            "url" => json!(self.url.split(['?', '#']).next()?),
            "webhook_id" | "audience" => json!("placeholder"),
            "topic_arns" => json!(["arn:aws:sns:us-east-1:000000000000:placeholder"]),
            "jwks_url" => json!("https://keys.example/jwks.json"),
            "issuer" => json!("https://issuer.example"),
            _ => return None,
        })
    }
}

fn changed(settings: &Settings, change: impl FnOnce(&mut Map<String, Value>)) -> Settings {
    let Ok(Value::Object(mut values)) = serde_json::to_value(settings) else { return settings.clone() };
    change(&mut values);
    let changed: Settings = serde_json::from_value(Value::Object(values)).unwrap_or_default();
    Settings { tolerance_seconds: settings.tolerance_seconds, ..changed }
}
