//! A certificate authority of this folder's own, and the certificate that its gateways show.

use std::path::PathBuf;

use floodgate_event::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

use crate::folder::{self, Folder};

/// The host name of this machine's gateways.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// How long the authority is valid.
const AUTHORITY_VALID: Duration = Duration::days(3650);
/// How long a gateway's certificate is valid. Each start makes a new one.
const LEAF_VALID: Duration = Duration::days(90);
/// Certificates are valid from a day ago: a container's clock may be behind.
const BACKDATED: Duration = Duration::days(1);

/// The files that TLS needs.
#[derive(Debug)]
pub(crate) struct Tls {
    /// The authority's certificate; what clients trust.
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Makes a certificate for this machine's gateways, signed by the folder's authority, which is made once.
pub(crate) fn issue(folder: &Folder) -> Result<Tls, Error> {
    let authority_key = KeyPair::from_pem(new_key(folder)?.expose())?;
    let ca = match folder.read("tls/ca.pem")? {
        Some(_) => folder.path("tls/ca.pem"),
        None => folder.write("tls/ca.pem", authority()?.self_signed(&authority_key)?.pem().as_bytes())?,
    };
    let key = KeyPair::generate()?;
    let certificate = leaf()?.signed_by(&key, &Issuer::new(authority()?, authority_key))?;
    Ok(Tls {
        ca,
        certificate: folder.write("tls/gateway.pem", certificate.pem().as_bytes())?,
        key: folder.write("tls/gateway.key", Secret::new(key.serialize_pem()).expose().as_bytes())?,
    })
}

fn new_key(folder: &Folder) -> Result<Secret, Error> {
    let fresh = KeyPair::generate()?;
    Ok(folder.keep_pem("tls/ca.key", || Secret::new(fresh.serialize_pem()))?)
}

fn authority() -> Result<CertificateParams, rcgen::Error> {
    let mut params = named("Floodgate development CA", Vec::new(), AUTHORITY_VALID)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn leaf() -> Result<CertificateParams, rcgen::Error> {
    let mut params = named("Floodgate development gateway", NAMES.map(String::from).into(), LEAF_VALID)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn named(name: &str, alternatives: Vec<String>, valid: Duration) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(alternatives)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = OffsetDateTime::now_utc() - BACKDATED;
    params.not_after = OffsetDateTime::now_utc() + valid;
    Ok(params)
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A key or a certificate could not be made or read.
    #[error("cannot make the development certificates")]
    Make(#[from] rcgen::Error),
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] folder::Error),
}
