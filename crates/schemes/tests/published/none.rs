//! Sources that verify nothing, and lists of networks.

use floodgate_event::scheme::Settings;
use floodgate_event::source::Locator;
use floodgate_schemes::{InvalidSettings, Received, Scheme};
use http::HeaderMap;

use crate::support::{Published, post, secret};

fn settings(allow: &[&str], unverified: bool) -> Settings {
    Settings {
        allow: allow.iter().map(|text| (*text).to_owned()).collect(),
        unverified,
        ..Settings::default()
    }
}

fn none(allow: &[&str], unverified: bool) -> Result<Scheme, InvalidSettings> {
    Scheme::new("none", &settings(allow, unverified), vec![])
}

#[test]
fn nobody_goes_without_verification_by_accident() {
    assert!(none(&[], true).is_ok());
    assert!(none(&["203.0.113.0/24"], false).is_ok());
    assert!(none(&["10.0.0.0/8", "fc00::/7"], false).is_ok(), "the widest private networks");
    let halves = ["0.0.0.0/1", "128.0.0.0/1"];
    for everyone in [&[][..], &["0.0.0.0/0"], &["::/0"], &["203.0.113.0/24", "::/0"], &halves, &["2000::/3"]]
    {
        let refused = none(everyone, false).map(drop);
        assert!(matches!(refused, Err(InvalidSettings::Needs { setting: "unverified", .. })), "{everyone:?}");
        assert!(none(everyone, true).is_ok(), "{everyone:?}");
    }
}

#[test]
fn a_request_is_an_event_of_no_key() {
    let (scheme, headers, published) = (none(&[], true).unwrap(), HeaderMap::new(), Published::default());
    assert_eq!(scheme.require("POST", &headers), Ok(()));
    assert_eq!(scheme.receive(&post(&headers, b"x", 0, &published)), Ok(Received::Event("")));
    assert_eq!(published.asked(), Vec::<String>::new());
    assert!(scheme.fetch("https://sns.us-west-2.amazonaws.com/SimpleNotificationService-ab.pem").is_none());
}

/// Anyone could send the id of an event to come, so that this one would be a duplicate.
#[test]
fn what_anyone_can_send_tells_no_duplicates() {
    let id = Locator::Header("x-id".to_owned());
    assert!(!none(&[], true).unwrap().covers(&id));
    assert!(!none(&["0.0.0.0/0"], true).unwrap().covers(&id));
    assert!(!none(&["0.0.0.0/1", "128.0.0.0/1"], true).unwrap().covers(&id));
    assert!(none(&["203.0.113.0/24"], false).unwrap().covers(&id));
}

#[test]
fn a_list_holds_networks() {
    for bad in ["", "203.0.113.7", "203.0.113.0/33", "203.0.113/24", "example.com", "*", "203.0.113.0/24 "] {
        let refused = none(&["203.0.113.0/24", bad], true).map(drop);
        assert!(matches!(refused, Err(InvalidSettings::Setting { setting: "allow", .. })), "{bad}");
        let refused = Scheme::new("github", &settings(&[bad], false), secret("x")).map(drop);
        assert!(matches!(refused, Err(InvalidSettings::Setting { setting: "allow", .. })), "{bad}");
    }
}

#[test]
fn a_list_counts_for_every_scheme() {
    let scheme =
        Scheme::new("github", &settings(&["203.0.113.0/24", "2001:db8::/32"], false), secret("x")).unwrap();
    for inside in ["203.0.113.7", "::ffff:203.0.113.7", "2001:db8::1"] {
        assert!(scheme.admits(inside.parse().unwrap()), "{inside}");
    }
    for outside in ["203.0.114.7", "::ffff:203.0.114.7", "2001:db9::1", "::1"] {
        assert!(!scheme.admits(outside.parse().unwrap()), "{outside}");
    }
    let open = Scheme::new("github", &Settings::default(), secret("x")).unwrap();
    assert!(open.admits("203.0.114.7".parse().unwrap()));
}
