use super::*;

const SNS: [&str; 9] = [
    "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-7506a1e35b36ef5a444dd1a8e7cc3ed8.pem",
    "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
    "https://sns.us-gov-west-1.amazonaws.com/SimpleNotificationService-ab.pem",
    "https://sns.ap-southeast-5.amazonaws.com/SimpleNotificationService-ab.pem",
    "https://sns.af-south-1.amazonaws.com/SimpleNotificationService-ab.pem",
    "https://sns.mx-central-1.amazonaws.com/SimpleNotificationService-ab.pem",
    "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-ab.pem",
    "https://sns.cn-northwest-1.amazonaws.com.cn/SimpleNotificationService-ab.pem",
    "https://sns.eusc-de-east-1.amazonaws.eu/SimpleNotificationService-ab.pem",
];

const PAYPAL: [&str; 2] = [
    "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77",
    "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270",
];

/// What a sender might make of an address. `{good}` is a good one, `{host}` its host, `{path}` its path with
/// the slash.
const HOSTILE: [&str; 53] = [
    "",
    "{host}{path}",
    "//{host}{path}",
    "http://{host}{path}",
    "HTTPS://{host}{path}",
    "Https://{host}{path}",
    "https:/{host}{path}",
    "https:///{host}{path}",
    "https:{host}{path}",
    "https:\\\\{host}{path}",
    "ftp://{host}{path}",
    "file://{host}{path}",
    "javascript:https://{host}{path}",
    " {good}",
    "{good} ",
    "{good}\n",
    "{good}\0",
    "\t{good}",
    "https://{host}:443{path}",
    "https://{host}:8443{path}",
    "https://{host}:{path}",
    "https://{host}.{path}",
    "https://{host}..{path}",
    "https://.{host}{path}",
    "https://{host}@evil.example{path}",
    "https://{host}:443@evil.example{path}",
    "https://evil.example@{host}{path}",
    "https://user:password@{host}{path}",
    "https://@{host}{path}",
    "https://evil.example#@{host}{path}",
    "https://evil.example/{host}{path}",
    "https://evil.example/?https://{host}{path}",
    "https://evil.example\\@{host}{path}",
    "https://{host}\\@evil.example{path}",
    "https://{host}.evil.example{path}",
    "https://{host}-evil.example{path}",
    "https://evil.{host}{path}",
    "https://evil-{host}{path}",
    "https://{host}%2eevil.example{path}",
    "https://{host}%00.evil.example{path}",
    "https://{host}\u{3002}evil.example{path}",
    "https://{host}\u{ff0f}.evil.example{path}",
    "https://{host}\u{200b}{path}",
    "https://\u{202e}{host}{path}",
    "https://[::1]{path}",
    "https://127.0.0.1{path}",
    "https://{host}/{path}",
    "https://{host}/.{path}",
    "https://{host}/x/..{path}",
    "https://{host}/%2e%2e{path}",
    "{good}?x=y",
    "{good}#x",
    "{good}/../x",
];

fn hostile(good: &str) -> Vec<String> {
    let rest = good.strip_prefix("https://").unwrap();
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    let fill = |text: &&str| text.replace("{good}", good).replace("{host}", host).replace("{path}", path);
    let mut all: Vec<String> = HOSTILE.iter().map(fill).collect();
    all.push(format!("https://{}{path}", host.to_uppercase()));
    all.push(format!("https://{}{path}", host.replacen('.', "\u{ff0e}", 1)));
    all.push(format!("https://{}{path}", host.replacen('a', "\u{0430}", 1)));
    all.push(format!("https://{host}{}", path.replacen('/', "%2f", 1)));
    all.push(format!("https://{host}{}", path.replacen('/', "\\", 1)));
    all
}

#[test]
fn a_certificate_of_sns_has_one_form_of_address() {
    for good in SNS {
        assert!(is_sns_certificate(good), "{good}");
        for bad in hostile(good) {
            assert!(!is_sns_certificate(&bad), "{bad:?}");
        }
    }
    for bad in [
        // `sns` is the name of somebody's bucket here.
        "https://sns.s3.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://sns.s3-us-west-2.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://sns.s3-website-us-west-2.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://sns.s3.us-west-2.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://evil.s3.us-west-2.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://sns.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://sns..amazonaws.com/SimpleNotificationService-ab.pem",
        "https://sns.us-west.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://sns.us-west-2-.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://sns.-us-west-2.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://sns.us--west-2.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://sns.us-west-222.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://sns.us-a-b-c-west-2.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://sns.us-west-2.amazonaws.com.cn.cn/SimpleNotificationService-ab.pem",
        "https://sns.us-west-2.amazonaws.cn/SimpleNotificationService-ab.pem",
        "https://sns.eu-west-1.amazonaws.eu/SimpleNotificationService-ab.pem",
        "https://sns.eusc.amazonaws.eu/SimpleNotificationService-ab.pem",
        "https://sns.eusc-1.amazonaws.eu/SimpleNotificationService-ab.pem",
        "https://sns.xeusc-de-east-1.amazonaws.eu/SimpleNotificationService-ab.pem",
        "https://sns.eusc-de-east-1.amazonaws.eu.cn/SimpleNotificationService-ab.pem",
        "https://sns.eusc-de-east-1.amazonaws.eu.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://sns.us-west-2.amazonaws.com.evil/SimpleNotificationService-ab.pem",
        "https://sns.us-west-2.amazonawsxcom/SimpleNotificationService-ab.pem",
        "https://snsxus-west-2.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://sqs.us-west-2.amazonaws.com/SimpleNotificationService-ab.pem",
        "https://sns.us-west-2.amazonaws.com",
        "https://sns.us-west-2.amazonaws.com/",
        "https://sns.us-west-2.amazonaws.com/?Action=ListTopics&x=.pem",
        "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-.pem",
        "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-AB.pem",
        "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-xy.pem",
        "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-ab.pem.pem",
        "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-ab.PEM",
        "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-a/b.pem",
        "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-ab",
        "https://sns.us-west-2.amazonaws.com/simplenotificationservice-ab.pem",
    ] {
        assert!(!is_sns_certificate(bad), "{bad}");
    }
    let long =
        format!("https://sns.us-west-2.amazonaws.com/SimpleNotificationService-{}.pem", "a".repeat(65));
    assert!(!is_sns_certificate(&long));
}

