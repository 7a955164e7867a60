//! `docs/configuration/relay.md` shows what the types of the file say.

use floodgate_testkit::reference::{Reference, compare, example};
use serde_json::Value;

use super::Config;

const PAGE: &str = "configuration/relay.md";

fn schema() -> Value {
    serde_json::to_value(schemars::schema_for!(Config)).unwrap()
}

#[test]
fn the_page_shows_what_the_types_say() {
    let schema = schema();
    compare(PAGE, "settings", &Reference { schema: &schema, reloads: true }.render());
    compare(PAGE, "example", &format!("```toml,relay\n{}```\n", example(&schema)));
}

/// So no default is out of its bounds.
#[test]
fn the_example_is_a_valid_file() {
    let config: Config = toml::from_str(&example(&schema())).unwrap();
    config.check(std::path::Path::new("relay.toml")).unwrap();
}
