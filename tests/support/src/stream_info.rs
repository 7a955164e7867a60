//! What a server says of a stream, for tests that judge it.

use std::collections::HashMap;

use async_nats::jetstream::stream::{Config, Info};
use serde_json::json;

/// A stream that was made one second after 1970 began and ends at `last`.
pub fn stream_info(name: &str, last: u64) -> Info {
    let config = Config { name: name.to_owned(), metadata: HashMap::new(), ..Config::default() };
    let at = "1970-01-01T00:00:01Z";
    let state = json!({
        "messages": last, "bytes": 0, "first_seq": 1, "first_ts": at, "last_seq": last, "last_ts": at,
        "consumer_count": 0,
    });
    serde_json::from_value(json!({"config": config, "created": at, "state": state}))
        .unwrap_or_else(|error| panic!("{error}"))
}
