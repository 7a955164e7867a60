use super::*;

const GOOD: &str = r#"
region = "eu"
listen = "127.0.0.1:8441"
metrics_listen = "127.0.0.1:9441"
opening_key_file = "key"
plaintext = true
[nats]
url = "nats://127.0.0.1:4222"
"#;

fn load(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let key = OpeningKey::generate().to_text();
    write("key", key.expose());
    write("crlf", &format!("{}\r\n", key.expose()));
    write("spaced", &format!("{} \n", key.expose()));
    write("marked", &format!("\u{feff}{}\n", key.expose()));
    write("empty", "\n");
    let path = folder.path().join("gateway.toml");
    std::fs::write(&path, text).unwrap();
    let prefix = format!("{}/", folder.path().display());
    Config::load(&path).map_err(|error| error.to_string().replace(&prefix, ""))
}

#[test]
fn the_least_file_is_enough() {
    let config = load(GOOD).unwrap();
    assert!(config.gateway.starts_with("eu-"));
    assert_eq!(config.limits.publish_timeout(), Duration::from_secs(5));
    load(&GOOD.replace("\"key\"", "\"crlf\"")).unwrap();
}

#[test]
fn the_cache_s_folder_starts_from_the_file_s() {
    let config = load(&format!("{GOOD}\n[handlers]\ncache_dir = \"cache\"\n")).unwrap();
    assert!(config.handlers.cache_dir.unwrap().is_absolute());
    assert_eq!(load(GOOD).unwrap().handlers.cache_dir, None);
}

#[test]
fn proxies_are_trusted_by_network() {
    let load = |rest: &str| {
        load(&format!("{GOOD}\n[proxies]\ntrusted = [\"10.0.0.0/8\", \"fd00::/8\"]\n{rest}\n"))
            .unwrap()
            .proxies
    };
    let by_connection = load("protocol = \"proxy\"");
    assert_eq!((by_connection.trusted.len(), by_connection.protocol), (2, true));
    for (text, field) in [
        ("x-forwarded-for", floodgate_listen::ForwardedField::XForwardedFor),
        ("forwarded", floodgate_listen::ForwardedField::Forwarded),
    ] {
        let by_request = load(&format!("forwarded = \"{text}\""));
        assert_eq!((by_request.protocol, by_request.forwarded), (false, Some(field)));
    }
}

/// Each bad file beside the message that it must give.
#[test]
fn bad_files_are_refused_by_name() {
    let cases = [
        ("unknown_key", format!("lisen = \"x\"\n{GOOD}")),
        ("password_in_the_file", format!("{GOOD}user = \"gateway\"\npassword = \"s3cret\"\n")),
        ("unknown_key_in_table", format!("{GOOD}\n[limits]\nmax_conections = 1\n")),
        ("missing_key", GOOD.replace("region = \"eu\"\n", "")),
        ("bad_name", GOOD.replace("\"eu\"", "\"EU\"")),
        ("zero_limit", format!("{GOOD}\n[limits]\nblock_events = 0\n")),
        ("limit_over_bound", format!("{GOOD}\n[limits]\nblock_bytes = 100000000\n")),
        ("standard_before_bulk", format!("{GOOD}\n[limits]\nshed_standard_percent = 60\n")),
        ("burst_of_no_rate", format!("{GOOD}\n[limits]\naddress_burst = 10\n")),
        ("access_log_without_lines", format!("{GOOD}\n[access_log]\nlines_per_second = 0\n")),
        ("no_tls", GOOD.replace("plaintext = true\n", "")),
        ("both_tls_and_plaintext", format!("{GOOD}\n[tls]\ncertificate_file = \"c\"\nkey_file = \"k\"\n")),
        (
            "too_many_certificates",
            format!(
                "{}\n[tls]\ncertificate_file = \"c\"\nkey_file = \"k\"\n{}",
                GOOD.replace("plaintext = true\n", ""),
                "[[tls.certificates]]\ncertificate_file = \"c\"\nkey_file = \"k\"\n".repeat(1_001)
            ),
        ),
        ("user_without_password", format!("{GOOD}user = \"gateway\"\n")),
        ("two_forms_of_servers", format!("{GOOD}urls = [\"nats://127.0.0.1:4222\"]\n")),
        ("nkey_file_gone", format!("{GOOD}nkey_file = \"gone\"\n")),
        ("not_an_nkey", format!("{GOOD}nkey_file = \"key\"\n")),
        ("not_an_authority", format!("{GOOD}ca_file = \"key\"\n")),
        ("handlers_over_bound", format!("{GOOD}\n[handlers]\nmax_memory_bytes = 65537\n")),
        ("key_file_gone", GOOD.replace("\"key\"", "\"gone\"")),
        ("key_with_a_space", GOOD.replace("\"key\"", "\"spaced\"")),
        ("key_with_a_mark", GOOD.replace("\"key\"", "\"marked\"")),
        ("key_file_empty", GOOD.replace("\"key\"", "\"empty\"")),
        ("password_with_a_space", format!("{GOOD}user = \"gateway\"\npassword_file = \"spaced\"\n")),
        ("proxies_of_no_network", format!("{GOOD}\n[proxies]\nprotocol = \"proxy\"\n")),
        ("proxies_that_tell_nothing", format!("{GOOD}\n[proxies]\ntrusted = [\"10.0.0.0/8\"]\n")),
        ("nkey_with_a_mark", format!("{GOOD}nkey_file = \"marked\"\n")),
    ];
    let messages: Vec<String> =
        cases.iter().map(|(name, text)| format!("{name}: {}", load(text).unwrap_err().trim_end())).collect();
    insta::assert_snapshot!(messages.join("\n\n"));
}
