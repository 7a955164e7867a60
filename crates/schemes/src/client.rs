//! The certificates of TLS clients: who may have signed them, and whom they may name.

mod name;

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use floodgate_event::ClientCertificates;
use floodgate_event::client::Accepted;
use floodgate_event::scheme::Settings;
use ring::digest::{Context, SHA256};
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert};
use x509_parser::certificate::X509Certificate;
use x509_parser::parse_x509_certificate;
use x509_parser::pem::parse_x509_pem;

use self::name::{ClientName, shown};
use crate::{Failure, InvalidSettings};

const CERTIFICATE: &str = "client certificate";
/// The most certificates with one subject that a client may send beside its own.
const MAX_SAME_SUBJECT: usize = 2;

/// The clients that may send to a source.
pub(crate) struct Clients {
    authorities: Vec<Authority>,
    names: Vec<(String, ClientName)>,
    /// The SHA-256 of both.
    digest: [u8; 32],
}

struct Authority {
    anchor: TrustAnchor<'static>,
    valid: RangeInclusive<u64>,
}

impl Clients {
    /// Reads `client_ca` and `client_names`. Returns `None` if the source has neither.
    ///
    /// # Errors
    /// If there is only one of them, or an entry cannot be read.
    pub(crate) fn prepare(settings: &Settings) -> Result<Option<Self>, InvalidSettings> {
        let why = match (settings.client_ca.is_empty(), settings.client_names.is_empty()) {
            (true, true) => return Ok(None),
            (false, false) => None,
            (true, false) => Some(("client_ca", "a client could name itself anything")),
            (false, true) => Some(("client_names", "any certificate of the authority would be accepted")),
        };
        if let Some((setting, why)) = why {
            return Err(InvalidSettings::Needs { setting, why });
        }
        let named = |text: &String| Ok((id_of(text), ClientName::parse(text)?));
        Ok(Some(Self {
            authorities: settings.client_ca.iter().map(|pem| authority(pem)).collect::<Result<_, _>>()?,
            names: settings.client_names.iter().map(named).collect::<Result<_, _>>()?,
            digest: digest(settings),
        }))
    }

    /// Verifies the certificates of a client. Returns the id of the name that it may send under.
    ///
    /// # Errors
    /// If there are none, no authority vouches for them now, or the client is none of those that may send.
    pub(crate) fn verify(&self, client: Option<&ClientCertificates>, now: u64) -> Result<&str, Failure> {
        let client = client.ok_or_else(|| Failure::missing(CERTIFICATE))?;
        let name = match client.accepted(&self.digest, now) {
            Some(name) => name,
            None => {
                let accepted = self.check(client, now)?;
                let name = accepted.name;
                client.accept(accepted);
                name
            }
        };
        self.names.get(name).map(|(id, _)| id.as_str()).ok_or_else(|| Failure::missing(CERTIFICATE))
    }

    fn check(&self, client: &ClientCertificates, now: u64) -> Result<Accepted, Failure> {
        let (own, others) = client.chain().split_first().ok_or_else(|| Failure::missing(CERTIFICATE))?;
        if others.len() >= ClientCertificates::MAX_CHAIN {
            return Err(Failure::malformed(CERTIFICATE, "at most five certificates"));
        }
        Self::check_subjects(others)?;
        self.check_path(own, others, now)?;
        let certificate = parsed(own).ok_or_else(unreadable)?;
        check_key_usage(&certificate)?;
        let names = self.names.iter();
        let name = names.enumerate().find(|(_, (_, name))| name.is_of(&certificate, own));
        let (name, _) = name.ok_or_else(|| Failure::NotAllowed { what: shown(&certificate, own) })?;
        Ok(Accepted { by: self.digest, valid: self.validity(client, now)?, name })
    }

    /// Refuses chains in which more than two certificates have the same subject, as those of an authority
    /// that another has signed too. Finding a path may check a signature for each way through them, and a
    /// client could make every request cost as many as there are.
    fn check_subjects(others: &[Vec<u8>]) -> Result<(), Failure> {
        let mut subjects: HashMap<Vec<u8>, HashSet<&[u8]>> = HashMap::new();
        for der in others {
            let certificate = parsed(der).ok_or_else(unreadable)?;
            let same = subjects.entry(certificate.subject().as_raw().to_vec()).or_default();
            same.insert(der);
            if same.len() > MAX_SAME_SUBJECT {
                return Err(Failure::malformed(CERTIFICATE, "at most two certificates with one subject"));
            }
        }
        Ok(())
    }

