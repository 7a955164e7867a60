//! Which events a destination gets.

use serde::{Deserialize, Serialize};

use crate::Name;
use crate::type_pattern::TypePattern;

/// Which events a destination gets. An empty list means any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Patterns of event types: exact, or ending in `*`.
    #[serde(default)]
    pub types: Vec<TypePattern>,
    /// Names of sources.
    #[serde(default)]
    pub sources: Vec<Name>,
}

impl Subscription {
    /// The most entries of either list.
    pub const MAX_ENTRIES: usize = 256;

    /// Whether an event of this source and type is asked for.
    pub fn matches(&self, source: &str, event_type: &str) -> bool {
        let source_fits = self.sources.is_empty() || self.sources.iter().any(|name| name.as_str() == source);
        let type_fits = self.types.is_empty() || self.types.iter().any(|pattern| pattern.matches(event_type));
        source_fits && type_fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lists_must_fit() {
        let subscription: Subscription =
            serde_json::from_str(r#"{"types": ["push", "issues*"], "sources": ["github"]}"#).unwrap();
        assert!(subscription.matches("github", "issues"));
        assert!(!subscription.matches("gitlab", "push"));
        assert!(!subscription.matches("github", "ping"));
        assert!(Subscription::default().matches("any", "thing"));
    }
}
