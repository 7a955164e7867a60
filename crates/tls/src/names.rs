//! Chooses a certificate by the name that a client asks for (SNI, RFC 6066).

use std::collections::HashMap;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// Certificates by the DNS names that they are made out to.
#[derive(Debug)]
pub(super) struct ByName {
    /// For clients that name nobody, or somebody else.
    default: Arc<CertifiedKey>,
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what follows `*.` of a wildcard, which stands for one label.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
}

impl ByName {
    pub(super) fn new(default: CertifiedKey) -> Self {
        let default = Arc::new(default);
        let mut names =
            Self { default: Arc::clone(&default), exact: HashMap::new(), wildcard: HashMap::new() };
        // The default may have no name at all.
        names.add_all(&default);
        names
    }

    /// Adds a certificate. Returns false if it has no DNS name, so that no client could ever get it. A name
    /// that an earlier certificate has stays with that one.
    pub(super) fn add(&mut self, key: CertifiedKey) -> bool {
        self.add_all(&Arc::new(key))
    }

    fn add_all(&mut self, key: &Arc<CertifiedKey>) -> bool {
        let names = key.cert.first().map(dns_names).unwrap_or_default();
        for name in &names {
            let (map, name) = match name.strip_prefix("*.") {
                Some(parent) => (&mut self.wildcard, parent),
                None => (&mut self.exact, name.as_str()),
            };
            map.entry(name.to_owned()).or_insert_with(|| Arc::clone(key));
        }
        !names.is_empty()
    }

    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let wildcard = || self.wildcard.get(name.split_once('.')?.1);
        self.exact.get(&name).or_else(wildcard)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = hello.server_name().and_then(|name| self.find(name));
        Some(Arc::clone(found.unwrap_or(&self.default)))
    }
}

/// The DNS names among the certificate's subject alternative names, in lower case.
fn dns_names(certificate: &CertificateDer<'static>) -> Vec<String> {
    let Ok((_, certificate)) = parse_x509_certificate(certificate) else { return Vec::new() };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let dns = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    dns.collect()
}
