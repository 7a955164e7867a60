//! Adds the region that received an event to its JSON body. `gateway/benches` measures what it costs a gateway.

use floodgate_sdk::{Event, Outcome};
use serde_json::{Map, Value};

#[floodgate_sdk::handler]
fn stamp(event: &Event) -> Result<Outcome, serde_json::Error> {
    let mut body: Map<String, Value> = event.json()?;
    body.insert("received_in".to_owned(), event.region().into());
    Ok(Outcome::change().body(serde_json::to_vec(&body)?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_added() {
        let event = Event::builder().body(r#"{"id":7}"#).build();
        let expected = Outcome::change().body(r#"{"id":7,"received_in":"test"}"#);
        assert_eq!(stamp(&event).unwrap(), expected.into());
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        assert!(stamp(&Event::builder().body("[1]").build()).is_err());
    }
}
