use super::*;

/// Each bad document stands in the snapshot beside the message it must get.
const BAD_SOURCES: &[&str] = &[
    r#"{}"#,
    r#"{"verify": {"scheme": "github", "secrets": ["s"]}, "colour": 1}"#,
    r#"{"verify": {"scheme": "github", "secrets": ["s"], "foo": 1}}"#,
    r#"{"verify": {"scheme": "nobody", "secrets": ["s"]}}"#,
    r#"{"verify": {"scheme": "github", "secrets": "whsec_in_the_wrong_form"}}"#,
    r#"{"verify": {"scheme": "github", "secrets": [12345]}}"#,
    r#"{"verify": {"scheme": "github", "secrets": []}}"#,
    r#"{"verify": {"scheme": "github", "secrets": ["s", "s"]}}"#,
    r#"{"verify": {"scheme": "github", "secrets": [""]}}"#,
    r#"{"verify": {"scheme": "github", "secrets": ["s3cret\n"]}}"#,
    r#"{"verify": {"scheme": "github", "secrets": ["s", "s3cret "]}}"#,
    r#"{"verify": {"scheme": "standard", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_*"]}}"#,
    r#"{"verify": {"scheme": "github", "secrets": ["s"], "tolerance_seconds": 5}}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"], "tolerance_seconds": 0}}"#,
    r#"{"verify": {"scheme": "token", "secrets": ["too short"]}}"#,
    r#"{"verify": {"scheme": "token", "secrets": ["0c1f6f7c5be24b0f9a5c7d2f8e3b1a64"]}, "event_id": {"json": "/id"}}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "event_id": {"json": "id"}}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "event_id": {"xml": "/id"}}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "lanes": {"a": "fast"}}"#,
    r#"{"verify": {"scheme": "github", "secrets": ["s"]}, "dedup": "header"}"#,
    r#"{"verify": {"scheme": "github", "secrets": ["s"]}, "types": []}"#,
    r#"{"verify": {"scheme": "github", "secrets": ["s"]}, "types": "push"}"#,
    r#"{"verify": {"scheme": "github", "secrets": ["s"]}, "types": ["push", "iss*es"]}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "status": 201}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "max_body_bytes": 9000000}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "max_config_age_seconds": 30}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "rate_limit": {"per_second": 0, "burst": 1}}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "rate_limit": {"per_second": 1, "burst": 1, "per_hour": 1}}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "handlers": [{"name": "a"}, {"name": "b", "versions": 1}]}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "handlers": [{"name": "a"}, {"name": "a"}]}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "handlers": [{"name": "a", "version": 0}]}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "handlers": [{"name": "a", "on_fault": "ignore"}]}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "keys": {"k": "a"}, "handlers": [{"name": "a", "grants": {"sign": ["k", "j"]}}]}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "handlers": [{"name": "a", "grants": {"files": true}}]}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "handlers": [{"name": "a", "grants": {"counters": ["a b"]}}]}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "handlers": [{"name": "a", "limits": {"deadline_ms": 60000}}]}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "keys": {"k": ""}}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "keys": {"k": "\ufeffs3cret"}}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "keys": {"k": 12345}}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}, "tenant": "No Name"}"#,
    r#"{"verify": {"scheme": "stripe", "secrets": ["s"]}} and more"#,
    r#"{"verify": "#,
    "",
    "nonsense",
    "[1, 2]",
    "null",
    r#"{"verify": 5}"#,
    r#"{"verify": {"scheme": 5, "secrets": ["s"]}}"#,
    r#"{"verify": {"scheme": "github", "secrets": ["s"]}, "max_body_bytes": "1 MiB"}"#,
    r#"{"verify": {"scheme": "github", "secrets": ["s"]}, "max_body_bytes": -1}"#,
    r#"{"verify": {"scheme": "github", "secrets": ["s"]}, "max_config_age_seconds": 1.5}"#,
    r#"{"verify": {"scheme": "github", "secrets": ["s"]}, "handlers": {"name": "a"}}"#,
    r#"{"verify": {"scheme": "github", "secrets": ["s"]}, "handlers": ["a"]}"#,
    r#"{"verify": {"scheme": "github", "secrets": ["s"]}, "tenant": 1}"#,
];

