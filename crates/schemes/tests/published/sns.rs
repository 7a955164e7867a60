//! Amazon SNS. The messages of the vectors are Amazon's own; these are signed with a key of this folder.

use floodgate_event::scheme::Settings;
use floodgate_event::source::Locator;
use floodgate_schemes::{Failure, Fetch, InvalidSettings, Note, Received, Scheme, Step};
use http::HeaderMap;
use serde_json::{Map, Value, json};

use crate::support::{Published, certificate, certificate_of_hosts, post, sign_rsa_base64};

const URL: &str = "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-ab.pem";
const TOPIC: &str = "arn:aws:sns:us-west-2:123456789012:orders";
const CONFIRM: &str = "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&Token=t";
const NOW: u64 = 1_773_000_000;
/// 2026-03-08T19:59:00Z, a minute before.
const TIME: &str = "2026-03-08T19:59:00.000Z";
const DAY: u64 = 86_400;

fn scheme() -> Scheme {
    let settings =
        Settings { topic_arns: vec![TOPIC.to_owned()], confirm_subscriptions: true, ..Settings::default() };
    Scheme::new("aws-sns", &settings, vec![]).unwrap()
}

fn published() -> Published {
    Published::of(URL, certificate(&["sns.amazonaws.com"], NOW - DAY, NOW + DAY))
}

fn notification() -> Map<String, Value> {
    fields(json!({
        "Type": "Notification", "MessageId": "m-1", "TopicArn": TOPIC, "Subject": "A subject",
        "Message": "Two\nlines, and \"more\" \u{e9}", "Timestamp": TIME, "SignatureVersion": "2",
        "SigningCertURL": URL, "UnsubscribeURL": "https://sns.us-west-2.amazonaws.com/?Action=Unsubscribe",
    }))
}

fn confirmation(kind: &str) -> Map<String, Value> {
    fields(json!({
        "Type": kind, "MessageId": "m-2", "TopicArn": TOPIC, "Message": "You have chosen to subscribe",
        "Timestamp": TIME, "Token": "t", "SubscribeURL": CONFIRM, "SignatureVersion": "2", "SigningCertURL": URL,
    }))
}

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Signs the message as its type asks for.
fn signed(mut message: Map<String, Value>) -> Map<String, Value> {
    let names: &[&str] = match message["Type"].as_str() {
        Some("Notification") => &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
        _ => &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
    };
    let line = |name: &&str| Some(format!("{name}\n{}\n", message.get(*name)?.as_str()?));
    let content: String = names.iter().filter_map(line).collect();
    message.insert("Signature".to_owned(), sign_rsa_base64(content.as_bytes()).into());
    message
}

fn with(mut message: Map<String, Value>, name: &str, value: impl Into<Value>) -> Map<String, Value> {
    message.insert(name.to_owned(), value.into());
    message
}

fn receive(message: &Map<String, Value>, published: &Published) -> Result<Option<Note>, Failure> {
    let body = serde_json::to_vec(message).unwrap();
    let scheme = scheme();
    match scheme.receive(&post(&HeaderMap::new(), &body, NOW, published))? {
        Received::Event(key) => {
            assert_eq!(key, "published");
            Ok(None)
        }
        Received::Handshake(answer) => {
            assert_eq!((answer.status, answer.body.as_slice()), (200, [].as_slice()));
            Ok(Some(answer.note.unwrap()))
        }
    }
}

fn step(message: &Map<String, Value>) -> Step {
    receive(message, &published()).unwrap_err().step()
}

#[test]
fn a_notification_is_an_event() {
    assert_eq!(receive(&signed(notification()), &published()), Ok(None));
    let mut plain = notification();
    plain.remove("Subject");
    assert_eq!(receive(&signed(plain), &published()), Ok(None));
}

#[test]
fn a_subscription_is_to_be_confirmed() {
    let asked = receive(&signed(confirmation("SubscriptionConfirmation")), &published());
    assert_eq!(asked, Ok(Some(Note::Confirm(CONFIRM.to_owned()))));
    // Fetching this one would undo what somebody chose.
    assert_eq!(receive(&signed(confirmation("UnsubscribeConfirmation")), &published()), Ok(None));
}

