//! The way out: clients for addresses that others choose, and the guard against server-side request forgery,
//! which decides which addresses they reach.
//!
//! Whoever may configure destinations chooses their URLs, and the relay runs inside the private network. So
//! the guard checks the address after the name is resolved. The connector gets only addresses that passed,
//! and a name is checked each time it is resolved. Clients never follow redirects.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder, redirect};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// IPv4 networks that are not part of the public internet: IANA's special-purpose registry, multicast and
/// class E.
const SPECIAL_V4: [Ipv4Net; 16] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
    v4(255, 255, 255, 255, 32),
];

/// The only part of IPv6 that is global unicast. Loopback, unspecified, mapped IPv4, NAT64, ULA, link-local
/// and multicast are all outside.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0], 3);

/// Parts of [`GLOBAL_V6`] that are not public: Teredo and other protocol assignments, documentation, 6to4.
const SPECIAL_V6: [Ipv6Net; 4] =
    [v6([0x2001, 0, 0], 23), v6([0x2001, 0xdb8, 0], 32), v6([0x2002, 0, 0], 16), v6([0x3fff, 0, 0], 20)];

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(head: [u16; 3], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(head[0], head[1], head[2], 0, 0, 0, 0, 0), prefix)
}

/// TLS with ring, which checks certificates against the system's roots. Without those, it trusts none.
///
/// # Errors
/// If ring lacks a protocol version, which is a bug.
pub fn tls() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut tls = match builder.clone().with_platform_verifier() {
        Ok(verified) => verified.with_no_client_auth(),
        Err(error) => {
            tracing::warn!(%error, "no root certificates on this host: no https server will be trusted");
            builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        }
    };
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}

/// A client whose connections all go past the guard, for names as well as for literal addresses (which
/// [`SsrfGuard::check_literal`] checks before a request). It follows no redirect and uses no proxy of the
/// environment, which would resolve names behind the guard's back.
pub fn client(guard: &SsrfGuard, tls: ClientConfig) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(Arc::new(guard.clone()))
        .no_proxy()
        .redirect(redirect::Policy::none())
}

/// Lets requests reach public addresses and the networks that the operator allows.
#[derive(Clone, Debug)]
pub struct SsrfGuard {
    allowed: Arc<[IpNet]>,
}

impl SsrfGuard {
    /// A guard that also allows `allow_networks`, which may be private, loopback or otherwise special.
    pub fn new(allow_networks: Vec<IpNet>) -> Self {
        Self { allowed: allow_networks.into() }
    }

    /// Checks an address.
    ///
    /// # Errors
    /// If the address is neither public nor allowed.
    pub fn check(&self, address: IpAddr) -> Result<(), Refused> {
        if is_public(address) || self.allowed.iter().any(|network| network.contains(&address)) {
            Ok(())
        } else {
            Err(Refused { address })
        }
    }

    /// Checks a URL whose host is an address, which no resolver sees. Names pass, because the resolver checks
    /// them.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn check_literal(&self, url: &url::Url) -> Result<(), Refused> {
        match url.host() {
            Some(url::Host::Ipv4(address)) => self.check(address.into()),
            Some(url::Host::Ipv6(address)) => self.check(address.into()),
            Some(url::Host::Domain(_)) | None => Ok(()),
        }
    }

    /// The addresses that may be reached. If there are none, why the first one is refused.
    fn permitted(&self, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Refused> {
        let mut refused = None;
        let mut permitted = Vec::with_capacity(addresses.len());
        for address in addresses {
            match self.check(address.ip()) {
                Ok(()) => permitted.push(address),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match refused {
            Some(error) if permitted.is_empty() => Err(error),
            _ => Ok(permitted),
        }
    }
}

impl Resolve for SsrfGuard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let permitted = guard.permitted(found)?;
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_V6.contains(&address) && !SPECIAL_V6.iter().any(|network| network.contains(&address))
        }
    }
}

/// Requests may not reach this address. Either the URL or `allow_networks` is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{address} is not a public address, and not in `allow_networks`")]
pub struct Refused {
    /// The address that was refused.
    pub address: IpAddr,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(networks: &[&str]) -> SsrfGuard {
        SsrfGuard::new(networks.iter().map(|network| network.parse().unwrap()).collect())
    }

    fn passes(guard: &SsrfGuard, address: &str) -> bool {
        guard.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn special_addresses_are_refused() {
        let addresses = "0.0.0.0 10.1.2.3 100.64.0.1 100.127.255.255 127.0.0.1 169.254.169.254 172.16.0.1 \
            172.31.255.255 192.168.1.1 198.18.0.1 224.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 \
            ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b:1::1 2002:7f00:1:: 2001::1 2001:db8::1 fc00::1 fd00:ec2::254 \
            fe80::1 fec0::1 ff02::1 100::1 4000::1";
        for address in addresses.split_whitespace() {
            assert!(!passes(&guard(&[]), address), "{address}");
        }
    }

    #[test]
    fn public_addresses_pass() {
        for address in
            "1.1.1.1 100.63.255.255 100.128.0.0 172.32.0.1 8.8.8.8 2606:4700::1111 2a00::1".split(' ')
        {
            assert!(passes(&guard(&[]), address), "{address}");
        }
    }

    #[test]
    fn only_what_is_named_is_allowed_besides() {
        let guard = guard(&["127.0.0.0/8", "fd00::/8"]);
        assert!(passes(&guard, "127.0.0.1") && passes(&guard, "fd00::1"));
        assert!(!passes(&guard, "10.0.0.1") && !passes(&guard, "::1") && !passes(&guard, "::ffff:127.0.0.1"));
    }

    #[test]
    fn literal_hosts_are_read_as_the_connector_will() {
        for url in ["http://127.1/", "http://0x7f000001/", "http://2130706433/", "http://[::1]/", "http://0/"]
        {
            assert!(guard(&[]).check_literal(&url.parse().unwrap()).is_err(), "{url}");
        }
        assert!(guard(&[]).check_literal(&"http://example.com/".parse().unwrap()).is_ok());
    }

    #[test]
    fn a_name_with_one_public_address_reaches_only_that() {
        let mixed = ["10.0.0.1:0", "1.1.1.1:0"].map(|address| address.parse().unwrap()).to_vec();
        assert_eq!(guard(&[]).permitted(mixed).unwrap(), ["1.1.1.1:0".parse().unwrap()]);
        assert!(guard(&[]).permitted(vec!["10.0.0.1:0".parse().unwrap()]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn mapped_and_translated_forms_never_pass(address: u32) {
            let guard = guard(&[]);
            for form in [
                Ipv4Addr::from(address).to_ipv6_mapped(),
                Ipv6Addr::from(u128::from(address)),
                Ipv6Addr::from(0x64_ff9b_u128 << 96 | u128::from(address)),
                Ipv6Addr::from(0x2002_u128 << 112 | u128::from(address) << 80),
            ] {
                proptest::prop_assert!(guard.check(form.into()).is_err(), "{}", form);
            }
        }
    }
}
