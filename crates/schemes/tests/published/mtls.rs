//! Sources that ask for the certificate of a TLS client.

use floodgate_event::ClientCertificates;
use floodgate_event::scheme::Settings;
use floodgate_schemes::{Failure, InvalidSettings, NoPublishedKeys, Received, Request, Scheme, Unsigned};
use http::HeaderMap;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use time::OffsetDateTime;

use crate::support::secret;

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 24 * 60 * 60;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn at(seconds: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds.try_into().unwrap()).unwrap()
}

fn parameters(common_name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::new(vec![]).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    (parameters.not_before, parameters.not_after) = (at(NOW - DAY), at(NOW + DAY));
    parameters
}

fn of_authority(name: &str) -> CertificateParams {
    let mut parameters = parameters(name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters
}

fn authority(name: &str) -> Authority {
    CertifiedIssuer::self_signed(of_authority(name), KeyPair::generate().unwrap()).unwrap()
}

fn intermediate(name: &str, issuer: &Authority) -> Authority {
    CertifiedIssuer::signed_by(of_authority(name), KeyPair::generate().unwrap(), issuer).unwrap()
}

/// The certificate of a client with all kinds of names.
fn client(issuer: &Authority, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut parameters = parameters("common.example");
    parameters.subject_alt_names = vec![
        SanType::DnsName("sender.example".try_into().unwrap()),
        SanType::URI("spiffe://sender.example/hooks".try_into().unwrap()),
        SanType::Rfc822Name("hooks@sender.example".try_into().unwrap()),
    ];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut parameters);
    parameters.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().to_vec()
}

fn settings(authorities: &[&Authority], names: &[&str]) -> Settings {
    Settings {
        client_ca: authorities.iter().map(|authority| authority.pem()).collect(),
        client_names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Settings::default()
    }
}

fn mtls(authorities: &[&Authority], names: &[&str]) -> Scheme {
    Scheme::new("mtls", &settings(authorities, names), vec![]).unwrap()
}

fn receive(scheme: &Scheme, client: Option<&ClientCertificates>, now: u64) -> Result<String, Failure> {
    let headers = HeaderMap::new();
    let (url, published) = ("https://receiver.example/in/hook", &NoPublishedKeys);
    let request = Request { method: "POST", url, headers: &headers, body: b"{}", now, published, client };
    match scheme.receive(&request)? {
        Received::Event(key) => Ok(key.to_owned()),
        Received::Handshake(answer) => panic!("{answer:?}"),
    }
}

/// As a client that sends these certificates.
fn sent(scheme: &Scheme, chain: &[&[u8]], now: u64) -> Result<String, Failure> {
    let chain = chain.iter().map(|der| der.to_vec()).collect();
    receive(scheme, Some(&ClientCertificates::new(chain)), now)
}

#[test]
fn each_kind_of_name_lets_its_client_send() {
    let ours = authority("ours");
    let own = client(&ours, |_| {});
    let digest = hex::encode(ring::digest::digest(&ring::digest::SHA256, &own));
    let mut keys = vec![];
    for name in [
        "DNS:Sender.Example",
        "URI:spiffe://sender.example/hooks",
        "email:hooks@SENDER.example",
        &format!("SHA256:{digest}"),
    ] {
        let scheme = mtls(&[&authority("another"), &ours], &["DNS:nobody.example", name]);
        keys.push(sent(&scheme, &[&own], NOW).unwrap_or_else(|failure| panic!("{name}: {failure}")));
    }
    assert!(keys.iter().all(|key| key.starts_with("client_")), "{keys:?}");
    keys.dedup();
    assert_eq!(keys.len(), 4, "an event says by which name it came");
}

