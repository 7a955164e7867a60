//! Patterns of event types, with which operators name many types at once.

use serde::{Deserialize, Serialize};

/// An event type, or the beginning of one followed by `*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TypePattern {
    text: String,
    prefix: bool,
}

impl TypePattern {
    /// The longest pattern, in bytes.
    pub const MAX_LEN: usize = 256;

    /// Returns the text that event types are compared with, and true if they may be longer.
    pub fn parts(&self) -> (&str, bool) {
        (&self.text, self.prefix)
    }

    /// Returns true if the event type matches the pattern.
    pub fn matches(&self, event_type: &str) -> bool {
        if self.prefix { event_type.starts_with(&self.text) } else { event_type == self.text }
    }
}

impl TryFrom<String> for TypePattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        let (begin, prefix) = match text.strip_suffix('*') {
            Some(begin) => (begin, true),
            None => (text.as_str(), false),
        };
        if text.is_empty() || text.len() > Self::MAX_LEN || begin.contains('*') {
            return Err(InvalidPattern(text.chars().take(80).collect()));
        }
        Ok(Self { text: begin.to_owned(), prefix })
    }
}

impl From<TypePattern> for String {
    fn from(pattern: TypePattern) -> Self {
        if pattern.prefix { format!("{}*", pattern.text) } else { pattern.text }
    }
}

/// A text that is not a [`TypePattern`]; the message repeats its beginning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a pattern of event types: expected 1 to 256 bytes with at most one `*`, at the end")]
pub struct InvalidPattern(String);

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> TypePattern {
        TypePattern::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn patterns_are_exact_or_prefixes() {
        assert!(pattern("invoice.*").matches("invoice.paid"));
        assert!(!pattern("invoice.*").matches("invoice"));
        assert!(pattern("invoice.paid").matches("invoice.paid"));
        assert!(!pattern("invoice.paid").matches("invoice.paid.twice"));
        assert!(pattern("*").matches(""));
        for bad in ["", "a*b", "**"] {
            assert!(TypePattern::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
