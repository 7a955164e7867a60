//! Finds a provider's id, its event type and the ordering value, in at most one pass over the body. Each is
//! read by itself, so an odd token elsewhere in the body hides none of them.

mod text;

use floodgate_event::proto;
use floodgate_event::source::Locator;
use floodgate_json::{Located, Pointer};
use http::{HeaderMap, HeaderName};
use sha2::{Digest as _, Sha256};

pub(super) use self::text::Unread;

/// The longest type and the longest ordering value, in bytes. A longer one is treated as missing. An id may
/// have any length: it is hashed, and two long ids are two events.
const MAX_LEN: usize = 512;

/// The longest id that is kept as it is for display, in bytes. A longer one is shown as its SHA-256.
const MAX_SHOWN_ID: usize = 512;

/// The names of the fields in envelopes and metrics.
const NAMES: [&str; 3] = ["id", "type", "order"];

/// Where the values are.
#[derive(Debug)]
pub(super) struct Fields([Option<Place>; 3]);

/// A [`Locator`] that is ready to be used.
#[derive(Debug)]
enum Place {
    /// None if the pointer goes deeper than bodies are searched.
    Json(Option<Pointer>),
    Header(HeaderName),
}

/// The values that were found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) id: Result<String, Unread>,
    pub(super) event_type: Result<String, Unread>,
    /// None if the source orders by nothing.
    pub(super) order: Option<Result<String, Unread>>,
}

impl Fields {
    pub(super) fn new(id: Option<&Locator>, event_type: Option<&Locator>, order: Option<&Locator>) -> Self {
        Self([id, event_type, order].map(|locator| locator.and_then(Place::new)))
    }

    pub(super) fn find(&self, headers: &HeaderMap, body: &[u8]) -> Found {
        let pointers = self.0.each_ref().map(|place| match place {
            Some(Place::Json(pointer)) => pointer.as_ref(),
            Some(Place::Header(_)) | None => None,
        });
        // Bodies that are not JSON have no values, which is not an error: providers also send forms.
        let located = match pointers.iter().any(Option::is_some) {
            true => floodgate_json::find(body, pointers),
            false => Located { values: [const { None }; 3], whole: true },
        };
        let absent = if located.whole { Unread::Missing } else { Unread::NotJson };
        let mut values = located.values.into_iter();
        let [id, event_type, order] = self.0.each_ref().map(|place| {
            let found = values.next().flatten();
            Some(match place.as_ref()? {
                Place::Json(_) => found.map_or(Err(absent), |range| text::of_json(&body[range])),
                Place::Header(name) => {
                    let value = headers.get(name).ok_or(Unread::Missing);
                    value.and_then(|value| text::of_header(value.as_bytes()))
                }
            })
        });
        let missing = Err(Unread::Missing);
        Found {
            id: id.unwrap_or(missing.clone()),
            event_type: event_type.unwrap_or(missing).and_then(short),
            order: order.map(|order| order.and_then(short)),
        }
    }
}

impl Place {
    /// `Locator` only accepts names of headers.
    fn new(locator: &Locator) -> Option<Self> {
        match locator {
            Locator::Json(pointer) => Some(Self::Json(Pointer::parse(pointer))),
            Locator::Header(name) => name.parse().ok().map(Self::Header),
        }
    }
}

fn short(text: String) -> Result<String, Unread> {
    if text.len() <= MAX_LEN { Ok(text) } else { Err(Unread::TooLong) }
}

impl Found {
    /// The fields that have no value.
    pub(super) fn unread(&self) -> impl Iterator<Item = (&'static str, Unread)> {
        let order = self.order.as_ref().map_or(Ok(()), |order| order.as_ref().map(drop));
        let fields = [self.id.as_ref().map(drop), self.event_type.as_ref().map(drop), order];
        NAMES.into_iter().zip(fields).filter_map(|(name, field)| Some((name, *field.err()?)))
    }

    /// The fields that are present and cannot be read. A missing type is normal, and an unreadable one is
    /// not.
    pub(super) fn odd(&self) -> Vec<proto::Unread> {
        let odd = self.unread().filter(|(_, why)| *why != Unread::Missing);
        odd.map(|(field, why)| proto::Unread { field: field.to_owned(), reason: why.as_str().to_owned() })
            .collect()
    }

    /// The id in the form that people are shown.
    pub(super) fn shown_id(&self) -> String {
        match &self.id {
            Ok(id) if id.len() <= MAX_SHOWN_ID => id.clone(),
            Ok(id) => format!("sha256:{}", hex::encode(Sha256::digest(id))),
            Err(_) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(body: &[u8]) -> Found {
        let json = |pointer: &str| Locator::Json(pointer.to_owned());
        let fields = Fields::new(Some(&json("/id")), Some(&json("/type")), Some(&json("/customer")));
        fields.find(&HeaderMap::new(), body)
    }

    #[test]
    fn each_field_is_read_for_itself() {
        for odd in [
            &b"\xef\xbb\xbf{\"id\":\"a\",\"type\":\"t\"}"[..],
            b"{\"\\ud83d\":1,\"id\":\"a\",\"type\":\"t\"}",
            b"{\"n\":\"\\ud83d\",\"id\":\"a\",\"type\":\"t\"}",
            b"{\"caf\xe9\":1,\"id\":\"a\",\"type\":\"t\"}",
            b"{\"id\":\"a\",\"type\":\"t\",\"n\":NaN}",
            b"{\"id\":\"a\",\"type\":\"t\"} trailing",
            b"{\"id\":\"a\",\"type\":\"t\",\"cut",
        ] {
            let found = find(odd);
            assert_eq!((found.id.as_deref(), found.event_type.as_deref()), (Ok("a"), Ok("t")), "{odd:?}");
        }
        let found = find(b"{\"id\":\"a\",\"type\":\"\\ud83d\",\"customer\":7}");
        assert_eq!((found.id.as_deref(), &found.event_type), (Ok("a"), &Err(Unread::Malformed)));
        assert_eq!(found.order, Some(Ok("7".to_owned())));
        assert_eq!(found.odd(), [proto::Unread { field: "type".into(), reason: "malformed".into() }]);
    }

    #[test]
    fn what_is_missing_is_nothing_odd_and_what_is_no_json_is() {
        let found = find(b"{\"id\":\"a\"}");
        assert_eq!(
            found.unread().collect::<Vec<_>>(),
            [("type", Unread::Missing), ("order", Unread::Missing)]
        );
        assert_eq!(found.odd(), []);
        let form = find(b"id=a&type=t");
        assert_eq!(form.unread().map(|(_, why)| why).collect::<Vec<_>>(), [Unread::NotJson; 3]);
    }

    #[test]
    fn long_ids_count_whole_and_long_types_do_not() {
        let long = "x".repeat(30_000);
        let found = find(format!("{{\"id\":\"{long}\",\"type\":\"{long}\"}}").as_bytes());
        assert_eq!((found.id.as_ref(), &found.event_type), (Ok(&long), &Err(Unread::TooLong)));
        assert_eq!(found.shown_id(), format!("sha256:{}", hex::encode(Sha256::digest(&long))));
        assert_eq!(find(br#"{"id": "short"}"#).shown_id(), "short");
    }
}
