use floodgate_event::Lane;
use floodgate_event::seal::OpeningKey;

use super::*;

const GOOD: &str = r#"
    relay = "relay-1"
    state_dir = "/var/lib/floodgate"
    opening_key_file = "/etc/floodgate/centre.key"
    metrics_listen = "127.0.0.1:9400"
    admin = { listen = "127.0.0.1:8400", token_file = "/etc/floodgate/token" }
    nats = { url = "nats://127.0.0.1:4222" }
    [[regions]]
    name = "eu"
    sealing_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    nats = { url = "nats://127.0.0.1:4223" }
"#;

fn load(text: &str) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.toml");
    fs::write(&path, text).unwrap();
    Config::load(&path)
}

#[test]
fn a_good_file_is_read() {
    assert_eq!(load(GOOD).unwrap().lease.seconds, 10);
}

#[test]
fn a_cluster_is_read() {
    let text = GOOD.replace(
        "nats://127.0.0.1:4223\" }",
        "nats://127.0.0.1:4223\", nkey_file = \"relay.nk\" }\nreplicas = 3\nmax_bytes = { bulk = 20000000 }",
    );
    let config = load(&format!("{text}\n[centre]\nreplicas = 1")).unwrap();
    let region = &config.regions[0];
    assert_eq!(region.replicas.map(floodgate_stream::placement::Replicas::count), Some(3));
    assert_eq!([Lane::Critical, Lane::Bulk].map(|lane| region.max_bytes.of(lane)), [None, Some(20_000_000)]);
    assert_eq!(config.centre.replicas.map(floodgate_stream::placement::Replicas::count), Some(1));
    assert!(region.nats.nkey_file.as_ref().unwrap().is_absolute(), "it starts from the file's folder");
}

#[test]
fn a_sealing_key_may_be_in_a_file() {
    let key = OpeningKey::generate().sealing_key().clone();
    let text = GOOD.replace(
        "sealing_key = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"",
        "sealing_key_file = \"eu.pub\"",
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.toml");
    fs::write(&path, text).unwrap();
    let region = || Config::load(&path).unwrap().regions.remove(0);
    assert!(region().sealing_key().unwrap_err().to_string().contains("eu.pub"));
    fs::write(dir.path().join("eu.pub"), format!("{key}\n")).unwrap();
    assert_eq!(region().sealing_key().unwrap().id(), key.id());
}

#[test]
fn key_and_token_lose_their_line_ends_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (path, file) = (dir.path().join("relay.toml"), dir.path().join("secret"));
    fs::write(
        &path,
        GOOD.replace("/etc/floodgate/centre.key", "secret").replace("/etc/floodgate/token", "secret"),
    )
    .unwrap();
    let config = Config::load(&path).unwrap();
    let key = OpeningKey::generate().to_text();
    let token = "0123456789abcdef";
    fs::write(&file, format!("{}\r\n", key.expose())).unwrap();
    config.opening_key().unwrap();
    fs::write(&file, format!("{token}\r\n")).unwrap();
    assert_eq!(config.admin_token().unwrap().expose(), token);
    for (text, says) in [
        (format!("{token} \n"), "the secret ends with a space (U+0020): take it out"),
        (format!("\u{feff}{token}"), "the secret begins with a byte order mark (U+FEFF): take it out"),
        (format!("{token}\0"), "the secret ends with a NUL (U+0000): take it out"),
        (String::new(), "the secret is empty"),
    ] {
        fs::write(&file, text).unwrap();
        let [of_key, of_token] = [config.opening_key().unwrap_err(), config.admin_token().unwrap_err()]
            .map(|error| error.to_string());
        assert_eq!(of_key, of_token);
        assert!(of_key.ends_with(says) && !of_key.contains(token), "{of_key}");
    }
    fs::write(&file, "a tökën that no header can hold").unwrap();
    assert!(config.admin_token().unwrap_err().to_string().contains("signs of ASCII"));
}

#[test]
fn what_does_not_go_is_refused_by_key() {
    let of_region = |line: &str| load(&format!("{GOOD}\n{line}")).unwrap_err().to_string();
    assert!(of_region("replicas = 2").contains("expected 1 or 3 replicas"));
    assert!(of_region("max_bytes = { bulk = 1000 }").contains("`regions.max_bytes` is out of bounds"));
    assert!(of_region("sealing_key_file = \"x\"").contains("`regions.sealing_key` is out of bounds"));
    let two = load(&GOOD.replace("{ url = \"nats://127.0.0.1:4223\" }", "{ url = \"a\", urls = [\"b\"] }"));
    let two = two.unwrap_err().to_string();
    assert!(two.ends_with("region eu: `nats.urls`: there is `url` as well; choose one"), "{two}");
}

#[test]
fn no_region_keeps_what_the_ledger_has_forgotten() {
    let with = |days: u32, seconds: u64| {
        let text = format!("{GOOD}\n[dedup]\nwindow_days = {days}\n[history]\nkept_seconds = {seconds}");
        load(&text).map_err(|error| error.to_string())
    };
    assert!(with(1, 86_400).is_ok() && with(7, 7 * 86_400).is_ok() && with(30, 30 * 86_400).is_ok());
    let refused = with(1, 86_401).unwrap_err();
    assert!(
        refused.contains("`history.kept_seconds`") && refused.contains("`dedup.window_days`"),
        "{refused}"
    );
    let one_line = load(&format!("{GOOD}\n[history]\nkept_seconds = 604801"));
    assert!(one_line.is_err(), "the default window is 7 days");
}

#[test]
fn errors_name_the_file_and_the_key() {
    let unknown = load(&format!("{GOOD}\nretries = 3")).unwrap_err().to_string();
    assert!(unknown.contains("relay.toml") && unknown.contains("retries"), "{unknown}");
    let bounds = load(&format!("{GOOD}\n[lease]\nseconds = 1")).unwrap_err().to_string();
    assert!(bounds.ends_with("`lease.seconds` is out of bounds: expected 2 to 300"), "{bounds}");
    let twice = GOOD.to_owned()
        + GOOD.split_once("[[regions]]").map(|(_, rest)| "[[regions]]".to_owned() + rest).unwrap().as_str();
    assert!(load(&twice).unwrap_err().to_string().contains("regions.name"));
}