/// Only a notification has one.
#[test]
fn a_subject_is_not_signed_in_a_confirmation() {
    let message = signed(confirmation("UnsubscribeConfirmation"));
    assert_eq!(receive(&with(message, "Subject", "x"), &published()), Ok(None));
}

#[test]
fn only_a_signed_confirmation_of_a_known_topic_is_answered() {
    let message = signed(confirmation("SubscriptionConfirmation"));
    assert_eq!(step(&with(message.clone(), "SubscribeURL", format!("{CONFIRM}&x=y"))), Step::Signature);
    assert_eq!(step(&with(message.clone(), "Token", "u")), Step::Signature);
    assert_eq!(step(&with(message.clone(), "Type", "UnsubscribeConfirmation")), Step::Signature);
    assert_eq!(step(&with(message, "Type", "Other")), Step::Form);
    let foreign = with(confirmation("SubscriptionConfirmation"), "TopicArn", format!("{TOPIC}-2"));
    let refused = receive(&signed(foreign), &published());
    assert_eq!(refused, Err(Failure::NotAllowed { what: format!("the topic {TOPIC}-2") }));
    for url in
        ["http://sns.us-west-2.amazonaws.com/?x=y", "https://169.254.169.254/", "https://evil.example/?x=y"]
    {
        let hostile = signed(with(confirmation("SubscriptionConfirmation"), "SubscribeURL", url));
        assert_eq!(step(&hostile), Step::Audience, "{url}");
    }
    for name in ["Token", "SubscribeURL"] {
        let mut short = confirmation("SubscriptionConfirmation");
        short.remove(name);
        assert_eq!(step(&signed(short)), Step::Form, "{name}");
    }
}

#[test]
fn whatever_is_signed_cannot_be_changed() {
    let message = signed(notification());
    for name in ["Message", "MessageId", "Subject", "Timestamp", "TopicArn"] {
        // The topic is looked at first, so that nobody has certificates fetched with messages of other
        // topics.
        let expected = if name == "TopicArn" { Step::Audience } else { Step::Signature };
        assert_eq!(step(&with(message.clone(), name, "other")), expected, "{name}");
    }
    let mut without = message.clone();
    without.remove("Subject");
    assert_eq!(step(&without), Step::Signature);
    assert_eq!(step(&with(message.clone(), "SignatureVersion", "1")), Step::Signature);
    assert_eq!(step(&with(message.clone(), "SignatureVersion", "3")), Step::Form);
    assert_eq!(step(&with(message, "Signature", "?")), Step::Form);
}

/// Both read as the same text to sign: the subject has become a part of the id.
#[test]
fn a_line_cannot_move_from_one_field_to_another() {
    let mut moved = signed(notification());
    moved.remove("Subject");
    assert_eq!(step(&with(moved, "MessageId", "m-1\nSubject\nA subject")), Step::Form);
}

/// One reader takes the first of two fields, another the second.
#[test]
fn a_field_comes_once() {
    let body = serde_json::to_string(&signed(notification())).unwrap();
    let twice = body.replacen('{', "{\"Message\":\"forged\",", 1);
    let (headers, published, scheme) = (HeaderMap::new(), published(), scheme());
    assert!(scheme.receive(&post(&headers, body.as_bytes(), NOW, &published)).is_ok());
    let refused = scheme.receive(&post(&headers, twice.as_bytes(), NOW, &published));
    assert_eq!(refused.unwrap_err().step(), Step::Form);
}

