//! PayPal. It signs a CRC32 of the body, which does not stop an attacker: whoever captured one request can
//! make another body with the same CRC32. So only the id of the transmission is covered, and a handler that
//! moves money has to fetch the event from PayPal. Mock events of PayPal's simulator cannot be verified.

use floodgate_event::scheme::{Encoding, Settings};
use floodgate_event::source::Locator;
use http::HeaderMap;
use ring::signature::RSA_PKCS1_2048_8192_SHA256;

use crate::certificate::Certificate;
use crate::header::{require_fresh, rfc3339, single};
use crate::keys::{PUBLISHED, Secrets};
use crate::preset::{At, Preset, Signing};
use crate::verify::Verify;
use crate::{Failure, Fetch, InvalidSettings, Request, address, digest};

const ID: &str = "paypal-transmission-id";
const TIME: &str = "paypal-transmission-time";
const SIGNATURE: &str = "paypal-transmission-sig";
const CERTIFICATE: &str = "paypal-cert-url";
const ALGORITHM: &str = "paypal-auth-algo";

pub(super) fn preset() -> Preset {
    Preset {
        signs_time: true,
        uses: &["webhook_id"],
        documentation: "https://developer.paypal.com/api/rest/webhooks/rest/",
        id: Some(At::Header(ID)),
        event_type: Some(At::Json("/event_type")),
        ..Preset::coded("paypal", "PayPal", Signing::Code(prepare))
    }
}

struct PayPal {
    webhook_id: String,
    /// `None` unless the source sets it: PayPal retries for three days, and does not say whether a retry has
    /// a new time.
    tolerance: Option<u64>,
}

fn prepare(settings: &Settings, _secrets: &Secrets) -> Result<Box<dyn Verify>, InvalidSettings> {
    let setting = "webhook_id";
    match settings.webhook_id.as_deref() {
        None | Some("") => Err(InvalidSettings::Needs {
            setting,
            why: "one key signs for all customers; this tells them apart",
        }),
        Some(id) if id.contains('|') => {
            Err(InvalidSettings::Setting { setting, why: "an id as PayPal shows it, without `|`".to_owned() })
        }
        Some(id) => Ok(Box::new(PayPal { webhook_id: id.to_owned(), tolerance: settings.tolerance_seconds })),
    }
}

impl Verify for PayPal {
    fn require(&self, headers: &HeaderMap) -> Result<(), Failure> {
        [ID, TIME, SIGNATURE, CERTIFICATE, ALGORITHM]
            .iter()
            .try_for_each(|name| single(headers, name).map(drop))
    }

    fn verify(&self, request: &Request<'_>) -> Result<&str, Failure> {
        let (id, time) = (part(request.headers, ID)?, part(request.headers, TIME)?);
        // This header is not signed, so it must not choose the algorithm.
        if single(request.headers, ALGORITHM)? != "SHA256withRSA" {
            return Err(Failure::malformed(ALGORITHM, "SHA256withRSA"));
        }
        let signature = digest::decode(Encoding::Base64, single(request.headers, SIGNATURE)?);
        let signature = signature.ok_or_else(|| Failure::malformed(SIGNATURE, "base64"))?;
        let url = single(request.headers, CERTIFICATE)?;
        if let Some(tolerance) = self.tolerance {
            let signed = rfc3339(time).ok_or_else(|| Failure::malformed(TIME, "a time of RFC 3339"))?;
            require_fresh(signed, request.now, tolerance)?;
        }
        let certificate = certificate(request, url)?;
        let content = format!("{id}|{time}|{}|{}", self.webhook_id, crc32fast::hash(request.body));
        certificate.verify(&RSA_PKCS1_2048_8192_SHA256, content.as_bytes(), &signature)?;
        Ok(PUBLISHED)
    }

    fn covers(&self, locator: &Locator) -> bool {
        matches!(locator, Locator::Header(name) if name.eq_ignore_ascii_case(ID))
    }

    /// Returns what is signed of the request but its checksum: any body can have that.
    fn content(&self, request: &Request<'_>) -> Option<Vec<u8>> {
        let (id, time) = (part(request.headers, ID).ok()?, part(request.headers, TIME).ok()?);
        Some(format!("{id}|{time}").into_bytes())
    }

    fn is_key(&self, bytes: &[u8]) -> bool {
        Certificate::is_one(bytes)
    }

    fn fetch(&self, address: &str) -> Option<Fetch> {
        address::is_paypal_certificate(address).then(|| Fetch { url: address.to_owned(), post: None })
    }
}

/// Returns a part of what is signed. If it contained the separator `|`, it would be unclear where it ends.
fn part<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<&'h str, Failure> {
    let text = single(headers, name)?;
    if text.is_empty() || text.contains('|') {
        return Err(Failure::malformed(name, "a value without `|`"));
    }
    Ok(text)
}

/// Returns the certificate, if its name is PayPal's and it has not expired. PayPal's own libraries check the
/// same. Only one of them also checks that its validity has begun.
fn certificate(request: &Request<'_>, url: &str) -> Result<Certificate, Failure> {
    if !address::is_paypal_certificate(url) {
        return Err(Failure::ForeignKey(url.to_owned()));
    }
    let certificate = Certificate::published(request, url)?;
    certificate.require_name(|name| {
        name.starts_with("messageverificationcerts.") && name.ends_with(".paypal.com")
    })?;
    certificate.require_unexpired(request.now)?;
    Ok(certificate)
}
