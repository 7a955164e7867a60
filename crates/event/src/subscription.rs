//! Which events a destination gets.

use serde::{Deserialize, Serialize};

use crate::Name;
use crate::type_pattern::TypePattern;

/// Which events a destination gets. An empty list means any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Patterns of event types, exact or ending in `*`; at most 256.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(max_items = 256, required = false))]
    pub types: Vec<TypePattern>,
    /// Names of sources, at most 256.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(max_items = 256, required = false))]
    pub sources: Vec<Name>,
}

impl Subscription {
    /// How many entries each of the lists may have.
    pub const MAX_ENTRIES: usize = 256;

    /// Returns true if the destination gets events of this source and type.
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
