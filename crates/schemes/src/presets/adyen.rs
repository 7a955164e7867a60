//! Adyen's standard notifications. Adyen signs eight fields of each item, and puts the signature into the
//! body.
//!
//! Colons separate the fields, and nothing is escaped. The merchant's account and reference may contain a
//! colon, and then it is unclear where either ends, so these two fields do not count as covered. No other
//! field may contain a colon.
//!
//! Only `pspReference`, `eventCode` and `success` together identify a notification, so no single field is its
//! id.

use std::collections::BTreeSet;

use floodgate_event::scheme::{Algorithm, Encoding, KeyFormat};
use floodgate_event::source::Locator;
use http::HeaderMap;
use serde::Deserialize;

use crate::digest::{self, Key};
use crate::fields::{self, Batch, Object};
use crate::header::same;
use crate::keys::{self, Named, Secrets};
use crate::preset::{At, Preset, Signing};
use crate::verify::Verify;
use crate::{Failure, InvalidSettings, Request, Signed, Unsigned};

/// The most items in a request. Adyen sends one per request in JSON.
const MAX_ITEMS: usize = 100;
const EXPECTED: &str = "JSON with `notificationItems`: 1 to 100 of `NotificationRequestItem`";
const ITEMS: &str = "/notificationItems/";
const ITEM: &str = "NotificationRequestItem/";
/// The fields that cannot change without making the signature wrong.
const COVERED: [&str; 6] =
    ["pspReference", "originalReference", "amount/value", "amount/currency", "eventCode", "success"];

pub(super) fn preset() -> Preset {
    Preset {
        documentation: "https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures/",
        event_type: Some(At::Json("/notificationItems/0/NotificationRequestItem/eventCode")),
        // Older accounts need this body. Newer ones accept any 2xx.
        accepted_body: Some("[accepted]"),
        ..Preset::coded(
            "adyen",
            "Adyen (standard notifications)",
            Signing::Code(|_, secrets| prepare(secrets)),
        )
    }
}

struct Items {
    keys: Vec<Named<Key>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    notification_items: Batch<Object<Wrapper>, MAX_ITEMS>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wrapper {
    notification_request_item: Object<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    psp_reference: Option<String>,
    original_reference: Option<String>,
    merchant_account_code: Option<String>,
    merchant_reference: Option<String>,
    amount: Option<Object<Amount>>,
    event_code: String,
    success: Success,
    #[serde(default)]
    additional_data: Object<AdditionalData>,
}

/// Adyen's documentation has a text. A boolean is signed as the text of the same name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Success {
    Text(String),
    Flag(bool),
}

#[derive(Deserialize)]
struct Amount {
    value: i64,
    currency: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AdditionalData {
    hmac_signature: Option<String>,
}

fn prepare(secrets: &Secrets) -> Result<Box<dyn Verify>, InvalidSettings> {
    let parse = |text: &str| keys::parse(Algorithm::HmacSha256, KeyFormat::Hex, text);
    Ok(Box::new(Items { keys: keys::prepare(secrets, parse)? }))
}

impl Verify for Items {
    fn require(&self, _headers: &HeaderMap) -> Result<(), Failure> {
        Ok(())
    }

    /// One key must have signed every item.
    fn verify(&self, request: &Request<'_>) -> Result<&str, Failure> {
        let notification = read(request.body)?;
        let items = notification.notification_items.iter().map(|wrapper| {
            let item = &wrapper.notification_request_item;
            let signature = item.additional_data.hmac_signature.as_deref();
            let missing = || Failure::missing("hmacSignature in the additionalData of an item");
            Ok((item.content()?, signature.ok_or_else(missing)?))
        });
        let items = items.collect::<Result<Vec<_>, Failure>>()?;
        let signs = |key: &Key| {
            let is_signed = |(content, theirs): &(String, &str)| {
                tag(key, content).is_some_and(|ours| same(ours.as_bytes(), theirs.as_bytes()))
            };
            items.iter().all(is_signed)
        };
        keys::find(&self.keys, signs)
    }

    fn covers(&self, locator: &Locator) -> bool {
        let Locator::Json(pointer) = locator else { return false };
        let inside = pointer.strip_prefix(ITEMS).and_then(|rest| rest.split_once('/'));
        inside.and_then(|(_, rest)| rest.strip_prefix(ITEM)).is_some_and(|field| COVERED.contains(&field))
    }

    /// Items that differ only in fields that are not signed are the same.
    fn content(&self, request: &Request<'_>) -> Option<Vec<u8>> {
        let notification = read(request.body).ok()?;
        let items = notification.notification_items.iter();
        let items = items.map(|wrapper| wrapper.notification_request_item.content());
        // Somebody could repeat an item, or put several into another order.
        let items = items.collect::<Result<BTreeSet<_>, _>>().ok()?;
        // JSON makes clear where an item ends.
        serde_json::to_vec(&items).ok()
    }

    fn sign(&self, message: &Unsigned<'_>) -> Option<Signed> {
        let notification = read(message.body).ok()?;
        let mut body = floodgate_json::Edit::new(message.body).ok()?;
        for (number, wrapper) in notification.notification_items.iter().enumerate() {
            let signature = tag(&self.keys.first()?.key, &wrapper.notification_request_item.content().ok()?)?;
            let data = format!("{ITEMS}{number}/{ITEM}additionalData");
            if body.get::<serde_json::Value>(&data).ok()?.is_none() {
                body.set(&data, &serde_json::json!({})).ok()?;
            }
            body.set(&format!("{data}/hmacSignature"), &signature).ok()?;
        }
        Some(Signed { body: Some(body.into_bytes()), ..Signed::default() })
    }
}

impl Item {
    /// Returns what is signed. A missing field counts as empty.
    fn content(&self) -> Result<String, Failure> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (value, currency) = match &self.amount {
            Some(amount) => (amount.value.to_string(), amount.currency.clone()),
            None => (String::new(), String::new()),
        };
        let (psp, original) = (text(&self.psp_reference), text(&self.original_reference));
        if [&psp, &original, &currency, &self.event_code].iter().any(|field| field.contains(':')) {
            return Err(Failure::malformed("a reference, currency or code of an item", "no colon"));
        }
        let merchant = [text(&self.merchant_account_code), text(&self.merchant_reference)].join(":");
        let (code, success) = (self.event_code.clone(), self.success.text()?.to_owned());
        Ok([psp, original, merchant, value, currency, code, success].join(":"))
    }
}

impl Success {
    fn text(&self) -> Result<&str, Failure> {
        match self {
            Self::Flag(true) => Ok("true"),
            Self::Flag(false) => Ok("false"),
            Self::Text(text) if text == "true" || text == "false" => Ok(text),
            Self::Text(_) => Err(Failure::malformed("success in an item", "`true` or `false`")),
        }
    }
}

fn read(body: &[u8]) -> Result<Object<Notification>, Failure> {
    fields::read(body, EXPECTED)
}

fn tag(key: &Key, content: &str) -> Option<String> {
    Some(digest::encode(Encoding::Base64, key.sign(&[content.as_bytes()])?.as_ref()))
}
