//! The generic scheme, as a source configures it.

use floodgate_event::scheme::{Settings, Template};
use floodgate_schemes::{Failure, InvalidSettings};

use crate::support::{NOW, Sent, post, scheme, settings, try_scheme};

#[test]
fn a_source_has_to_describe_its_signature() {
    let unset = try_scheme("signed", &Settings::default(), &["x"]).unwrap_err();
    assert!(matches!(unset, InvalidSettings::Needs { setting: "signature", .. }));
    let template = Template { content: "{timestamp}".to_owned(), ..Template::hmac_sha256("x-signature") };
    let bad = Settings { signature: Some(template), ..settings("signed") };
    let error = try_scheme("signed", &bad, &["x"]).unwrap_err();
    assert!(matches!(error, InvalidSettings::Setting { setting: "signature.content", .. }));
}

#[test]
fn a_described_signature_covers_what_it_says() {
    let ours = scheme("signed");
    let sent = post("{}").query("a=1").signed(&ours).unwrap();
    assert_eq!(sent.key(&ours), Ok("key-0"));
    let changed = [
        Sent { method: "PUT", ..sent.clone() },
        Sent { body: b"{ }".to_vec(), ..sent.clone() },
        sent.clone().query("a=2"),
        sent.clone().header("x-id", "msg_2"),
    ];
    for changed in changed {
        assert_eq!(changed.key(&ours), Err(Failure::NoMatch { keys: 1 }), "{changed:?}");
    }
    let late = Sent { now: NOW + 301, ..sent };
    assert!(matches!(late.key(&ours), Err(Failure::Stale { tolerance: 300, .. })));
}

/// A scheme without a time has no tolerance either.
#[test]
fn a_signature_without_a_time_does_not_age() {
    let settings = Settings { signature: Some(Template::hmac_sha256("x-signature")), ..Settings::default() };
    let ours = try_scheme("signed", &settings, &["x"]).unwrap();
    let sent = post("{}").signed(&ours).unwrap();
    assert_eq!(Sent { now: NOW * 2, ..sent }.key(&ours), Ok("key-0"));
}
