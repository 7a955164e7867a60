//! The versions that hash without HMAC, and the URL of the third.

use floodgate_event::scheme::Settings;
use floodgate_schemes::{Failure, InvalidSettings};

use crate::support::{Sent, post, scheme, try_scheme, with_secrets};

/// The example of HubSpot's documentation.
const SECRET: &str = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy";
const EVENTS: &str = r#"[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM","changeFlag":"NEW","appId":54321}]"#;
const HASH: &str = "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de";

#[test]
fn the_published_example_of_version_1_holds() {
    let ours = with_secrets("hubspot-v1", &[SECRET]);
    let sent = post(EVENTS).header("x-hubspot-signature", HASH).header("x-hubspot-signature-version", "v1");
    assert_eq!(sent.key(&ours), Ok("key-0"));
    let bad = [
        sent.clone().header("x-hubspot-signature-version", "v2"),
        sent.clone().another("x-hubspot-signature-version", "v1"),
        sent.clone().another("x-hubspot-signature", HASH),
        sent.clone().header("x-hubspot-signature", &HASH.to_uppercase()),
        sent.clone().header("x-hubspot-signature", &HASH[..63]),
        Sent { body: EVENTS.replace("NEW", "OLD").into_bytes(), ..sent.clone() },
    ];
    for bad in bad {
        assert!(bad.key(&ours).is_err(), "{bad:?}");
    }
}

/// What signs here stands for whoever lengthens a message without the key: the hash is the one that they get.
#[test]
fn a_message_cannot_be_lengthened() {
    for preset in ["hubspot-v1", "hubspot-v2"] {
        let ours = scheme(preset);
        for body in ["", EVENTS] {
            let longer = [body.as_bytes(), b"\x80", &[0; 20], b"[]"].concat();
            let longer = post(longer).signed(&ours).unwrap();
            assert!(matches!(longer.key(&ours), Err(Failure::Malformed { .. })), "{preset}");
        }
    }
}

/// HubSpot may sign the URL with some escapes decoded. Nothing else may change.
#[test]
fn version_3_signs_either_form_of_the_url() {
    let ours = scheme("hubspot");
    let signed_for = |query: &str| post("[]").query(query).signed(&ours).unwrap();
    let decoded = signed_for("from=app:a/b&to=a@b.example");
    for same in
        ["from=app:a/b&to=a@b.example", "from=app%3Aa%2Fb&to=a%40b.example", "from=app%3aa/b&to=a@b.example"]
    {
        assert_eq!(decoded.clone().query(same).key(&ours), Ok("key-0"), "{same}");
    }
    let escaped = signed_for("from=app%3Aa");
    assert_eq!(escaped.key(&ours), Ok("key-0"));
    for other in ["from=app%253Aa", "from=app%3Bb", "from=app"] {
        assert_eq!(decoded.clone().query(other).key(&ours), Err(Failure::NoMatch { keys: 1 }), "{other}");
        assert_eq!(escaped.clone().query(other).key(&ours), Err(Failure::NoMatch { keys: 1 }), "{other}");
    }
    let unset = try_scheme("hubspot", &Settings::default(), &["x"]).unwrap_err();
    assert!(matches!(unset, InvalidSettings::Needs { setting: "url", .. }));
}

#[test]
fn version_2_hashes_method_and_url() {
    let ours = scheme("hubspot-v2");
    let sent = post("{}").query("a=1&b=2").signed(&ours).unwrap();
    assert_eq!(sent.key(&ours), Ok("key-0"));
    let method = Sent { method: "PUT", ..sent.clone() };
    for bad in [method, sent.clone().query("b=2&a=1"), sent.clone().query("a=1")] {
        assert_eq!(bad.key(&ours), Err(Failure::NoMatch { keys: 1 }), "{bad:?}");
    }
    // The same bytes, of which the URL has one more.
    let sent = post(EVENTS).query("x=1").signed(&ours).unwrap();
    assert_eq!(sent.key(&ours), Ok("key-0"));
    let moved = Sent { body: EVENTS.as_bytes()[1..].to_vec(), ..sent.query("x=1[") };
    assert!(matches!(moved.key(&ours), Err(Failure::Malformed { .. })));
    let unset = try_scheme("hubspot-v2", &Settings::default(), &["x"]).unwrap_err();
    assert!(matches!(unset, InvalidSettings::Needs { setting: "url", .. }));
}
