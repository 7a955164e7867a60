//! The names that a certificate is for.

use std::collections::BTreeSet;
use std::net::IpAddr;

use rustls::pki_types::DnsName;

use super::store::KeyError;

/// Host names and addresses, sorted, so that their order in the arguments does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// # Errors
    /// If one is neither a DNS name nor an IP address.
    pub(super) fn parse(names: &[String]) -> Result<Self, KeyError> {
        names.iter().map(|name| canonical(name)).collect::<Result<_, _>>().map(Self)
    }

    /// The names in the form that rcgen takes.
    pub(super) fn to_vec(&self) -> Vec<String> {
        self.0.iter().cloned().collect()
    }

    /// One of the names, for people to read.
    pub(super) fn first(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// Writes the names as `GeneralNames`, as a certificate has them (RFC 5280, 4.2.1.6). A certificate with
    /// exactly these bytes is for these names and no others.
    pub(super) fn to_der(&self) -> Vec<u8> {
        let each = self.0.iter().flat_map(|name| match name.parse() {
            Ok(IpAddr::V4(address)) => tagged(IP_ADDRESS, &address.octets()),
            Ok(IpAddr::V6(address)) => tagged(IP_ADDRESS, &address.octets()),
            Err(_) => tagged(DNS_NAME, name.as_bytes()),
        });
        tagged(SEQUENCE, &each.collect::<Vec<u8>>())
    }
}

const SEQUENCE: u8 = 0x30;
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;

fn tagged(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    let digits = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut der = vec![tag];
    match (contents.len(), u8::try_from(digits.len())) {
        (0, _) => der.push(0),
        (1..0x80, _) => der.extend_from_slice(digits),
        // At most eight digits, so the sum fits.
        (_, Ok(count)) => {
            der.push(0x80 | count);
            der.extend_from_slice(digits);
        }
        (_, Err(_)) => {}
    }
    der.extend_from_slice(contents);
    der
}

fn canonical(name: &str) -> Result<String, KeyError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    let name = name.to_ascii_lowercase();
    match DnsName::try_from(name.as_str()) {
        Ok(_) => Ok(name),
        Err(_) => Err(KeyError::Name(name)),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn names(names: &[&str]) -> Names {
        Names::parse(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn their_order_and_case_do_not_matter() {
        assert_eq!(names(&["b", "A", "::1"]), names(&["0:0::1", "a", "b"]));
        assert!(Names::parse(&["not a name".to_owned()]).is_err());
    }

    #[test]
    fn certificates_hold_them_byte_for_byte() {
        let long = "a".repeat(60) + "." + &"b".repeat(60) + ".example";
        for names in [names(&["10.0.0.1", "localhost", "::1"]), names(&[&long, "x"]), names(&["x"])] {
            let params = CertificateParams::new(names.to_vec()).unwrap();
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let der = names.to_der();
            assert!(certificate.der().windows(der.len()).any(|window| window == der), "{names:?}");
        }
    }
}