#[test]
fn a_certificate_of_paypal_has_one_form_of_address() {
    for good in PAYPAL {
        assert!(is_paypal_certificate(good), "{good}");
        for bad in hostile(good) {
            assert!(!is_paypal_certificate(&bad), "{bad:?}");
        }
    }
    for bad in [
        "https://paypal.com/v1/notifications/certs/CERT-1",
        "https://www.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1",
        "https://api.paypal.comx/v1/notifications/certs/CERT-1",
        "https://apixpaypal.com/v1/notifications/certs/CERT-1",
        "https://api.sandbox.paypal.com.cn/v1/notifications/certs/CERT-1",
        "https://api.live.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/CERT-",
        "https://api.paypal.com/v1/notifications/certs/CERT-a.b",
        "https://api.paypal.com/v1/notifications/certs/CERT-a%2f..",
        "https://api.paypal.com/v1/notifications/certs/CERT-a/b",
        "https://api.paypal.com/v1/notifications/certs/cert-1",
        "https://api.paypal.com/v1/notifications/CERT-1",
        "https://api.paypal.com/v2/notifications/certs/CERT-1",
        "https://api.paypal.com//v1/notifications/certs/CERT-1",
    ] {
        assert!(!is_paypal_certificate(bad), "{bad}");
    }
    let long = format!("https://api.paypal.com/v1/notifications/certs/CERT-{}", "a".repeat(65));
    assert!(!is_paypal_certificate(&long));
}

#[test]
fn a_confirmation_is_at_sns() {
    let good = "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription\
                &TopicArn=arn:aws:sns:us-west-2:131990247566:dongie-standard-topic&Token=2336412f";
    assert!(is_sns_subscription(good));
    for other in ["cn-north-1.amazonaws.com.cn", "eusc-de-east-1.amazonaws.eu"] {
        assert!(is_sns_subscription(&good.replace("us-west-2.amazonaws.com", other)), "{other}");
    }
    assert!(!is_sns_subscription(&good.replace("us-west-2.amazonaws.com", "us-west-2.amazonaws.eu")));
    // A query may go on.
    let bad = hostile(good).into_iter().filter(|bad| !bad.ends_with("?x=y") && !bad.ends_with("/../x"));
    for bad in bad {
        assert!(!is_sns_subscription(&bad), "{bad:?}");
    }
    let and = |more: &str| format!("{good}{more}");
    for bad in
        [and("@evil.example"), and("\\"), and("\r\nHost: x"), and("\u{e9}"), and(&"a".repeat(MAX_QUERY))]
    {
        assert!(!is_sns_subscription(&bad), "{bad:?}");
    }
    assert!(!is_sns_subscription("https://sns.us-west-2.amazonaws.com/x?Action=ConfirmSubscription"));
    assert!(!is_sns_subscription("https://sns.s3.amazonaws.com/?Action=ConfirmSubscription"));
}

#[test]
fn what_an_operator_sets_is_checked_too() {
    assert_eq!(require_plain("jwks_url", "https://issuer.example/keys?a=b"), Ok(()));
    for bad in [
        "issuer.example/keys",
        "http://issuer.example/keys",
        "https://user@issuer.example/keys",
        "https://:x@issuer.example/keys",
        "https://issuer.example/keys#x",
        "https://issuer.example",
        "https://issuer.example:443/keys",
        "https://Issuer.example/keys",
        "https://issuer.example/a/../keys",
        " https://issuer.example/keys",
    ] {
        let refused = require_plain("jwks_url", bad);
        assert!(matches!(refused, Err(InvalidSettings::Setting { setting: "jwks_url", .. })), "{bad}");
    }
    let long = format!("https://issuer.example/{}", "a".repeat(MAX_SET));
    assert!(require_plain("jwks_url", &long).is_err());
}
