//! Names of clients: the subject alternative names of a certificate, and its digest.

use ring::digest::{SHA256, digest};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use crate::InvalidSettings;

/// The most names of a certificate that a failure shows.
const MAX_SHOWN: usize = 3;

/// A client that may send.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClientName {
    /// In lower case.
    Dns(String),
    Uri(String),
    /// With the part after the `@` in lower case.
    Email(String),
    /// The SHA-256 of the certificate in DER.
    Sha256([u8; 32]),
}

impl ClientName {
    /// Reads an entry of `client_names`.
    ///
    /// # Errors
    /// If it has no kind, or a value that no certificate can have.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidSettings> {
        let wrong = |expected: &str| InvalidSettings::Setting {
            setting: "client_names",
            why: format!("`{text}`: expected {expected}"),
        };
        let (kind, value) = text.split_once(':').unwrap_or(("", text));
        let is_plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
        match kind {
            "DNS" if is_plain && !value.contains(['*', '/', ':', '@']) => Ok(Self::Dns(value.to_lowercase())),
            "DNS" => Err(wrong("one host name after `DNS:`, without `*`")),
            "URI" if is_plain && value.contains(':') => Ok(Self::Uri(value.to_owned())),
            "URI" => Err(wrong("a whole URI after `URI:`")),
            "email" => mailbox(value)
                .filter(|_| is_plain)
                .map(Self::Email)
                .ok_or_else(|| wrong("an address such as `hooks@sender.example` after `email:`")),
            "SHA256" => fingerprint(value).map(Self::Sha256).ok_or_else(|| {
                wrong("64 hexadecimal digits after `SHA256:`, perhaps with colons between two")
            }),
            _ => Err(wrong("`DNS:`, `URI:`, `email:` or `SHA256:` before the name")),
        }
    }

    /// Returns true if the certificate names this client. A common name does not count: nobody checks what
    /// stands there.
    pub(super) fn is_of(&self, certificate: &X509Certificate<'_>, der: &[u8]) -> bool {
        if let Self::Sha256(ours) = self {
            return digest(&SHA256, der).as_ref() == ours;
        }
        names(certificate).iter().any(|name| match (self, name) {
            (Self::Dns(ours), GeneralName::DNSName(theirs)) => ours.eq_ignore_ascii_case(theirs),
            (Self::Uri(ours), GeneralName::URI(theirs)) => ours == theirs,
            (Self::Email(ours), GeneralName::RFC822Name(theirs)) => mailbox(theirs).as_ref() == Some(ours),
            _ => false,
        })
    }
}

/// Says for the operator who a client is that may not send.
pub(super) fn shown(certificate: &X509Certificate<'_>, der: &[u8]) -> String {
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(format!("DNS:{name}")),
        GeneralName::URI(name) => Some(format!("URI:{name}")),
        GeneralName::RFC822Name(name) => Some(format!("email:{name}")),
        _ => None,
    };
    let own = format!("SHA256:{}", hex::encode(digest(&SHA256, der)));
    let names: Vec<String> =
        names(certificate).iter().filter_map(text).take(MAX_SHOWN).chain([own]).collect();
    format!("the client {}", names.join(", "))
}

/// A certificate with the extension twice, or one that cannot be read, has no names.
fn names<'c>(certificate: &'c X509Certificate<'_>) -> &'c [GeneralName<'c>] {
    let extension = certificate.subject_alternative_name().ok().flatten();
    extension.map_or(&[], |extension| &extension.value.general_names)
}

/// The host of an address has no case, and what stands before it may have one.
fn mailbox(address: &str) -> Option<String> {
    let (local, host) = address.rsplit_once('@')?;
    let is_whole = !local.is_empty() && !host.is_empty();
    is_whole.then(|| format!("{local}@{}", host.to_ascii_lowercase()))
}

fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.replace(':', ""), &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_a_kind_and_a_value() {
        let digest = "ab".repeat(32);
        for good in [
            "DNS:Sender.example",
            "URI:spiffe://sender.example/hooks",
            "email:Hooks@Sender.example",
            &format!("SHA256:{digest}"),
            &format!("SHA256:{}", ["AB"; 32].join(":")),
        ] {
            assert!(ClientName::parse(good).is_ok(), "{good}");
        }
        assert_eq!(
            ClientName::parse("email:A@B.example").unwrap(),
            ClientName::Email("A@b.example".to_owned())
        );
        for bad in [
            "",
            "sender.example",
            "DNS:",
            "DNS:*.sender.example",
            "DNS:a b",
            "dns:sender.example",
            "CN:sender.example",
            "URI:sender",
            "email:hooks",
            "email:@sender.example",
            "SHA256:ab",
            "SHA256:zz",
        ] {
            let error = ClientName::parse(bad).unwrap_err();
            assert_eq!(error.place(), "settings.client_names", "{bad}");
            assert!(error.to_string().contains("expected"), "{bad}: {error}");
        }
    }
}
