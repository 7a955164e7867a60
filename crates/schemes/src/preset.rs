//! What Floodgate knows of a provider.

use floodgate_event::scheme::{Settings, Template};
use floodgate_event::source::Locator;

use crate::keys::Secrets;
use crate::verify::Verify;
use crate::{Handshake, InvalidSettings, template};

/// What is known of a provider: how it signs, where its ids and types are, and what it asks an endpoint.
#[derive(Debug)]
pub struct Preset {
    /// The name in a source's `verify.scheme`.
    pub name: &'static str,
    /// The provider's own name, and what it sends.
    pub title: &'static str,
    /// Where the provider describes its signatures.
    pub documentation: &'static str,
    /// Where a request carries the signature, and what is signed.
    pub signing: Signing,
    /// How far a signed time may be from now, in seconds, unless the source says otherwise. `None` if the
    /// provider signs no time, or names no tolerance.
    pub tolerance_seconds: Option<u64>,
    /// True if [`Signing::Code`] reads a signed time for which the provider names no tolerance.
    pub signs_time: bool,
    /// The fields of a source's `verify` that the scheme uses: `secrets`, and names of settings.
    pub uses: &'static [&'static str],
    /// Where the id of the event is. `None` if the provider sends none.
    pub id: Option<At>,
    /// Where the type of the event is. `None` if the provider sends none.
    pub event_type: Option<At>,
    /// The requests by which the provider checks an endpoint.
    pub handshakes: &'static [Handshake],
    /// The body of the answer to an event that was accepted, where the provider asks for one.
    pub accepted_body: Option<&'static str>,
    /// The characters of which the body has to begin with one; any body if empty. It is what keeps apart what
    /// a signature runs together: a body and the text before it.
    pub body_begins: &'static str,
    /// True if the provider wants answers without a body, also when a request is refused.
    pub without_bodies: bool,
    /// True if different events may have the same body, and nothing else tells them from a retry. Each
    /// request is then an event of its own, unless the source says where an id is.
    pub bodies_repeat: bool,
    /// True if own applications send: a secret is a bearer token that alone finds the source, and a request
    /// may have several events, each with its id and its type.
    pub own_applications: bool,
    /// True if a body may carry a secret in clear, so that no record may show it.
    pub secret_in_body: bool,
    /// Headers that carry a secret in clear and are never stored. Settings may name another one:
    /// [`Scheme::is_secret_header`](crate::Scheme::is_secret_header) knows them all.
    pub secret_headers: &'static [&'static str],
    /// Parameters of the query that carry a secret in clear and are never stored.
    pub secret_parameters: &'static [&'static str],
    /// What a scheme that is code asks of a request. A template [describes itself](Preset::describe).
    pub words: fn(&Settings) -> Description,
}

/// What a scheme asks of a request, for people: headings, each with a text.
pub type Description = Vec<(&'static str, String)>;

impl Preset {
    /// Makes a preset of a template, with what fits most providers: no time, no handshake, no secret in
    /// clear.
    pub(crate) fn signed(name: &'static str, title: &'static str, template: Template) -> Self {
        Self::coded(name, title, Signing::Template(template))
    }

    /// Like [`Self::signed`], for a scheme that is written in code.
    pub(crate) fn coded(name: &'static str, title: &'static str, signing: Signing) -> Self {
        Self {
            name,
            title,
            documentation: "",
            signing,
            tolerance_seconds: None,
            signs_time: false,
            uses: &["secrets"],
            id: None,
            event_type: None,
            handshakes: &[],
            accepted_body: None,
            body_begins: "",
            without_bodies: false,
            bodies_repeat: false,
            own_applications: false,
            secret_in_body: false,
            secret_headers: &[],
            secret_parameters: &[],
            words: |_| vec![],
        }
    }
}

impl Preset {
    /// Returns true if requests have a signed time.
    pub fn has_time(&self, settings: &Settings) -> bool {
        if let Some(described) = &settings.signature {
            return described.timestamp.is_some();
        }
        let in_template = self.signing.template().is_some_and(|template| template.timestamp.is_some());
        in_template || self.tolerance_seconds.is_some() || self.signs_time
    }

    /// Returns true if the provider chooses the secret, and sends it by a handshake.
    pub(crate) fn key_comes_later(&self) -> bool {
        self.handshakes.contains(&Handshake::NotionToken)
    }
}

/// Makes a scheme of settings and secrets.
pub type Prepare = fn(&Settings, &Secrets) -> Result<Box<dyn Verify>, InvalidSettings>;

/// How a provider signs.
#[derive(Debug)]
pub enum Signing {
    /// As a template of the generic scheme describes it.
    Template(Template),
    /// As this template describes it, or in a variant of it that the code knows too.
    Varied(Template, Prepare),
    /// In a way of its own, which is written in code.
    Code(Prepare),
}

/// Where a preset says that a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// In the body, at this JSON pointer.
    Json(&'static str),
    /// In this header.
    Header(&'static str),
}

impl From<At> for Locator {
    fn from(at: At) -> Self {
        match at {
            At::Json(pointer) => Self::Json(pointer.to_owned()),
            At::Header(name) => Self::Header(name.to_owned()),
        }
    }
}

impl Signing {
    /// Returns the template by which the provider signs, or `None` if none describes it.
    pub(crate) fn template(&self) -> Option<&Template> {
        match self {
            Self::Template(template) | Self::Varied(template, _) => Some(template),
            Self::Code(_) => None,
        }
    }

    pub(crate) fn prepare(
        &self,
        settings: &Settings,
        secrets: &Secrets,
    ) -> Result<Box<dyn Verify>, InvalidSettings> {
        match self {
            Self::Template(template) => template::prepare(template, settings, secrets),
            Self::Varied(_, prepare) | Self::Code(prepare) => prepare(settings, secrets),
        }
    }
}
