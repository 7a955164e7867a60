use floodgate_api::document::read_json;
use floodgate_event::ShardCount;
use floodgate_event::seal::OpeningKey;

use super::super::region_keys::RegionKeys;
use super::*;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn vault() -> Vault {
    let region = OpeningKey::generate().sealing_key().clone();
    Vault::new(OpeningKey::generate(), RegionKeys::new([(name("eu"), region)].into()))
}

fn source(text: &str) -> SourceDocument {
    read_json(format!(r#"{{"verify": {{"scheme": "github", "secrets": ["s"]}}, {text}}}"#).as_bytes())
        .unwrap()
}

#[test]
fn the_same_document_changes_nothing_and_another_secret_does() {
    let (vault, mut configuration) = (vault(), Configuration::default());
    let put = |configuration: &mut Configuration, secret: &str| {
        let text = format!(r#"{{"verify": {{"scheme": "github", "secrets": ["{secret}"]}}}}"#);
        configuration.put_source(&name("github"), &read_json(text.as_bytes()).unwrap(), &vault).unwrap();
    };
    put(&mut configuration, "one");
    let first = configuration.clone();
    put(&mut configuration, "one");
    assert_eq!(configuration, first);
    put(&mut configuration, "two");
    assert_ne!(configuration, first);
}

#[test]
fn secrets_are_sealed_anew_for_another_tenant() {
    let (vault, mut configuration) = (vault(), Configuration::default());
    let github = name("github");
    configuration.put_source(&github, &source(r#""tenant": "a""#), &vault).unwrap();
    configuration.put_source(&github, &source(r#""tenant": "b""#), &vault).unwrap();
    let stored = &configuration.sources["github"];
    assert_eq!(vault.open(&stored.secrets[0], vault::source(&name("b"), &github)).unwrap().expose(), "s");
}

#[test]
fn bindings_must_exist_and_keep_their_handler() {
    let (vault, mut configuration) = (vault(), Configuration::default());
    let (github, redact) = (name("github"), name("redact"));
    let pinned = source(r#""handlers": [{"name": "redact", "version": 2}]"#);
    let missing = configuration.put_source(&github, &pinned, &vault).unwrap_err();
    assert_eq!(missing.to_string(), "`handlers[0].name`: there is no handler `redact`: upload it first");

    assert_eq!(configuration.add_version(&redact, Digest256::of(b"1"), 1, 0), Ok(1));
    let missing = configuration.put_source(&github, &pinned, &vault).unwrap_err();
    assert_eq!(missing.to_string(), "`handlers[0].version`: handler `redact` has no version 2");

    configuration.put_source(&github, &source(r#""handlers": [{"name": "redact"}]"#), &vault).unwrap();
    assert!(matches!(configuration.delete_handler(&redact), Err(Refused::StillBound { count: 1, .. })));
    configuration.delete_source(&github).unwrap();
    configuration.delete_handler(&redact).unwrap();
}

#[test]
fn the_same_bytes_are_the_same_version_and_the_first_is_promoted() {
    let mut configuration = Configuration::default();
    let redact = name("redact");
    let mut add = |bytes: &[u8], at| configuration.add_version(&redact, Digest256::of(bytes), 1, at);
    assert_eq!((add(b"a", 1), add(b"b", 2), add(b"a", 3)), (Ok(1), Ok(2), Ok(1)));
    assert_eq!(configuration.handlers["redact"].promoted, 1);
    configuration.promote(&redact, 2, 0).unwrap();
    assert_eq!(configuration.handlers["redact"].promoted, 2);
    assert!(configuration.promote(&redact, 3, 0).is_err());
}

#[test]
fn unpinned_bindings_follow_the_promoted_version() {
    use super::super::region_snapshot;
    let (vault, mut configuration) = (vault(), Configuration::default());
    let redact = name("redact");
    for bytes in [b"a", b"b"] {
        configuration.add_version(&redact, Digest256::of(bytes), 1, 0).unwrap();
    }
    configuration
        .put_source(&name("github"), &source(r#""handlers": [{"name": "redact"}]"#), &vault)
        .unwrap();
    let runs = |configuration: &Configuration| {
        let made = region_snapshot::build(configuration, &name("eu"), ShardCount::ONE, 0).unwrap();
        assert!(made.unsealed.is_empty());
        made.snapshot.sources["github"].handlers[0].version
    };
    assert_eq!(runs(&configuration), 1);
    configuration.promote(&redact, 2, 0).unwrap();
    assert_eq!(runs(&configuration), 2);
    let elsewhere = region_snapshot::build(&configuration, &name("us"), ShardCount::ONE, 0).unwrap();
    assert_eq!(elsewhere.unsealed, [name("github")]);
}

/// Puts the destination `shop` at a URL, as the configuration's next revision.
fn put_shop(configuration: &mut Configuration, vault: &Vault, url: &str) -> (u64, u64) {
    let text = format!(r#"{{"url": "{url}", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}}"#);
    let before = configuration.clone();
    configuration.put_destination(&name("shop"), &read_json(text.as_bytes()).unwrap(), vault).unwrap();
    configuration.revision += u64::from(*configuration != before);
    let shop = &configuration.destinations["shop"];
    (shop.created, shop.put)
}

#[test]
fn a_destination_knows_since_when_it_is_there_and_when_it_was_put() {
    let (vault, mut configuration) = (vault(), Configuration { revision: 5, ..Configuration::default() });
    let put = |configuration: &mut Configuration, url: &str| put_shop(configuration, &vault, url);
    assert_eq!(put(&mut configuration, "https://old.example/"), (6, 6));
    assert_eq!(put(&mut configuration, "https://old.example/"), (6, 6));
    assert_eq!(put(&mut configuration, "https://new.example/"), (6, 7));
    configuration.delete_destination(&name("shop")).unwrap();
    configuration.revision += 1;
    assert_eq!(put(&mut configuration, "https://new.example/"), (9, 9));
}

#[test]
fn only_what_answered_410_is_disabled_and_putting_it_again_ends_that() {
    let (vault, mut configuration) = (vault(), Configuration::default());
    let gone = |mod_revision| Gone { destination: name("shop"), mod_revision };
    let (_, old) = put_shop(&mut configuration, &vault, "https://old.example/");
    let (created, new) = put_shop(&mut configuration, &vault, "https://new.example/");
    configuration.disable_destination(&gone(old), 77);
    assert!(configuration.destinations["shop"].delivery.enabled);
    configuration.disable_destination(&gone(new), 77);
    let shop = &configuration.destinations["shop"];
    assert!(!shop.delivery.enabled);
    assert_eq!((shop.gone_at_us, shop.created), (77, created));

    let (_, again) = put_shop(&mut configuration, &vault, "https://new.example/");
    let shop = &configuration.destinations["shop"];
    assert!(shop.delivery.enabled && shop.gone_at_us == 0 && again > new);
    configuration.disable_destination(&gone(new), 78);
    assert!(
        configuration.destinations["shop"].delivery.enabled,
        "a late answer from before it was put again"
    );
}

#[test]
fn what_earlier_versions_stored_of_a_destination_is_read() {
    let (vault, mut configuration) = (vault(), Configuration::default());
    put_shop(&mut configuration, &vault, "https://old.example/");
    let mut stored = serde_json::to_value(&configuration).unwrap();
    let shop = stored["destinations"]["shop"].as_object_mut().unwrap();
    shop.remove("created");
    shop.remove("put");
    shop["delivery"].as_object_mut().unwrap().remove("paused");
    let read: Configuration = serde_json::from_value(stored).unwrap();
    let shop = &read.destinations["shop"];
    assert_eq!((shop.created, shop.put, shop.delivery.paused), (0, 0, false));
}

#[test]
fn a_token_finds_one_source() {
    let (vault, mut configuration) = (vault(), Configuration::default());
    let mut put = |source: &str, scheme: &str, tokens: &[&str]| {
        let document = serde_json::json!({"verify": {"scheme": scheme, "secrets": tokens}});
        let document = read_json(document.to_string().as_bytes()).unwrap();
        configuration.put_source(&name(source), &document, &vault).map_err(|refused| refused.to_string())
    };
    let (old, new) = ("0c1f6f7c5be24b0f9a5c7d2f8e3b1a64", "d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!(put("shop", "token", &[old]), Ok(()));
    assert_eq!(put("hooks", "api-key", &[new]), Ok(()), "no token");
    let refused = put("billing", "token", &[new, old]).unwrap_err();
    assert!(refused.contains("verify.secrets[1]") && refused.contains("`shop`"), "{refused}");
    assert!(!refused.contains(old), "{refused}");
    assert_eq!(put("shop", "token", &[new, old]), Ok(()), "its own");
    assert!(put("hooks", "token", &[new]).is_err(), "it becomes a token");
    assert_eq!(put("shop", "token", &[new]), Ok(()));
    assert_eq!(put("billing", "token", &[old]), Ok(()), "free again");
}
