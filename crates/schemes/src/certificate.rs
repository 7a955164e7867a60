//! The X.509 certificates in which providers publish their keys.
//!
//! The issuers of a certificate are not checked. The gateway fetches it over HTTPS from an address of the
//! provider, so the same certificate authorities have vouched for that server already. Nor would a chain tell
//! the provider's signing key from the key of its web server.

use ring::signature::{UnparsedPublicKey, VerificationAlgorithm};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;
use x509_parser::pem::parse_x509_pem;

use crate::{Failure, Request};

/// The longest file of certificates, in bytes. A chain takes a tenth of that.
const MAX_BYTES: usize = 64 * 1_024;

/// The parts of a certificate that a scheme needs.
pub(crate) struct Certificate {
    url: String,
    /// The hosts that it is for, or the common name of its subject.
    names: Vec<String>,
    /// In Unix seconds.
    not_before: i64,
    not_after: i64,
    /// The `subjectPublicKey`, which is what `ring` takes.
    key: Vec<u8>,
}

impl Certificate {
    /// Returns the first certificate that an address published. Any others are those of its issuers.
    ///
    /// # Errors
    /// If nothing was fetched from the address, or what was fetched is not a certificate.
    pub(crate) fn published(request: &Request<'_>, url: &str) -> Result<Self, Failure> {
        let bytes = request.published.get(url).ok_or_else(|| Failure::UnknownKey(url.to_owned()))?;
        Self::parse(url, &bytes).ok_or_else(|| unusable(url, "not a certificate in PEM"))
    }

    /// Returns true if this is a certificate.
    pub(crate) fn is_one(bytes: &[u8]) -> bool {
        Self::parse("", bytes).is_some()
    }

    fn parse(url: &str, bytes: &[u8]) -> Option<Self> {
        let is_text = bytes.len() <= MAX_BYTES && std::str::from_utf8(bytes).is_ok();
        let (_, pem) = is_text.then(|| parse_x509_pem(bytes).ok()).flatten()?;
        let (rest, certificate) = parse_x509_certificate(&pem.contents).ok()?;
        if pem.label != "CERTIFICATE" || !rest.is_empty() {
            return None;
        }
        let validity = certificate.validity();
        Some(Self {
            url: url.to_owned(),
            names: names(&certificate)?,
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            key: certificate.public_key().subject_public_key.data.to_vec(),
        })
    }

    /// Refuses a certificate whose subject is not the provider.
    ///
    /// # Errors
    /// If none of its names is one of the provider's.
    pub(crate) fn require_name(&self, is_known: impl Fn(&str) -> bool) -> Result<(), Failure> {
        let known = self.names.iter().any(|name| is_known(name));
        if known { Ok(()) } else { Err(unusable(&self.url, "its subject is another")) }
    }

    /// Refuses a certificate whose validity has not begun.
    ///
    /// # Errors
    /// If it is not valid yet.
    pub(crate) fn require_begun(&self, now: u64) -> Result<(), Failure> {
        if self.not_before <= seconds(now) { Ok(()) } else { Err(unusable(&self.url, "not valid yet")) }
    }

    /// Refuses a certificate whose validity has ended.
    ///
    /// # Errors
    /// If it has expired.
    pub(crate) fn require_unexpired(&self, now: u64) -> Result<(), Failure> {
        if seconds(now) <= self.not_after { Ok(()) } else { Err(unusable(&self.url, "expired")) }
    }

    /// Checks a signature with the key of the certificate.
    ///
    /// # Errors
    /// If the key did not make the signature.
    pub(crate) fn verify(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        content: &[u8],
        signature: &[u8],
    ) -> Result<(), Failure> {
        let key = UnparsedPublicKey::new(algorithm, &self.key);
        key.verify(content, signature).map_err(|_| Failure::NoMatch { keys: 1 })
    }
}

/// Returns the hosts of `subjectAltName`. The common name counts only if there are none
/// ([RFC 6125](https://www.rfc-editor.org/rfc/rfc6125) section 6.4.4), and only if it is one.
fn names(certificate: &X509Certificate<'_>) -> Option<Vec<String>> {
    let alternative = certificate.subject_alternative_name().ok()?;
    let all = alternative.iter().flat_map(|extension| &extension.value.general_names);
    let hosts = all.filter_map(|name| match name {
        GeneralName::DNSName(host) => Some((*host).to_owned()),
        _ => None,
    });
    let hosts: Vec<String> = hosts.collect();
    if !hosts.is_empty() {
        return Some(hosts);
    }
    let mut common = certificate.subject().iter_common_name();
    let (Some(name), None) = (common.next(), common.next()) else { return None };
    Some(vec![name.as_str().ok()?.to_owned()])
}

fn unusable(url: &str, why: &'static str) -> Failure {
    Failure::UnusableKey { url: url.to_owned(), why }
}

fn seconds(now: u64) -> i64 {
    i64::try_from(now).unwrap_or(i64::MAX)
}