#[test]
fn keys_come_from_amazon_only() {
    let (foreign, empty) =
        ("https://sns.s3.amazonaws.com/SimpleNotificationService-ab.pem", Published::default());
    let message = signed(with(notification(), "SigningCertURL", foreign));
    assert_eq!(receive(&message, &empty), Err(Failure::ForeignKey(foreign.to_owned())));
    assert_eq!(empty.asked(), Vec::<String>::new());
    assert_eq!(receive(&signed(notification()), &empty), Err(Failure::UnknownKey(URL.to_owned())));
    assert_eq!(empty.asked(), [URL]);
    assert!(scheme().fetch(foreign).is_none());
    assert!(scheme().fetch(URL).is_some());
    assert_eq!(scheme().fetch(URL), Some(Fetch { url: URL.to_owned(), post: None }));
    assert!(scheme().fetch(CONFIRM).is_none());
    assert_eq!(scheme().publishers(), Vec::<&str>::new());
}

#[test]
fn a_certificate_is_current_and_amazons() {
    let message = signed(notification());
    let receive = |file: String| receive(&message, &Published::of(URL, file));
    let of = |name: &str| certificate(&[name], NOW - DAY, NOW + DAY);
    for name in
        ["sns.amazonaws.com", "sns-signing.eu-south-1.amazonaws.com", "sns-cn-north-1.amazonaws.com.cn"]
    {
        assert_eq!(receive(of(name)), Ok(None), "{name}");
    }
    assert_eq!(receive(of("sns-signing.eusc-de-east-1.amazonaws.eu")), Ok(None));
    let unusable = |why| Err(Failure::UnusableKey { url: URL.to_owned(), why });
    for name in [
        "sns.evil.example",
        "sqs.amazonaws.com",
        "snsx.amazonaws.com",
        "sns.amazonaws.com.evil.example",
        "sns.amazonaws.eu",
        "sns-signing.eu-west-1.amazonaws.eu",
        "sqs-signing.eusc-de-east-1.amazonaws.eu",
    ] {
        assert_eq!(receive(of(name)), unusable("its subject is another"), "{name}");
    }
    let name = ["sns.amazonaws.com"];
    assert_eq!(receive(certificate(&name, NOW - DAY, NOW - 1)), unusable("expired"));
    assert_eq!(receive(certificate(&name, NOW + 1, NOW + DAY)), unusable("not valid yet"));
    assert_eq!(receive(certificate(&name, NOW, NOW)), Ok(None));
    let good = of(name[0]);
    for bad in [
        String::new(),
        "<html>".to_owned(),
        good.replace("CERTIFICATE", "PUBLIC KEY"),
        good.replacen("MII", "MIJ", 1),
        format!("{}{good}", " \n".repeat(64 * 1_024)),
        certificate(&[], NOW - DAY, NOW + DAY),
        certificate(&["sns.amazonaws.com", "evil.example"], NOW - DAY, NOW + DAY),
    ] {
        let start: String = bad.chars().take(40).collect();
        assert_eq!(receive(bad), unusable("not a certificate in PEM"), "{start}");
    }
    // A chain: the first certificate is the one that signs.
    assert_eq!(receive(format!("{good}{}", of("Amazon"))), Ok(None));
}

/// The common name counts only where the certificate names no hosts.
#[test]
fn a_certificate_names_its_hosts() {
    let message = signed(notification());
    let receive = |hosts: &[&str], names: &[&str]| {
        receive(&message, &Published::of(URL, certificate_of_hosts(hosts, names, NOW - DAY..NOW + DAY)))
    };
    let regional = ["sns-signing.af-south-1.amazonaws.com", "sns.af-south-1.amazonaws.com"];
    for (hosts, names) in [
        (&regional[..], &["sns-signing.af-south-1.amazonaws.com"][..]),
        (&["other.example", "sns.amazonaws.com"], &[]),
        (&["sns.amazonaws.com"], &["other.example"]),
        (&["sns.amazonaws.com"], &["other.example", "third.example"]),
    ] {
        assert_eq!(receive(hosts, names), Ok(None), "{hosts:?} {names:?}");
    }
    let refused = Failure::UnusableKey { url: URL.to_owned(), why: "its subject is another" };
    assert_eq!(receive(&["evil.example"], &["sns.amazonaws.com"]), Err(refused));
}

