//! A certificate authority in a folder.

use std::path::Path;

use floodgate_event::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use time::{Duration, OffsetDateTime};

use super::store::{self, KeyError, KeyFiles};
use floodgate_devkit::files::Readers;

/// How long an authority is valid.
const VALID: Duration = Duration::days(3650);
/// Certificates are valid from a day ago, because clocks differ.
pub(super) const BACKDATED: Duration = Duration::days(1);
/// The object identifier of `CommonName` and the tag of UTF-8 text, as a certificate has them.
const COMMON_NAME: [u8; 6] = [0x06, 0x03, 0x55, 0x04, 0x03, 0x0c];

/// Makes an authority in `dir`, unless it has one.
pub(super) fn make(files: &mut KeyFiles, dir: &Path, name: &str) -> Result<(), KeyError> {
    let (pem, key) = (dir.join("ca.pem"), dir.join("ca.key"));
    if store::read(&pem)?.is_some() {
        return match store::read(&key)? {
            Some(_) => Ok(()),
            None => Err(KeyError::Half { there: pem, missing: key }),
        };
    }
    let fresh = || Ok(Secret::new(KeyPair::generate()?.serialize_pem()));
    let pair = parse_key(&key, &files.secret(&key, fresh)?)?;
    let certificate = params(name).self_signed(&pair)?;
    files.write(&pem, &certificate.pem(), Readers::Everybody)
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = OffsetDateTime::now_utc() - BACKDATED;
    params.not_after = OffsetDateTime::now_utc() + VALID;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// An authority that was read from its folder.
pub(super) struct Authority {
    /// Verifies what the authority signed.
    pub(super) roots: RootCertStore,
    /// Signs certificates in the authority's name.
    pub(super) issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Reads an authority that [`make`] made.
    pub(super) fn load(dir: &Path) -> Result<Self, KeyError> {
        let (pem, key) = (dir.join("ca.pem"), dir.join("ca.key"));
        let text = |path: &Path| store::read(path)?.ok_or_else(|| KeyError::NoAuthority(dir.to_owned()));
        let pair = parse_key(&key, &Secret::new(text(&key)?))?;
        let (roots, name) = anchor(&text(&pem)?)
            .ok_or(KeyError::Unusable { path: pem, expected: "what `floodgate keys ca` makes" })?;
        Ok(Self { roots, issuer: Issuer::new(params(&name), pair) })
    }
}

/// Returns the authority as a root, and its name.
fn anchor(pem: &str) -> Option<(RootCertStore, String)> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).ok()?).ok()?;
    let subject = &roots.roots.first()?.subject;
    let at = subject.windows(COMMON_NAME.len()).position(|window| window == COMMON_NAME)?;
    // The text's length is one byte, because no name is longer than 64 characters (RFC 5280, appendix A).
    let text = subject.get(at + COMMON_NAME.len() + 1..)?;
    let name = String::from_utf8(text.to_vec()).ok()?;
    Some((roots, name))
}

pub(super) fn parse_key(path: &Path, pem: &Secret) -> Result<KeyPair, KeyError> {
    KeyPair::from_pem(pem.expose())
        .map_err(|_| KeyError::Unusable { path: path.to_owned(), expected: "a private key in PEM" })
}
