//! Secrets that requests carry as they are.

use floodgate_event::scheme::Settings;
use floodgate_schemes::{Answer, Failure, InvalidSettings, Received, Scheme, presets};

use crate::support::{Sent, post, scheme, try_scheme, with_secrets};

const VALIDATION: &str = r#"[{"id": "1", "data": {"validationCode": "512d38b6"}}]"#;

fn with_header(preset: &str, header: &str) -> Result<Scheme, InvalidSettings> {
    let settings = Settings { header: Some(header.to_owned()), ..Settings::default() };
    try_scheme(preset, &settings, &["open"])
}

fn answer(sent: &Sent, scheme: &Scheme) -> Answer {
    match sent.received(scheme) {
        Ok(Received::Handshake(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_is_in_the_header_that_the_source_says() {
    for (preset, default) in [("api-key", "x-api-key"), ("okta", "authorization")] {
        let (ours, theirs) = (with_secrets(preset, &["open"]), with_header(preset, "X-Their-Key").unwrap());
        assert_eq!(post("").header(default, "open").key(&ours), Ok("key-0"));
        assert_eq!(post("").header("x-their-key", "open").key(&theirs), Ok("key-0"));
        assert!(post("").header(default, "open").key(&theirs).is_err());
        let wrong = ["Open", "open ", "", "open,open"];
        for wrong in wrong.map(|wrong| post("").header(default, wrong)) {
            assert_eq!(wrong.key(&ours), Err(Failure::NoMatch { keys: 1 }), "{wrong:?}");
        }
        assert!(post("").header(default, "open").another(default, "open").key(&ours).is_err());
    }
    let bad = with_header("api-key", "no header").unwrap_err();
    assert!(matches!(bad, InvalidSettings::Setting { setting: "header", .. }));
}

/// The header is read as ASCII, so another secret would never match.
#[test]
fn a_secret_that_a_header_cannot_carry_is_refused() {
    for preset in ["gitlab", "api-key", "okta"] {
        for bad in ["größer", "line\nend", "\u{7f}"] {
            let error = try_scheme(preset, &Settings::default(), &["open", bad]).unwrap_err();
            assert!(matches!(error, InvalidSettings::Key(_)), "{preset} {bad:?}");
            assert!(error.to_string().contains("visible ASCII"), "{error}");
            assert!(!error.to_string().contains(bad), "{error}");
        }
        let ours = with_secrets(preset, &["a secret with spaces, and {signs}"]);
        let sent = post("").signed(&ours).unwrap();
        assert_eq!(sent.key(&ours), Ok("key-0"), "{preset}");
    }
}

#[test]
fn every_header_with_a_secret_is_known() {
    for (ours, secret, other) in [
        (scheme("api-key"), "X-Api-Key", "authorization"),
        (with_header("api-key", "X-Their-Key").unwrap(), "x-their-key", "x-other"),
        (with_header("okta", "X-Their-Key").unwrap(), "X-THEIR-KEY", "x-other"),
        (scheme("okta"), "authorization", "x-api-key"),
        (scheme("gitlab"), "X-Gitlab-Token", "x-gitlab-event"),
        (scheme("basic"), "Authorization", "x-api-key"),
        (scheme("cloudevents"), "Authorization", "ce-id"),
        (scheme("token"), "Authorization", "ce-id"),
    ] {
        assert!(ours.is_secret_header(secret), "{ours:?} {secret}");
        assert!(!ours.is_secret_header(other), "{ours:?} {other}");
    }
    assert!(!scheme("github").is_secret_header("x-hub-signature-256"));
}

#[test]
fn basic_credentials_have_one_form() {
    let ours = with_secrets("basic", &["Aladdin:open sesame"]);
    let sent = |value: &str| post("").header("authorization", value);
    // The example of RFC 7617.
    for good in ["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "bASIC  QWxhZGRpbjpvcGVuIHNlc2FtZQ=="] {
        assert_eq!(sent(good).key(&ours), Ok("key-0"), "{good}");
    }
    for bad in [
        "QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZR==",
        "Basic Aladdin:open sesame",
        "Basic",
        "Basic ",
    ] {
        assert!(sent(bad).key(&ours).is_err(), "{bad}");
    }
    for bad in ["Aladdin", "Aladdin:open\nsesame"] {
        let error = try_scheme("basic", &Settings::default(), &[bad]).unwrap_err();
        assert_eq!(error, InvalidSettings::Key("`user:password`"));
    }
}

#[test]
fn a_token_is_long_and_goes_into_a_header() {
    let token = "0c1f6f7c5be24b0f9a5c7d2f8e3b1a64";
    let ours = with_secrets("token", &["d41d8cd98f00b204e9800998ecf8427e", token]);
    let sent = |value: &str| post("").header("authorization", value);
    for good in [format!("Bearer {token}"), format!("bEARER {token}"), format!("Bearer  {token}")] {
        assert_eq!(sent(&good).key(&ours), Ok("key-1"), "{good}");
    }
    for bad in [token.to_owned(), format!("Basic {token}"), format!("Bearer {token} "), "Bearer".to_owned()] {
        let failure = sent(&bad).key(&ours).unwrap_err();
        assert!(!failure.to_string().contains(token), "{failure}");
    }
    for bad in [&token[1..], "a token with spaces between its words", "größergrößergrößergrößergrößer"]
    {
        let error = try_scheme("token", &Settings::default(), &[bad]).unwrap_err();
        assert!(matches!(error, InvalidSettings::Key(_)), "{bad}");
        assert!(error.to_string().contains("at least 32"), "{error}");
    }
}

#[test]
fn a_cloud_event_carries_its_token_in_one_of_two_places() {
    let ours = with_secrets("cloudevents", &["mF_9.B5f-4.1JqM"]);
    let (bearer, token) = ("Bearer mF_9.B5f-4.1JqM", "p=q&access_token=mF_9.B5f-4.1JqM");
    for sent in [post("").header("authorization", bearer), post("").query(token)] {
        assert_eq!(sent.key(&ours), Ok("key-0"), "{sent:?}");
    }
    let bad = [
        post(""),
        post("").header("authorization", "Bearer other"),
        post("").header("authorization", "mF_9.B5f-4.1JqM"),
        post("").query("access_token=other"),
        post("").query("access_token="),
        post("").query(&format!("{token}&access_token=mF_9.B5f-4.1JqM")),
        post("").query(token).header("authorization", bearer),
        post("").query(token).header("authorization", "Basic x"),
    ];
    for bad in bad {
        let failure = bad.key(&ours).unwrap_err();
        assert!(!failure.to_string().contains("mF_9"), "{failure}");
    }
}

#[test]
fn a_secret_in_the_query_may_be_any_text() {
    for secret in ["simple", "a+b/c==", "ä&=% #?", "%41"] {
        let ours = with_secrets("azure-event-grid", &[secret]);
        let sent = post("[]").query("x=1&secret=old").signed(&ours).unwrap();
        assert_eq!(sent.key(&ours), Ok("key-0"), "{}", sent.url);
        assert_eq!(sent.url.matches("secret=").count(), 1, "{}", sent.url);
    }
    let plus = with_secrets("azure-event-grid", &["a+b=="]);
    assert_eq!(post("[]").query("secret=a+b==").key(&plus), Ok("key-0"));
    assert_eq!(post("[]").query("secret=a%20b==").key(&plus), Err(Failure::NoMatch { keys: 1 }));
    let listed = |name| presets::find(name).unwrap().secret_parameters;
    assert_eq!((listed("azure-event-grid"), listed("cloudevents")), (&["secret"][..], &["access_token"][..]));
}

#[test]
fn event_grid_is_only_answered_with_its_secret() {
    let ours = with_secrets("azure-event-grid", &["open"]);
    let asked = post(VALIDATION).header("aeg-event-type", "SubscriptionValidation");
    let found = answer(&asked.clone().query("secret=open"), &ours);
    assert_eq!((found.status, &*found.body), (200, &br#"{"validationResponse":"512d38b6"}"#[..]));
    for unknown in [asked.clone(), asked.clone().query("secret=other"), asked.clone().query("secret=")] {
        assert!(unknown.received(&ours).is_err(), "{unknown:?}");
    }
    let malformed = Sent { body: b"[]".to_vec(), ..asked.query("secret=open") };
    assert!(matches!(malformed.received(&ours), Err(Failure::Malformed { .. })));
    let event = post(VALIDATION).header("aeg-event-type", "Notification").query("secret=open");
    assert_eq!(event.key(&ours), Ok("key-0"));
}

#[test]
fn senders_of_cloud_events_are_told_that_they_may() {
    for preset in ["azure-event-grid", "cloudevents"] {
        let ours = scheme(preset);
        let asked = Sent { method: "OPTIONS", ..post("") }.header("webhook-request-origin", "a.example");
        let header = |sent: &Sent, name| {
            let headers = answer(sent, &ours).headers;
            headers.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
        };
        for (requested, allowed) in [("120", "120"), ("0", "*"), ("-1", "*"), ("many", "*")] {
            let sent = asked.clone().header("webhook-request-rate", requested);
            assert_eq!(header(&sent, "webhook-allowed-rate").as_deref(), Some(allowed));
        }
        assert_eq!(header(&asked, "webhook-allowed-rate").as_deref(), Some("*"));
        assert_eq!(header(&asked, "webhook-allowed-origin").as_deref(), Some("a.example"));
        assert!(Sent { method: "OPTIONS", ..post("") }.received(&ours).is_err());
        assert!(Sent { method: "POST", ..asked }.received(&ours).is_err());
    }
}