    /// Checks that one of the authorities vouches for the certificate, over any of the others that the client
    /// sent: signatures, validity, constraints, and what the keys are for
    /// ([RFC 5280](https://www.rfc-editor.org/rfc/rfc5280) section 6).
    fn check_path(&self, own: &[u8], others: &[Vec<u8>], now: u64) -> Result<(), Failure> {
        let der = CertificateDer::from(own);
        let own = EndEntityCert::try_from(&der).map_err(|error| refused(&error))?;
        let others: Vec<_> = others.iter().map(|der| CertificateDer::from(&**der)).collect();
        let valid = self.authorities.iter().filter(|authority| authority.valid.contains(&now));
        let anchors: Vec<_> = valid.map(|authority| authority.anchor.clone()).collect();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(now));
        let usage = KeyUsage::client_auth();
        own.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &others, time, usage, None, None)
            .map(drop)
            .map_err(|error| refused(&error))
    }

    /// The time for which the check need not be made again: no certificate that may have been used begins or
    /// ends in it.
    fn validity(&self, client: &ClientCertificates, now: u64) -> Result<RangeInclusive<u64>, Failure> {
        let of_client = client.chain().iter().map(|der| parsed(der).map(|read| validity(&read)));
        let of_client = of_client.collect::<Option<Vec<_>>>().ok_or_else(unreadable)?;
        let authorities = self.authorities.iter().map(|authority| authority.valid.clone());
        let valid = authorities.chain(of_client).filter(|valid| valid.contains(&now));
        Ok(valid.fold(0..=u64::MAX, |all, one| *all.start().max(one.start())..=*all.end().min(one.end())))
    }
}

fn parsed(der: &[u8]) -> Option<X509Certificate<'_>> {
    parse_x509_certificate(der).ok().filter(|(rest, _)| rest.is_empty()).map(|(_, certificate)| certificate)
}

fn validity(certificate: &X509Certificate<'_>) -> RangeInclusive<u64> {
    let seconds = |time: i64| u64::try_from(time).unwrap_or_default();
    let validity = certificate.validity();
    seconds(validity.not_before.timestamp())..=seconds(validity.not_after.timestamp())
}

/// A key that is only for something else, such as encryption, signs no handshakes.
fn check_key_usage(certificate: &X509Certificate<'_>) -> Result<(), Failure> {
    match certificate.key_usage().map_err(|_| unreadable())? {
        Some(usage) if !usage.value.digital_signature() => {
            Err(Failure::ClientCertificate("its key is not for signatures"))
        }
        _ => Ok(()),
    }
}

/// Reads one certificate in PEM, and nothing else: a private key beside it would be stored in clear.
fn authority(pem: &str) -> Result<Authority, InvalidSettings> {
    let wrong = |why: &str| InvalidSettings::Setting { setting: "client_ca", why: why.to_owned() };
    let (rest, read) = parse_x509_pem(pem.as_bytes()).map_err(|_| wrong("expected a certificate in PEM"))?;
    if read.label != "CERTIFICATE" || !rest.trim_ascii().is_empty() {
        return Err(wrong("expected one certificate in PEM for each entry, and nothing else"));
    }
    let unfit = || wrong("the PEM holds no X.509 certificate that can be used");
    let der = CertificateDer::from(&*read.contents);
    let anchor = anchor_from_trusted_cert(&der).map_err(|_| unfit())?.to_owned();
    Ok(Authority { anchor, valid: validity(&parsed(&read.contents).ok_or_else(unfit)?) })
}

/// The id of a name, by which envelopes say who sent.
fn id_of(name: &str) -> String {
    let digest = ring::digest::digest(&SHA256, name.as_bytes());
    format!("client_{}", hex::encode(&digest.as_ref()[..6]))
}

fn digest(settings: &Settings) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for list in [&settings.client_ca, &settings.client_names] {
        context.update(&list.len().to_be_bytes());
        for text in list {
            context.update(&text.len().to_be_bytes());
            context.update(text.as_bytes());
        }
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

fn unreadable() -> Failure {
    Failure::ClientCertificate("it cannot be read")
}

fn refused(error: &Error) -> Failure {
    Failure::ClientCertificate(match error {
        Error::CertExpired { .. } => "it has expired",
        Error::CertNotValidYet { .. } => "it is not valid yet",
        Error::UnknownIssuer => "none of the source's authorities signed it",
        Error::InvalidSignatureForPublicKey => "its signature is wrong",
        Error::CaUsedAsEndEntity => "it is that of an authority, not of a client",
        Error::RequiredEkuNotFoundContext(_) => "it is not for clients",
        Error::NameConstraintViolation => "its authority may not sign for its name",
        Error::MaximumPathBuildCallsExceeded | Error::MaximumSignatureChecksExceeded => {
            "it comes with too many others"
        }
        _ => "it cannot be verified",
    })
}
