//! Any provider that shows a certificate when it connects by TLS. Nothing of a request is signed: whoever has
//! the private key can send anything, and nobody else can send at all.

use floodgate_event::scheme::Settings;
use floodgate_event::source::Locator;
use http::HeaderMap;

use crate::client::Clients;
use crate::keys::Secrets;
use crate::preset::{Description, Preset, Signing};
use crate::verify::Verify;
use crate::{Failure, InvalidSettings, Request};

pub(super) fn preset() -> Preset {
    Preset {
        uses: &["client_ca", "client_names"],
        documentation: "https://www.rfc-editor.org/rfc/rfc8446#section-4.3.2",
        words,
        ..Preset::coded("mtls", "A certificate of the TLS client", Signing::Code(prepare))
    }
}

struct MutualTls {
    clients: Clients,
}

fn words(_: &Settings) -> Description {
    vec![("signed", "nothing: the TLS client proves that it has the key of its certificate".to_owned())]
}

fn prepare(settings: &Settings, _secrets: &Secrets) -> Result<Box<dyn Verify>, InvalidSettings> {
    let why = "a client's certificate must be signed by an authority that you trust";
    let clients = Clients::prepare(settings)?.ok_or(InvalidSettings::Needs { setting: "client_ca", why })?;
    Ok(Box::new(MutualTls { clients }))
}

impl Verify for MutualTls {
    fn require(&self, _headers: &HeaderMap) -> Result<(), Failure> {
        Ok(())
    }

    /// Returns the id of the name that the client has.
    fn verify(&self, request: &Request<'_>) -> Result<&str, Failure> {
        self.clients.verify(request.client, request.now)
    }

    fn covers(&self, _locator: &Locator) -> bool {
        true
    }
}
