//! The files that a configuration names: who can read its secrets, and when its certificates end.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::OffsetDateTime;
use toml::Value;

use super::certificate::{self, Validity};
use super::finding::{Advice, Findings, State};

/// Keys of files that nobody but their owner, and perhaps its group, may read.
const SECRETS: [&str; 5] = ["opening_key_file", "password_file", "token_file", "nkey_file", "key_file"];
/// Keys of files with certificates.
const CERTIFICATES: [&str; 2] = ["certificate_file", "ca_file"];
/// What others may not have: anything; what the group may not: change it.
const TOO_MUCH: u32 = 0o027;
/// Days before its end at which a certificate is wrong, and at which it is time to renew it.
const WRONG_DAYS: i64 = 7;
const WARN_DAYS: i64 = 30;

/// Checks every file that a configuration file names. Relative paths start from `folder`.
pub(super) fn check(config: &Path, folder: &Path, findings: &mut Findings) {
    // The configuration itself was read before; what is no TOML was said then.
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
            return findings.wrong_is("secret file", subject, error.to_string(), advice);
        }
    };
    let remedy = format!("chmod 600 {subject}, and replace the secret if others have accounts here");
    let state = if mode & TOO_MUCH == 0 { State::Well } else { State::Wrong };
    let advice = Advice("Whoever reads it can act as this program.", &remedy);
    findings.judged(state, "secret file", subject, format!("mode {mode:03o}"), advice);
}

fn certificates(file: &Path, findings: &mut Findings) {
    let subject = file.display().to_string();
    let found = fs::read(file).map_err(|error| error.to_string());
    let found = found.and_then(|pem| earliest(&pem).ok_or_else(|| "no certificate in it".to_owned()));
    match found {
        Ok(validity) => {
            let (state, found) = judge(validity, OffsetDateTime::now_utc());
            let advice = Advice(
                "Nobody connects to an expired certificate.",
                "renew it, then send SIGHUP to what uses it (systemctl reload)",
            );
            findings.judged(state, "certificate", subject, found, advice);
        }
        Err(error) => {
            let advice = Advice("Without it nobody can connect.", "put it there, or correct the path");
            findings.wrong_is("certificate", subject, error, advice);
        }
    }
}

/// Of a chain, or of several authorities, the one that ends first.
fn earliest(pem: &[u8]) -> Option<Validity> {
    let certificates = CertificateDer::pem_slice_iter(pem).map(|der| certificate::validity(&der.ok()?));
    let all: Option<Vec<_>> = certificates.collect();
    all?.into_iter().min_by_key(|validity| validity.until)
}

fn judge(validity: Validity, now: OffsetDateTime) -> (State, String) {
    if validity.from > now {
        return (State::Wrong, format!("not valid before {}", validity.from.date()));
    }
    let (left, end) = ((validity.until - now).whole_days(), validity.until.date());
    match left {
        _ if validity.until <= now => (State::Wrong, format!("expired on {end}")),
        ..WRONG_DAYS => (State::Wrong, format!("ends on {end}, in {left} days")),
        WRONG_DAYS..WARN_DAYS => (State::Warning, format!("ends on {end}, in {left} days")),
        _ => (State::Well, format!("ends on {end}, in {left} days")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use time::Duration;

    use super::*;

    #[test]
    fn a_certificate_is_judged_by_what_is_left_of_it() {
        let now = OffsetDateTime::now_utc();
        let state = |from: i64, until: i64| {
            judge(Validity { from: now + Duration::days(from), until: now + Duration::days(until) }, now).0
        };
        assert_eq!(state(-1, 90), State::Well);
        assert_eq!(state(-1, 29), State::Warning);
        assert_eq!([state(-1, 6), state(-9, -1), state(1, 90)], [State::Wrong; 3]);
    }

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
        assert_eq!(state("group.password"), [State::Well]);
        assert_eq!(state("gone"), [State::Wrong]);
    }
}