const BAD_DESTINATIONS: &[&str] = &[
    r#"{"secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}"#,
    r#"{"url": "https://a.example"}"#,
    r#"{"url": "https://a.example", "secrets": ["short"]}"#,
    r#"{"url": "https://a.example", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\t"]}"#,
    r#"{"url": "a.example", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}"#,
    r#"{"url": "https://u:p@", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}"#,
    r#"{"url": "https://a.example", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "enabled": "yes"}"#,
    r#"{"url": 5, "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}"#,
    r#"{"url": "ftp://a.example", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}"#,
    r#"{"url": "https://u:p@a.example", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}"#,
    r#"{"url": "https://a.example/#x", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}"#,
    r#"{"url": "https://a.example", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "colour": 1}"#,
    r#"{"url": "https://a.example", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "retry": {"times": 3}}"#,
    r#"{"url": "https://a.example", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
       "retry": {"schedule_seconds": [1, 999999]}}"#,
    r#"{"url": "https://a.example", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
       "subscribe": {"type": ["a"]}}"#,
    r#"{"url": "https://a.example", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
       "subscribe": {"types": ["a", "a*b"]}}"#,
    r#"{"url": "https://a.example", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "timeout_seconds": 61}"#,
    r#"{"url": "https://a.example", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "concurrency": 0}"#,
    r#"{"url": "https://a.example", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "concurrency": 257}"#,
    r#"{"url": "https://a.example", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "breaker": {}}"#,
    r#"{"url": "https://a.example", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "receipt_sla_seconds": 5}"#,
];

fn beside_messages<T: Document>(documents: &[&str]) -> String {
    let beside = |text: &&str| match read_json::<T>(text.as_bytes()) {
        Ok(_) => format!("{text}\n  TAKEN\n"),
        Err(invalid) => format!("{text}\n  {invalid}\n"),
    };
    documents.iter().map(beside).collect()
}

#[test]
fn bad_sources_get_their_messages() {
    insta::assert_snapshot!(beside_messages::<SourceDocument>(BAD_SOURCES));
}

#[test]
fn bad_destinations_get_their_messages() {
    insta::assert_snapshot!(beside_messages::<DestinationDocument>(BAD_DESTINATIONS));
}

#[test]
fn every_field_of_the_interface_is_taken() {
    let source = r#"{"verify": {"scheme": "stripe", "secrets": ["whsec_x"], "tolerance_seconds": 300},
        "event_id": {"json": "/id"}, "event_type": {"json": "/type"}, "dedup": "delivery", "types": ["push", "issues.*"], "raw": "keep", "on_verify_failure": "hold", "order_by": null,
        "handlers": [{"name": "redact", "version": 3, "on_fault": "quarantine", "params": {}}],
        "lane": "standard", "lanes": {"payment_intent.succeeded": "critical"}, "status": 200, "tenant": "default",
        "max_body_bytes": 1048576, "rate_limit": {"per_second": 500, "burst": 1000}, "max_config_age_seconds": 600}"#;
    read_json::<SourceDocument>(source.as_bytes()).unwrap();
    let destination = r#"{"url": "https://a.example/hook", "subscribe": {"types": ["invoice.*"], "sources": ["stripe"]},
        "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "timeout_seconds": 15, "concurrency": 16,
        "rate_per_second": null, "retry": {"schedule_seconds": [5, 300]}, "breaker": null,
        "receipt_sla_seconds": null, "original_headers": true, "enabled": true, "tenant": "default"}"#;
    read_json::<DestinationDocument>(destination.as_bytes()).unwrap();
}

#[test]
fn toml_reads_as_json_does() {
    let json: SourceDocument =
        read_json(br#"{"verify": {"scheme": "github", "secrets": ["s"]}, "raw": "drop"}"#).unwrap();
    let toml = toml::de::Deserializer::parse("raw = 'drop'\nverify = { scheme = 'github', secrets = ['s'] }")
        .unwrap();
    assert_eq!(read::<SourceDocument>(toml).unwrap(), json);
}

#[test]
fn params_stand_no_deeper_than_the_stored_document_can_be_read() {
    let nested = |levels: usize| {
        let inner = levels - 1;
        let text = format!(
            r#"{{"verify": {{"scheme": "github", "secrets": ["s"]}},
                "handlers": [{{"name": "h", "params": {{"a": {}{}}}}}]}}"#,
            "[".repeat(inner),
            "]".repeat(inner)
        );
        read_json::<SourceDocument>(text.as_bytes()).map(drop).map_err(|invalid| invalid.to_string())
    };
    assert_eq!(nested(HandlerDocument::MAX_PARAMS_DEPTH), Ok(()));
    // The last that the library still reads in a request, and could not read in the configuration.
    for levels in [HandlerDocument::MAX_PARAMS_DEPTH + 1, 124] {
        let expected = format!("`handlers[0].params`: {levels} levels, and at most 64 are allowed");
        assert_eq!(nested(levels), Err(expected));
    }
}

#[test]
fn locators_have_a_length() {
    for field in ["event_id", "event_type", "order_by"] {
        let read = |bytes: usize| {
            let pointer = format!("/{}", "a".repeat(bytes - 1));
            let text = format!(
                r#"{{"verify": {{"scheme": "github", "secrets": ["s"]}}, "{field}": {{"json": "{pointer}"}}}}"#
            );
            read_json::<SourceDocument>(text.as_bytes()).map(drop).map_err(|invalid| invalid.to_string())
        };
        assert_eq!(read(256), Ok(()));
        assert_eq!(read(257), Err(format!("`{field}`: 257 bytes, and at most 256 are allowed")));
    }
}