#[test]
fn every_other_certificate_is_refused_with_the_reason() {
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let scheme = mtls(&[&ours], &["DNS:sender.example"]);
    let own = client(&ours, |_| {});
    assert_eq!(sent(&scheme, &[&own], NOW).map(drop), Ok(()));
    let refused = |why: &'static str| Err(Failure::ClientCertificate(why));
    let named = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| SanType::DnsName((*name).try_into().unwrap())).collect();
        client(&ours, |parameters| parameters.subject_alt_names = names)
    };
    let forged = authority("ours");
    for (case, chain, now, expected) in [
        (
            "another authority",
            vec![client(&theirs, |_| {})],
            NOW,
            refused("none of the source's authorities signed it"),
        ),
        ("one of the same name", vec![client(&forged, |_| {})], NOW, refused("its signature is wrong")),
        ("expired", vec![own.clone()], NOW + 2 * DAY, refused("it has expired")),
        (
            "for servers",
            vec![client(&ours, |parameters| {
                parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            })],
            NOW,
            refused("it is not for clients"),
        ),
        (
            "no key for signatures",
            vec![client(&ours, |parameters| {
                parameters.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
            })],
            NOW,
            refused("its key is not for signatures"),
        ),
        (
            "its end has passed",
            vec![client(&ours, |parameters| parameters.not_after = at(NOW - 1))],
            NOW,
            refused("it has expired"),
        ),
        (
            "not begun",
            vec![client(&ours, |parameters| parameters.not_before = at(NOW + 1))],
            NOW,
            refused("it is not valid yet"),
        ),
        (
            "the authority itself",
            vec![ours.der().to_vec()],
            NOW,
            refused("it is that of an authority, not of a client"),
        ),
        ("no certificate", vec![b"nonsense".to_vec()], NOW, refused("it cannot be verified")),
        ("an empty list", vec![], NOW, Err(Failure::Missing("client certificate".into()))),
    ] {
        let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        assert_eq!(sent(&scheme, &chain, now).map(drop), expected, "{case}");
    }
    assert_eq!(receive(&scheme, None, NOW), Err(Failure::Missing("client certificate".into())));
    for names in [&["other.example"][..], &["*.example"], &["sender.example.evil"], &[]] {
        let failure = sent(&scheme, &[&named(names)], NOW).unwrap_err();
        assert!(matches!(&failure, Failure::NotAllowed { what } if what.contains("SHA256:")), "{failure}");
    }
    let common = mtls(&[&ours], &["DNS:common.example"]);
    assert!(matches!(sent(&common, &[&own], NOW), Err(Failure::NotAllowed { .. })), "a common name");
}

#[test]
fn authorities_in_between_come_from_the_client() {
    let root = authority("root");
    let between = intermediate("between", &root);
    let (own, scheme) = (client(&between, |_| {}), mtls(&[&root], &["DNS:sender.example"]));
    assert_eq!(sent(&scheme, &[&own, between.der()], NOW).map(drop), Ok(()));
    assert!(sent(&scheme, &[&own], NOW).is_err());
    // With several of one name there are more paths than certificates, and each costs a check.
    let [second, third] = [(); 2].map(|()| intermediate("between", &root));
    let twice = [&*own, between.der(), between.der(), second.der()];
    assert_eq!(sent(&scheme, &twice, NOW).map(drop), Ok(()));
    let failure = sent(&scheme, &[&own, between.der(), second.der(), third.der()], NOW).unwrap_err();
    assert!(failure.to_string().contains("at most two certificates with one subject"), "{failure}");
    // A client is no authority, whoever signed its certificate.
    let key = KeyPair::generate().unwrap();
    let mut leaf = parameters("leaf");
    leaf.is_ca = IsCa::ExplicitNoCa;
    let leaf = CertifiedIssuer::signed_by(leaf, key, &root).unwrap();
    assert!(sent(&scheme, &[&client(&leaf, |_| {}), leaf.der()], NOW).is_err());
}

/// Nobody vouches any more for what an authority has signed once its own time is over.
#[test]
fn an_authority_signs_for_its_own_time() {
    let mut old = of_authority("old");
    old.not_after = at(NOW + 10);
    let old = CertifiedIssuer::self_signed(old, KeyPair::generate().unwrap()).unwrap();
    let (own, scheme) = (client(&old, |_| {}), mtls(&[&old, &authority("other")], &["DNS:sender.example"]));
    let connection = ClientCertificates::new(vec![own]);
    assert!(receive(&scheme, Some(&connection), NOW + 10).is_ok());
    let failure = receive(&scheme, Some(&connection), NOW + 11).unwrap_err();
    assert_eq!(failure, Failure::ClientCertificate("none of the source's authorities signed it"));
}

/// A connection lives longer than a certificate may, and has requests to several sources.
#[test]
fn what_was_accepted_once_is_not_accepted_for_ever_nor_everywhere() {
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let own = client(&ours, |parameters| parameters.not_after = at(NOW + 10));
    let connection = ClientCertificates::new(vec![own]);
    let scheme = mtls(&[&ours], &["DNS:sender.example"]);
    let accepted = receive(&scheme, Some(&connection), NOW).unwrap();
    assert_eq!(receive(&scheme, Some(&connection), NOW + 10), Ok(accepted.clone()));
    assert!(receive(&scheme, Some(&connection), NOW + 11).is_err());
    assert_eq!(receive(&scheme, Some(&connection), NOW), Ok(accepted));
    for other in [mtls(&[&theirs], &["DNS:sender.example"]), mtls(&[&ours], &["DNS:other.example"])] {
        assert!(receive(&other, Some(&connection), NOW).is_err());
    }
    let both = mtls(&[&ours, &theirs], &["DNS:sender.example"]);
    assert!(receive(&both, Some(&connection), NOW).is_ok());
}

