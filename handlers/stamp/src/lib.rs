//! Adds the region that received an event to its JSON body.
//! `gateway/benches` measures what it costs a gateway.

use floodgate_sdk::{EditError, Event, Outcome};

#[floodgate_sdk::handler]
fn stamp(event: &Event) -> Result<Outcome, EditError> {
    let mut body = event.edit()?;
    body.set("/received_in", event.region())?;
    Ok(Outcome::change().body(body).into())
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
