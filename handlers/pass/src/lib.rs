//! The handler that `floodgate handler new` begins with. `gateway/benches` measures what it costs a gateway.

use floodgate_sdk::{Event, Outcome};
use serde::Deserialize;

/// What the source's configuration says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    drop_types: Vec<String>,
}

#[floodgate_sdk::handler]
fn handle(event: &Event, params: Params) -> Result<Outcome, serde_json::Error> {
    if params.drop_types.iter().any(|name| name == event.event_type()) {
        return Ok(Outcome::drop("not wanted"));
    }
    Ok(Outcome::pass())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unwanted_types_are_dropped() {
        let event = Event::builder().event_type("ping").build();
        let params = Params { drop_types: vec!["ping".into()] };
        assert_eq!(handle(&event, params).unwrap(), Outcome::drop("not wanted"));
    }
}