/// The European Sovereign Cloud has a domain of its own.
#[test]
fn a_message_of_a_sovereign_region_is_an_event() {
    let url = "https://sns.eusc-de-east-1.amazonaws.eu/SimpleNotificationService-ab.pem";
    let topic = "arn:aws-eusc:sns:eusc-de-east-1:123456789012:orders";
    let settings = Settings { topic_arns: vec![topic.to_owned()], ..Settings::default() };
    let scheme = Scheme::new("aws-sns", &settings, vec![]).unwrap();
    let message = signed(with(with(notification(), "TopicArn", topic), "SigningCertURL", url));
    let body = serde_json::to_vec(&message).unwrap();
    let name = ["sns-signing.eusc-de-east-1.amazonaws.eu"];
    let published = Published::of(url, certificate(&name, NOW - DAY, NOW + DAY));
    assert!(scheme.fetch(url).is_some());
    let headers = HeaderMap::new();
    assert!(matches!(scheme.receive(&post(&headers, &body, NOW, &published)), Ok(Received::Event(_))));
}

#[test]
fn a_time_counts_only_where_the_source_says_so() {
    let settings = |tolerance| Settings {
        topic_arns: vec![TOPIC.to_owned()],
        tolerance_seconds: tolerance,
        ..Settings::default()
    };
    let body = serde_json::to_vec(&signed(notification())).unwrap();
    let receive = |tolerance, now| {
        let scheme = Scheme::new("aws-sns", &settings(tolerance), vec![]).unwrap();
        scheme.receive(&post(&HeaderMap::new(), &body, now, &published())).map(drop)
    };
    assert_eq!(receive(None, NOW + DAY), Ok(()));
    assert_eq!(receive(Some(60), NOW), Ok(()));
    assert_eq!(receive(Some(60), NOW + 1), Err(Failure::Stale { seconds: -61, tolerance: 60 }));
}

#[test]
fn a_source_names_its_topics() {
    let of = |topics: &[&str]| {
        let topic_arns = topics.iter().map(|topic| (*topic).to_owned()).collect();
        Scheme::new("aws-sns", &Settings { topic_arns, ..Settings::default() }, vec![]).map(drop)
    };
    assert!(matches!(of(&[]), Err(InvalidSettings::Needs { setting: "topic_arns", .. })));
    assert!(matches!(of(&[TOPIC, "*"]), Err(InvalidSettings::Setting { setting: "topic_arns", .. })));
    assert_eq!(of(&[TOPIC]), Ok(()));
}

#[test]
fn only_signed_fields_tell_duplicates() {
    let scheme = scheme();
    for pointer in ["/MessageId", "/Message", "/Timestamp", "/TopicArn", "/Type"] {
        assert!(scheme.covers(&Locator::Json(pointer.to_owned())), "{pointer}");
    }
    for pointer in ["", "/UnsubscribeURL", "/MessageAttributes/x/Value", "/Signature", "/Subject"] {
        assert!(!scheme.covers(&Locator::Json(pointer.to_owned())), "{pointer}");
    }
    assert!(!scheme.covers(&Locator::Header("x-amz-sns-message-id".to_owned())));
}

/// A parser reads a list as it reads an object, and nobody finds the id in a list.
#[test]
fn a_message_is_an_object() {
    let message = signed(notification());
    let fields = ["Type", "Message", "MessageId", "Timestamp", "TopicArn", "Signature", "SignatureVersion"];
    let mut list: Vec<Value> = fields.iter().map(|name| message[*name].clone()).collect();
    list.extend(["SigningCertURL", "Subject"].map(|name| message[name].clone()));
    list.extend([Value::Null, Value::Null]);
    let body = serde_json::to_vec(&list).unwrap();
    let refused = scheme().receive(&post(&HeaderMap::new(), &body, NOW, &published())).unwrap_err();
    assert_eq!(refused.step(), Step::Form);
}

#[test]
fn a_certificate_is_of_the_topic_s_region() {
    let url = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-abc.pem";
    let refused = receive(&with(signed(notification()), "SigningCertURL", url), &published()).unwrap_err();
    assert_eq!(refused, Failure::ForeignKey(url.to_owned()));
}
