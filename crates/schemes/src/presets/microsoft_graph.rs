//! Microsoft Graph's change notifications. A request carries notifications of several subscriptions. Each
//! subscription has a secret of its own, the `clientState` in its notifications. Nothing is signed, and the
//! secrets are in the body, which is stored.

use floodgate_event::source::Locator;
use http::HeaderMap;
use serde::Deserialize;

use crate::header::same;
use crate::keys::{self, Named, Secrets};
use crate::preset::{At, Preset, Signing};
use crate::verify::Verify;
use crate::{Failure, Handshake, InvalidSettings, Request, Signed, Unsigned, fields};

/// The most notifications in a request.
const MAX_NOTIFICATIONS: usize = 1_000;
const EXPECTED: &str = "JSON with `value`: 1 to 1,000 notifications, each with `clientState`";

pub(super) fn preset() -> Preset {
    Preset {
        documentation: "https://learn.microsoft.com/graph/change-notifications-delivery-webhooks",
        event_type: Some(At::Json("/value/0/changeType")),
        handshakes: &[Handshake::GraphValidation],
        secret_in_body: true,
        ..Preset::coded("microsoft-graph", "Microsoft Graph", Signing::Code(|_, secrets| prepare(secrets)))
    }
}

struct ClientState {
    keys: Vec<Named<String>>,
}

#[derive(Deserialize)]
struct Notifications {
    value: fields::Batch<Notification, MAX_NOTIFICATIONS>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    client_state: String,
}

fn prepare(secrets: &Secrets) -> Result<Box<dyn Verify>, InvalidSettings> {
    Ok(Box::new(ClientState { keys: keys::prepare(secrets, |text| Ok(text.to_owned()))? }))
}

impl Verify for ClientState {
    fn require(&self, _headers: &HeaderMap) -> Result<(), Failure> {
        Ok(())
    }

    /// Returns the id of the secret in the last notification. Each notification may have another secret.
    fn verify(&self, request: &Request<'_>) -> Result<&str, Failure> {
        let Notifications { value } = fields::read(request.body, EXPECTED)?;
        let mut key = Err(Failure::NoMatch { keys: self.keys.len() });
        for Notification { client_state } in value.iter() {
            key = Ok(keys::find(&self.keys, |ours| same(ours.as_bytes(), client_state.as_bytes()))?);
        }
        key
    }

    /// Whoever knows the secret can send anything, so no part of a request is less covered than another.
    fn covers(&self, _locator: &Locator) -> bool {
        true
    }

    fn sign(&self, message: &Unsigned<'_>) -> Option<Signed> {
        let List { value } = fields::read(message.body, EXPECTED).ok()?;
        let mut body = floodgate_json::Edit::new(message.body).ok()?;
        for (number, _) in value.iter().enumerate() {
            body.set(&format!("/value/{number}/clientState"), &self.keys.first()?.key).ok()?;
        }
        Some(Signed { body: Some(body.into_bytes()), ..Signed::default() })
    }
}

/// The notifications before they have a secret.
#[derive(Deserialize)]
struct List {
    value: fields::Batch<serde::de::IgnoredAny, MAX_NOTIFICATIONS>,
}
