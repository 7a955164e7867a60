//! Checks the files that a configuration names: who can read its secrets, and when its certificates expire.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use toml::Value;

use super::certificate::{self, Validity};
use super::finding::{Advice, Findings, State};

/// The keys of files that only their owner, and perhaps its group, may read.
const SECRETS: [&str; 5] = ["opening_key_file", "password_file", "token_file", "nkey_file", "key_file"];
/// The keys of files with certificates.
const CERTIFICATES: [&str; 2] = ["certificate_file", "ca_file"];
/// The permissions that a secret must not give: any to others, and writing to the group.
const TOO_MUCH: u32 = 0o027;
/// Checks every file that a configuration file names. Relative paths start at `folder`.
pub(super) fn check(config: &Path, folder: &Path, findings: &mut Findings) {
    // The configuration is loaded elsewhere, which reports invalid TOML.
    let Some(value) = fs::read_to_string(config).ok().and_then(|text| text.parse::<toml::Table>().ok())
    else {
        return;
    };
    walk(&Value::Table(value), folder, findings);
}

fn walk(value: &Value, folder: &Path, findings: &mut Findings) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                match value {
                    Value::String(file) => look(key, &folder.join(file), findings),
                    other => walk(other, folder, findings),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| walk(value, folder, findings)),
        _ => {}
    }
}

fn look(key: &str, file: &Path, findings: &mut Findings) {
    if SECRETS.contains(&key) {
        secret(file, findings);
    } else if CERTIFICATES.contains(&key) {
        certificates(file, findings);
    }
}

fn secret(file: &Path, findings: &mut Findings) {
    let subject = file.display().to_string();
    let mode = match fs::metadata(file) {
        Ok(metadata) => metadata.mode() & 0o777,
        Err(error) => {
            let advice =
                Advice("Without it the program does not start.", "put it there, or correct the path");
            return findings.wrong("secret file", subject, error.to_string(), advice);
        }
    };
    let remedy = format!("chmod 600 {subject}, and replace the secret if others have accounts here");
    let state = if mode & TOO_MUCH == 0 { State::Ok } else { State::Wrong };
    let advice = Advice("Whoever reads it can act as this program.", &remedy);
    findings.add_judged(state, "secret file", subject, format!("mode {mode:03o}"), advice);
}

fn certificates(file: &Path, findings: &mut Findings) {
    let subject = file.display().to_string();
    let found = fs::read(file).map_err(|error| error.to_string());
    let found = found.and_then(|pem| earliest(&pem).ok_or_else(|| "no certificate in it".to_owned()));
    match found {
        Ok(validity) => {
            let remedy = "renew it, then send SIGHUP to what uses it (systemctl reload)";
            certificate::add(subject, validity, remedy, findings);
        }
        Err(error) => {
            let advice = Advice("Without it nobody can connect.", "put it there, or correct the path");
            findings.wrong("certificate", subject, error, advice);
        }
    }
}

/// The validity of the certificate that expires first.
fn earliest(pem: &[u8]) -> Option<Validity> {
    let certificates = CertificateDer::pem_slice_iter(pem).map(|der| certificate::validity(&der.ok()?));
    let all: Option<Vec<_>> = certificates.collect();
    all?.into_iter().min_by_key(|validity| validity.until)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn every_file_that_is_named_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, mode: u32| {
            fs::write(folder.path().join(name), "x").unwrap();
            fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        write("open.key", 0o644);
        write("group.password", 0o640);
        let config = folder.path().join("relay.toml");
        let text = "opening_key_file = \"open.key\"\n[[regions]]\n[regions.nats]\npassword_file = \"group.password\"\n\
                    nkey_file = \"gone\"\nca_file = \"open.key\"";
        fs::write(&config, text).unwrap();
        let mut findings = Findings::default();
        check(&config, folder.path(), &mut findings);
        let state = |name: &str| {
            let of = |finding: &&super::super::finding::Finding| finding.subject.ends_with(name);
            findings.all().iter().filter(of).map(|finding| finding.state).collect::<Vec<_>>()
        };
        assert_eq!(state("open.key"), [State::Wrong, State::Wrong], "readable by all, and no certificate");
        assert_eq!(state("group.password"), [State::Ok]);
        assert_eq!(state("gone"), [State::Wrong]);
    }
}
