//! What providers' own libraries sign is accepted, and what providers ask is answered.

use std::collections::BTreeMap;

use floodgate_testkit::outside::{self, Judged, Unsigned};
use floodgate_testkit::sender::Raw;
use floodgate_testkit::{Result, Scene, programs};
use reqwest::Method;
use serde_json::{Value, json};

const URL: &str = "https://hooks.example/in/";

/// The source of this name, with a setting that its scheme needs.
async fn put(scene: &Scene, name: &str, secret: &str, settings: Value) -> Result<()> {
    let verify = json!({"scheme": name, "secrets": [secret], "settings": settings});
    let written = scene.admin.put(&format!("/v1/sources/{name}"), &json!({"verify": verify})).await?;
    scene.admin.wait_served(&written).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_their_libraries_sign_is_accepted_and_what_was_changed_is_not() -> Result<()> {
    Scene::play(async |scene| {
        let requests: Vec<Unsigned> = [
            ("stripe", "whsec_a", r#"{"id": "evt_1", "type": "a"}"#),
            ("slack", "8f742231b10e8888abcd99yyyzzz85a5", r#"{"event_id": "E1", "event": {"type": "a"}}"#),
            ("twilio", "12345", "From=%2B15550100&Body=a+b%20c&MessageSid=SM1"),
            ("standard", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", r#"{"type": "a"}"#),
            ("svix", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", r#"{"type": "a"}"#),
        ]
        .map(|(scheme, secret, body)| Unsigned {
            scheme,
            secret: secret.to_owned(),
            url: format!("{URL}{scheme}"),
            body: body.to_owned(),
        })
        .into();
        for request in &requests {
            let settings = match request.scheme {
                "twilio" => json!({"url": request.url}),
                _ => json!({}),
            };
            put(scene, request.scheme, &request.secret, settings).await?;
        }
        for (request, headers) in requests.iter().zip(outside::sign(&requests).await?) {
            let path = format!("/in/{}", request.scheme);
            let sent = Raw { method: Method::POST, headers, body: request.body.clone() };
            let altered = Raw { body: format!("{} ", sent.body), ..sent.clone() };
            assert_eq!(scene.sender.send("eu", &path, &altered).await?.0, 401, "{} altered", request.scheme);
            let (status, body) = scene.sender.send("eu", &path, &sent).await?;
            assert_eq!(status, 200, "{}: {body}", request.scheme);
            assert_eq!(scene.sender.send("us", &path, &sent).await?.0, 200, "{} once more", request.scheme);
        }
        let books = scene.balanced_books().await?;
        assert_eq!((books.events.accepted, books.events.stored), (10, 5), "each was sent to two regions");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_and_are_no_events() -> Result<()> {
    Scene::play(async |scene| {
        put(scene, "meta", "app secret", json!({"verify_token": "shibboleth"})).await?;
        put(scene, "dropbox", "app secret", json!({})).await?;
        put(scene, "slack", "8f742231b10e8888abcd99yyyzzz85a5", json!({})).await?;
        let get = Raw { method: Method::GET, ..Raw::default() };
        let meta = "/in/meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=";
        for (path, status, body) in [
            (format!("{meta}shibboleth"), 200, "1158201444"),
            (format!("{meta}wrong"), 403, ""),
            ("/in/dropbox?challenge=ab".to_owned(), 200, "ab"),
        ] {
            let answer = scene.sender.send("eu", &path, &get).await?;
            assert_eq!(answer, (status, body.to_owned()), "{path}");
        }
        assert_eq!(scene.sender.send("eu", "/in/github", &get).await?.0, 405, "GitHub asks nothing");

        let question = Unsigned {
            scheme: "slack",
            secret: "8f742231b10e8888abcd99yyyzzz85a5".to_owned(),
            url: String::new(),
            body: r#"{"type": "url_verification", "challenge": "3eZbrw1a"}"#.to_owned(),
        };
        let headers = outside::sign(std::slice::from_ref(&question)).await?.remove(0);
        let asked = Raw { method: Method::POST, headers, body: question.body };
        assert_eq!(scene.sender.send("eu", "/in/slack", &asked).await?, (200, "3eZbrw1a".to_owned()));
        let unsigned = Raw { headers: Default::default(), ..asked };
        assert_eq!(scene.sender.send("eu", "/in/slack", &unsigned).await?.0, 401);
        assert_eq!(scene.balanced_books().await?.events.accepted, 0);
        Ok(())
    })
    .await
}

/// The first key of RFC 8032 section 7.1: its seed, and its public half.
const DISCORD_SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const DISCORD_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

/// Requests that somebody changed on the way.
fn changed(genuine: &Judged) -> Vec<Judged> {
    let headers = genuine.headers.clone().unwrap_or_default();
    let with = |change: &dyn Fn(&str, &str) -> String| {
        let changed = |(name, value): (&String, &String)| (name.clone(), change(name, value));
        Judged { headers: Some(headers.iter().map(changed).collect()), ..genuine.clone() }
    };
    let of = |part: &'static str, change: fn(&str) -> String| {
        with(&move |name, value| if name.contains(part) { change(value) } else { value.to_owned() })
    };
    let mut all = vec![
        Judged { body: format!("{} ", genuine.body), ..genuine.clone() },
        Judged { body: genuine.body.to_uppercase(), ..genuine.clone() },
        Judged { headers: Some(BTreeMap::new()), ..genuine.clone() },
        of("signature", |value| value[..value.len() - 2].to_owned()),
        of("signature", |value| value.replace(|digit: char| digit.is_ascii_digit(), "0")),
        of("signature", |value| {
            value.rsplit('=').next().unwrap_or_default().replacen(['0', '1', 'a'], "e", 3)
        }),
    ];
    if genuine.scheme != "discord" {
        // Its library decodes digits of either case, and Discord writes lower case.
        all.push(of("signature", |value| value.to_uppercase()));
    }
    if headers.keys().any(|name| name.contains("timestamp")) {
        all.push(of("timestamp", |value| format!("{}", value.parse::<u64>().unwrap_or_default() - 1)));
        all.push(of("timestamp", |_| "1500000000".to_owned()));
        all.push(of("timestamp", |_| String::new()));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn their_npm_libraries_and_the_gateway_say_the_same() -> Result<()> {
    if let Err(missing) = programs::node() {
        println!("SKIPPED: their_npm_libraries_and_the_gateway_say_the_same: {missing}");
        return Ok(());
    }
    Scene::play(async |scene| {
        let (slack, github) = ("8f742231b10e8888abcd99yyyzzz85a5", "It's a Secret to Everybody");
        put(scene, "slack", slack, json!({})).await?;
        put(scene, "github", github, json!({})).await?;
        let discord = json!({"verify": {"scheme": "discord", "settings": {"public_keys": [DISCORD_KEY]}}});
        let written = scene.admin.put("/v1/sources/discord", &discord).await?;
        scene.admin.wait_served(&written).await?;

        let unsigned =
            |scheme, secret, body: &str| Judged { scheme, secret, body: body.to_owned(), headers: None };
        let mut genuine = vec![
            unsigned("github", github, r#"{"ref": "refs/heads/main", "text": "caf\u00e9 é"}"#),
            unsigned("slack", slack, r#"{"event_id": "E1", "event": {"type": "a"}, "text": "é"}"#),
            unsigned("discord", DISCORD_SEED, r#"{"type": 2, "id": "1", "text": "é"}"#),
        ];
        for (request, judged) in genuine.clone().iter().zip(outside::judge(&genuine).await?) {
            assert!(judged.valid, "{} refuses what it signed", request.scheme);
            let found = genuine.iter_mut().find(|one| one.scheme == request.scheme);
            found.into_iter().for_each(|one| one.headers = Some(judged.headers.clone()));
        }
        let all: Vec<Judged> = genuine.iter().flat_map(changed).chain(genuine.clone()).collect();
        for (request, judged) in all.iter().zip(outside::judge(&all).await?) {
            let headers = request.headers.clone().unwrap_or_default();
            let sent = Raw { method: Method::POST, headers, body: request.body.clone() };
            let (status, body) = scene.sender.send("eu", &format!("/in/{}", request.scheme), &sent).await?;
            assert_eq!(status, if judged.valid { 200 } else { 401 }, "{request:?}: {body}");
        }
        assert_eq!(scene.balanced_books().await?.events.stored, 3, "one of each");
        Ok(())
    })
    .await
}
