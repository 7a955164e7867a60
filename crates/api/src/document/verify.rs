//! How a source's requests prove where they come from, as an operator describes it.

use floodgate_event::scheme::Settings;
use floodgate_event::{Name, Secret};
use floodgate_schemes::{InvalidSettings, NamedSecret, Scheme, presets};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Invalid, field};

/// `verify` of a source.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Verify)]
pub struct VerifyDocument {
    /// The name of the scheme: how the provider signs.
    #[schema(value_type = String)]
    pub scheme: Name,
    /// Secrets, any of which may have signed. A scheme with secrets needs at least one.
    #[serde(default, deserialize_with = "field::secret_list")]
    #[schema(max_items = 10, write_only)]
    pub secrets: Vec<Secret>,
    /// How far a signed time may be from now, in seconds. If it is left out, the scheme's default applies.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 86400)]
    pub tolerance_seconds: Option<u64>,
    /// What the scheme needs to know besides its secrets.
    #[serde(default)]
    pub settings: Settings,
}

impl VerifyDocument {
    /// The most secrets of a source.
    pub const MAX_SECRETS: usize = 10;
    /// The longest tolerance, in seconds: a day.
    pub const MAX_TOLERANCE_SECONDS: u64 = 86_400;

    pub(super) fn check(&self) -> Result<(), Invalid> {
        let preset = presets::find(&self.scheme).ok_or_else(|| {
            let known: Vec<&str> = presets::all().iter().map(|preset| preset.name).collect();
            Invalid::new("verify.scheme", format!("expected one of {}", known.join(", ")))
        })?;
        let path = "verify.tolerance_seconds";
        match self.tolerance_seconds {
            Some(_) if !preset.has_time(&self.settings) => {
                let wrong = format!("scheme `{}` signs no time: leave it out", self.scheme);
                return Err(Invalid::new(path, wrong));
            }
            Some(seconds) => field::within(path, seconds, 1..=Self::MAX_TOLERANCE_SECONDS)?,
            None => {}
        }
        self.check_sizes()?;
        field::secrets("verify.secrets", &self.secrets, Self::MAX_SECRETS, |secret| {
            match self.prepare(std::slice::from_ref(secret)) {
                Err(error @ (InvalidSettings::Key(_) | InvalidSettings::EmptySecret)) => {
                    Err(error.to_string())
                }
                _ => Ok(()),
            }
        })?;
        self.prepare(&self.secrets)
            .map_err(|error| Invalid::new(format!("verify.{}", error.place()), error.to_string()))
    }

    fn check_sizes(&self) -> Result<(), Invalid> {
        let settings = &self.settings;
        let path = |name: &str| format!("verify.settings.{name}");
        let texts = |name: &str, texts: &[String], most: usize, bytes: usize| {
            field::at_most(&path(name), "entries", texts.len(), most)?;
            texts.iter().try_for_each(|text| field::at_most(&path(name), "bytes", text.len(), bytes))
        };
        texts("public_keys", &settings.public_keys, Settings::MAX_PUBLIC_KEYS, Settings::MAX_KEY_BYTES)?;
        texts("allow", &settings.allow, Settings::MAX_NETWORKS, Settings::MAX_TEXT_BYTES)?;
        texts("topic_arns", &settings.topic_arns, Settings::MAX_TOPICS, Settings::MAX_TEXT_BYTES)?;
        texts("client_ca", &settings.client_ca, Settings::MAX_CLIENT_CA, Settings::MAX_KEY_BYTES)?;
        texts("client_names", &settings.client_names, Settings::MAX_CLIENT_NAMES, Settings::MAX_TEXT_BYTES)?;
        [
            ("url", &settings.url),
            ("header", &settings.header),
            ("webhook_id", &settings.webhook_id),
            ("verify_token", &settings.verify_token),
            ("jwks_url", &settings.jwks_url),
            ("issuer", &settings.issuer),
            ("audience", &settings.audience),
            ("subject", &settings.subject),
        ]
        .into_iter()
        .try_for_each(|(name, text)| texts(name, text.as_slice(), 1, Settings::MAX_TEXT_BYTES))
    }

    /// Prepares the scheme as a gateway will.
    fn prepare(&self, secrets: &[Secret]) -> Result<(), InvalidSettings> {
        let named = |secret: &Secret| NamedSecret { id: String::new(), secret: secret.clone() };
        let settings = Settings { tolerance_seconds: self.tolerance_seconds, ..self.settings.clone() };
        Scheme::new(&self.scheme, &settings, secrets.iter().map(named).collect()).map(drop)
    }

    /// Returns the tolerance that applies, in seconds: the source's, or else the scheme's default.
    pub fn tolerance(&self) -> Option<u64> {
        let preset = presets::find(&self.scheme);
        let preset = preset.filter(|preset| preset.has_time(&self.settings));
        self.tolerance_seconds.or_else(|| preset?.tolerance_seconds)
    }
}
