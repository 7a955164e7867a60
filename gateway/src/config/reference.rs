//! `docs/configuration/gateway.md` shows what the types of the file say.

use floodgate_testkit::reference::{Reference, compare, example};
use serde_json::Value;

use super::file::File;

const PAGE: &str = "configuration/gateway.md";

fn schema() -> Value {
    serde_json::to_value(schemars::schema_for!(File)).unwrap()
}

#[test]
fn the_page_shows_what_the_types_say() {
    let schema = schema();
    compare(PAGE, "settings", &Reference { schema: &schema, reloads: true }.render());
    compare(PAGE, "example", &format!("```toml,gateway\n{}```\n", example(&schema)));
}

/// So no default is out of its bounds.
#[test]
fn the_example_is_a_valid_file() {
    let file: File = toml::from_str(&example(&schema())).unwrap();
    assert!(file.proxies.checked().is_ok());
    assert!(file.access_log.check().is_ok());
    assert!(file.limits.check().is_ok() && file.handlers.check().is_ok() && file.nats.check().is_ok());
}
