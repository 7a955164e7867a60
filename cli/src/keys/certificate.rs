//! A server's certificate, signed by an authority in a folder.

use std::path::PathBuf;
use std::time::SystemTime;

use floodgate_event::Secret;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    PublicKeyData as _,
};
use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use time::{Duration, OffsetDateTime};

use super::authority::{Authority, BACKDATED};
use super::names::Names;
use super::store::{self, KeyError, KeyFiles, with_suffix};
use floodgate_devkit::files::Readers;

/// Arguments of `floodgate keys certificate`.
#[derive(clap::Args)]
pub(crate) struct CertificateArgs {
    /// The files' names without `.pem` and `.key`
    #[arg(value_name = "PREFIX")]
    prefix: PathBuf,
    /// The folder of the authority
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// What the server is reached by, a DNS name or an IP address; may be given several times
    #[arg(long = "name", value_name = "NAME", required = true, num_args = 1..)]
    names: Vec<String>,
    /// For how many days it is valid
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
    /// It is made anew if it ends within so many days
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(0..=3650))]
    renew_within_days: u16,
}

/// Makes a certificate and its key, unless there is one that fits.
pub(super) fn make(files: &mut KeyFiles, args: &CertificateArgs) -> Result<(), KeyError> {
    let authority = Authority::load(&args.ca)?;
    let names = Names::parse(&args.names)?;
    let (pem, key) = (with_suffix(&args.prefix, ".pem"), with_suffix(&args.prefix, ".key"));
    if let (Some(certificate), Some(private)) = (store::read(&pem)?, store::read(&key)?) {
        let requirements =
            Requirements { roots: &authority.roots, names: &names, days: args.renew_within_days };
        if requirements.are_met(&certificate, &Secret::new(private)) {
            return Ok(());
        }
    }
    let pair = KeyPair::generate()?;
    let certificate = params(&names, args.days)?.signed_by(&pair, &authority.issuer)?;
    files.write(&key, Secret::new(pair.serialize_pem()).expose(), Readers::Nobody)?;
    files.write(&pem, &certificate.pem(), Readers::Everybody)
}

fn params(names: &Names, days: u16) -> Result<CertificateParams, KeyError> {
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, names.first());
    params.not_before = OffsetDateTime::now_utc() - BACKDATED;
    params.not_after = OffsetDateTime::now_utc() + Duration::days(days.into());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // Servers of a cluster are also clients of each other.
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// What an existing certificate must be. If it is not, a new one is made.
struct Requirements<'a> {
    roots: &'a RootCertStore,
    names: &'a Names,
    /// For how many more days it must be valid.
    days: u16,
}

impl Requirements<'_> {
    fn are_met(&self, certificate: &str, key: &Secret) -> bool {
        let Ok(certificate) = CertificateDer::from_pem_slice(certificate.as_bytes()) else { return false };
        let names = self.names.to_der();
        certificate.windows(names.len()).any(|window| window == names)
            && is_pair(&certificate, key)
            && self.is_signed(&certificate)
    }

    /// Returns true if the authority has signed it and it is valid until then.
    fn is_signed(&self, certificate: &CertificateDer<'_>) -> bool {
        let until = SystemTime::now() + std::time::Duration::from_secs(u64::from(self.days) * 86_400);
        let Ok(since_epoch) = until.duration_since(SystemTime::UNIX_EPOCH) else { return false };
        let until = UnixTime::since_unix_epoch(since_epoch);
        let algorithms = ring::default_provider().signature_verification_algorithms.all;
        ParsedCertificate::try_from(certificate).is_ok_and(|parsed| {
            verify_server_cert_signed_by_trust_anchor(&parsed, self.roots, &[], until, algorithms).is_ok()
        })
    }
}

/// Returns true if the key belongs to the certificate, which contains its public half.
fn is_pair(certificate: &CertificateDer<'_>, key: &Secret) -> bool {
    KeyPair::from_pem(key.expose()).is_ok_and(|pair| {
        let public = pair.der_bytes();
        certificate.windows(public.len()).any(|window| window == public)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::super::{KeysCommand, make as run};
    use super::*;

    fn authority(folder: &Path) -> PathBuf {
        let dir = folder.join("ca");
        run(&KeysCommand::Ca { dir: dir.clone(), name: "A test's".to_owned() }).unwrap();
        dir
    }

    fn args(folder: &Path, names: &[&str], days: u16, renew_within_days: u16) -> KeysCommand {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        let (prefix, ca) = (folder.join("tls/nats"), folder.join("ca"));
        KeysCommand::Certificate(CertificateArgs { prefix, ca, names, days, renew_within_days })
    }

    #[test]
    fn an_authority_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let dir = authority(folder.path());
        let mode = |file: &str| dir.join(file).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(""), mode("ca.key"), mode("ca.pem")), (0o700, 0o600, 0o644));
        let again = KeysCommand::Ca { dir: dir.clone(), name: "another".to_owned() };
        assert_eq!(run(&again).unwrap(), Vec::<PathBuf>::new());
        fs::remove_file(dir.join("ca.key")).unwrap();
        assert!(
            matches!(run(&again), Err(KeyError::Half { .. })),
            "the key is not made up for its certificate"
        );
    }

    #[test]
    fn a_certificate_stays_until_it_does_not_fit() {
        let folder = tempfile::tempdir().unwrap();
        let ca = authority(folder.path());
        let names = ["localhost", "10.0.0.1"];
        let made = run(&args(folder.path(), &names, 365, 30)).unwrap();
        assert_eq!(made, ["tls/nats.key", "tls/nats.pem"].map(|file| folder.path().join(file)));
        assert_eq!(made[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let makes = |names: &[&str], renew| run(&args(folder.path(), names, 365, renew)).unwrap().len();
        assert_eq!(makes(&names, 30), 0);
        assert_eq!(makes(&["10.0.0.1", "LOCALHOST"], 300), 0);
        assert_eq!(makes(&names, 366), 2, "it ends too soon");
        assert_eq!(makes(&["localhost"], 30), 2, "a name has gone");
        assert_eq!(makes(&names, 30), 2, "a name has come");
        fs::copy(ca.join("ca.key"), folder.path().join("tls/nats.key")).unwrap();
        assert_eq!(makes(&names, 30), 2, "the key is another's");
        fs::remove_dir_all(&ca).unwrap();
        authority(folder.path());
        assert_eq!(makes(&names, 30), 2, "the authority is another, though of the same name");
        assert_eq!(makes(&names, 30), 0);
    }

    #[test]
    fn without_an_authority_there_is_no_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let refused = run(&args(folder.path(), &["a"], 1, 0)).unwrap_err();
        assert!(matches!(refused, KeyError::NoAuthority(_)));
    }
}