/// Any other scheme may ask for one as well.
#[test]
fn a_certificate_may_be_needed_beside_a_signature() {
    let ours = authority("ours");
    let own = ClientCertificates::new(vec![client(&ours, |_| {})]);
    let settings = settings(&[&ours], &["DNS:sender.example"]);
    let scheme = Scheme::new("slack", &settings, secret("k")).unwrap();
    assert!(scheme.needs_client_certificate());
    for body in [r#"{"type": "event_callback"}"#, r#"{"type": "url_verification", "challenge": "a"}"#] {
        let (none, url) = (HeaderMap::new(), "https://receiver.example/in/hook");
        let unsigned =
            Unsigned { method: "POST", url, headers: &none, body: body.as_bytes(), id: "1", now: NOW };
        let headers: HeaderMap = scheme.sign(&unsigned).unwrap().headers.into_iter().collect();
        let sent = |headers: &HeaderMap, client| {
            let (body, published) = (body.as_bytes(), &NoPublishedKeys);
            let request = Request { method: "POST", url, headers, body, now: NOW, published, client };
            scheme.receive(&request).map(drop)
        };
        assert_eq!(sent(&headers, Some(&own)), Ok(()), "{body}");
        assert_eq!(sent(&headers, None), Err(Failure::Missing("client certificate".into())), "{body}");
        assert!(sent(&none, Some(&own)).is_err(), "{body}");
    }
    let without = Scheme::new("slack", &Settings::default(), secret("k")).unwrap();
    assert!(!without.needs_client_certificate());
}

#[test]
fn settings_that_let_in_too_many_are_refused_by_name() {
    let ours = authority("ours");
    let key = KeyPair::generate().unwrap().serialize_pem();
    let with = |pem: String| Settings { client_ca: vec![pem], ..settings(&[], &["DNS:a.example"]) };
    let place = |settings: &Settings| {
        let refused = Scheme::new("mtls", settings, vec![]).map(drop);
        refused.unwrap_err().place()
    };
    for (settings, expected) in [
        (Settings::default(), "settings.client_ca"),
        (settings(&[&ours], &[]), "settings.client_names"),
        (settings(&[], &["DNS:a.example"]), "settings.client_ca"),
        (settings(&[&ours], &["a.example"]), "settings.client_names"),
        (with(String::new()), "settings.client_ca"),
        (with(key.clone()), "settings.client_ca"),
        (with(ours.pem() + &key), "settings.client_ca"),
        (with(ours.pem() + &ours.pem()), "settings.client_ca"),
        (
            with("-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n".to_owned()),
            "settings.client_ca",
        ),
    ] {
        assert_eq!(place(&settings), expected, "{settings:?}");
        let refused = Scheme::new("github", &settings, secret("k")).map(drop);
        assert_eq!(refused.is_ok(), settings == Settings::default(), "{settings:?}");
    }
    let unused = Settings { unverified: true, ..settings(&[&ours], &["DNS:a.example"]) };
    assert_eq!(
        Scheme::new("mtls", &unused, vec![]).map(drop),
        Err(InvalidSettings::Unused("unverified".to_owned()))
    );
}

proptest::proptest! {
    /// Nobody signed these bytes.
    #[test]
    fn no_byte_of_a_certificate_can_change(at: proptest::sample::Index, mask in 1..=u8::MAX) {
        let ours = authority("ours");
        let scheme = mtls(&[&ours], &["DNS:sender.example"]);
        let mut own = client(&ours, |_| {});
        let at = at.index(own.len());
        own[at] ^= mask;
        proptest::prop_assert!(sent(&scheme, &[&own], NOW).is_err(), "byte {}", at);
    }

    #[test]
    fn nothing_in_place_of_certificates_makes_it_panic(
        chain in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), 0..4),
        mixed: bool,
    ) {
        let ours = authority("ours");
        let scheme = mtls(&[&ours], &["DNS:sender.example"]);
        let own = client(&ours, |_| {});
        let mut chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        if mixed {
            chain.insert(0, &own);
        }
        let accepted = sent(&scheme, &chain, NOW).is_ok();
        proptest::prop_assert!(!accepted || mixed);
    }
}
