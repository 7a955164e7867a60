//! `If-Match` and `If-None-Match` of a change
//! ([RFC 9110, 13.1](https://www.rfc-editor.org/rfc/rfc9110#section-13.1)). They are compared with what is
//! stored in the same compare-and-set as the change, so that two editors who began from the same version
//! cannot overwrite each other unnoticed.

use floodgate_event::{Digest256, Name};
use serde::Serialize;

use super::change::{Kind, Refused};

/// The most tags that a request may list.
const MAX_TAGS: usize = 16;

/// What may be around an element of a list.
const BLANKS: [char; 2] = [' ', '\t'];

/// What a request requires of the stored object. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition {
    /// The object must have one of these tags.
    pub if_match: Option<Tags>,
    /// The object must have none of these tags.
    pub if_none_match: Option<Tags>,
}

/// The entity tags of either header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tags {
    /// `*`: any version of the object.
    Any,
    /// The tags that are listed, with their quotes.
    These(Vec<String>),
}

/// The entity tag of an object, with its quotes: a hash of what the API shows of it.
pub(crate) fn tag(view: &impl Serialize) -> String {
    // A view holds only names, numbers and texts, and can always be written. Otherwise no tag would match.
    let text = serde_json::to_vec(view).unwrap_or_default();
    let digest = Digest256::of(&text).to_string();
    format!("\"{}\"", &digest[..32])
}

impl Tags {
    /// Reads a header's value: `*`, or at most 16 quoted tags with commas between them. `None` if it is
    /// neither.
    pub fn parse(text: &str) -> Option<Self> {
        if text.trim_matches(BLANKS) == "*" {
            return Some(Self::Any);
        }
        let (mut tags, mut rest) = (Vec::new(), text.trim_matches(BLANKS));
        loop {
            // Elements of a list may be empty (RFC 9110, 5.6.1).
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                return (1..=MAX_TAGS).contains(&tags.len()).then_some(Self::These(tags));
            }
            let (tag, after) = split_tag(rest)?;
            tags.push(tag.to_owned());
            rest = after.trim_start_matches(BLANKS);
            if !rest.is_empty() && !rest.starts_with(',') {
                return None;
            }
        }
    }

    fn has(&self, tag: Option<&str>, same: impl Fn(&str, &str) -> bool) -> bool {
        match self {
            Self::Any => tag.is_some(),
            Self::These(tags) => tag.is_some_and(|tag| tags.iter().any(|one| same(one, tag))),
        }
    }
}

/// The tag that a text begins with, and what follows it. A comma within the quotes belongs to the tag.
fn split_tag(text: &str) -> Option<(&str, &str)> {
    let opaque = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?;
    let length = opaque.find('"')?;
    let of_a_tag = |byte: u8| byte > b' ' && byte != 0x7f;
    opaque[..length].bytes().all(of_a_tag).then(|| text.split_at(text.len() - opaque.len() + length + 1))
}

/// The comparison for `If-Match`: a weak tag never equals another one.
fn strongly(one: &str, other: &str) -> bool {
    one == other && !one.starts_with("W/")
}

/// The comparison for `If-None-Match`: whether a tag is weak does not matter.
fn weakly(one: &str, other: &str) -> bool {
    opaque(one) == opaque(other)
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

impl Precondition {
    /// Compares with the tag of the stored object, if there is one.
    pub(crate) fn check(&self, kind: Kind, name: &Name, stored: Option<String>) -> Result<(), Refused> {
        let stored = stored.as_deref();
        let matches = self.if_match.as_ref().is_none_or(|tags| tags.has(stored, strongly));
        // RFC 9110, 13.1.2 compares weakly here: proxies make tags weak when they compress an answer.
        let clashes = self.if_none_match.as_ref().is_some_and(|tags| tags.has(stored, weakly));
        if matches && !clashes {
            return Ok(());
        }
        Err(Refused::Precondition { kind, name: name.clone(), stored: stored.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(if_match: Option<&str>, if_none_match: Option<&str>, stored: Option<&str>) -> bool {
        let tags = |text: Option<&str>| text.map(|text| Tags::parse(text).unwrap());
        let precondition = Precondition { if_match: tags(if_match), if_none_match: tags(if_none_match) };
        precondition.check(Kind::Source, &"a".parse().unwrap(), stored.map(str::to_owned)).is_ok()
    }

    #[test]
    fn headers_are_compared_as_the_rfc_says() {
        let (one, other) = (Some("\"1\""), Some("\"2\""));
        assert!(check(None, None, None) && check(None, None, one));
        assert!(check(one, None, one) && check(Some("\"2\", \"1\""), None, one));
        assert!(!check(other, None, one) && !check(one, None, None));
        assert!(check(Some("*"), None, one) && !check(Some("*"), None, None));
        assert!(check(None, Some("*"), None) && !check(None, Some("*"), one));
        assert!(check(None, other, one) && !check(None, one, one));
        assert!(!check(Some("W/\"1\""), None, one), "a weak tag does not match");
        assert!(!check(None, Some("W/\"1\""), one), "and it does clash: RFC 9110, 13.1.2");
        assert!(check(None, Some("W/\"2\""), one));
    }

    #[test]
    fn what_is_not_a_list_of_tags_is_not_read() {
        for text in ["", ",", "1", "\"1", "\"1\", 2", "*, \"1\"", "\"1\"\"2\"", "\"a b\"", "w/\"1\""] {
            assert_eq!(Tags::parse(text), None, "{text}");
        }
    }

    #[test]
    fn lists_are_read_as_the_rfc_writes_them() {
        let read = |text: &str| match Tags::parse(text) {
            Some(Tags::These(tags)) => tags,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(read("\"a,b\", W/\"c\""), ["\"a,b\"", "W/\"c\""], "a comma may stand in a tag");
        assert_eq!(read(" ,\"a\",, \"\"\t,"), ["\"a\"", "\"\""], "and an element may be empty");
        let many = |count| vec!["\"a\""; count].join(",");
        assert_eq!(read(&many(MAX_TAGS)).len(), MAX_TAGS);
        assert_eq!(Tags::parse(&many(MAX_TAGS + 1)), None);
        assert_eq!(Tags::parse(" * "), Some(Tags::Any));
    }
}
