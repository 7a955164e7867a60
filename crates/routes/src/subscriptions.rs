//! An index of subscriptions by source and event type, so that an event is compared only with the
//! destinations that may get it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use floodgate_event::type_pattern::TypePattern;

use super::{Destination, Subscription};

/// The most pairs of a source and a pattern that a subscription is listed under. A subscription with more
/// pairs is listed by its sources only, and compared with each of their events. Listing 256 sources by 256
/// patterns would take too much memory.
const MAX_PAIRS: usize = 256;

/// An index into [`Subscriptions::destinations`].
type Place = u32;

/// The subscriptions of all destinations, including those that are held.
#[derive(Clone, Debug, Default)]
pub(super) struct Subscriptions {
    /// All destinations, ordered by name.
    destinations: Vec<Arc<Destination>>,
    /// Subscriptions that name sources, by source.
    by_source: HashMap<String, Types>,
    /// Subscriptions to every source.
    any_source: Types,
}

/// Subscriptions to the events of one source, or of every source.
#[derive(Clone, Debug, Default)]
struct Types {
    /// Subscriptions to every type.
    any: Vec<Place>,
    exact: HashMap<String, Vec<Place>>,
    prefix: HashMap<String, Vec<Place>>,
    /// The lengths of the prefixes, in bytes.
    lengths: BTreeSet<usize>,
    /// Subscriptions with too many pairs, which are compared one by one.
    compared: Vec<Place>,
}

impl Subscriptions {
    pub(super) fn new<'a>(destinations: impl Iterator<Item = &'a Arc<Destination>>) -> Self {
        let mut all = Self::default();
        for destination in destinations {
            // The configuration has at most 10,000 destinations.
            let place = Place::try_from(all.destinations.len()).unwrap_or(Place::MAX);
            all.add(place, &destination.subscribe);
            all.destinations.push(Arc::clone(destination));
        }
        all
    }

    fn add(&mut self, place: Place, subscription: &Subscription) {
        let Subscription { types, sources } = subscription;
        if sources.is_empty() {
            return self.any_source.add(place, types);
        }
        let listed = sources.len() * types.len() <= MAX_PAIRS;
        let distinct: BTreeSet<_> = sources.iter().collect();
        for source in distinct {
            let of_source = self.by_source.entry(source.to_string()).or_default();
            match listed {
                true => of_source.add(place, types),
                false => of_source.compared.push(place),
            }
        }
    }

    pub(super) fn matching(
        &self,
        source: &str,
        event_type: &str,
    ) -> impl Iterator<Item = &Arc<Destination>> + use<'_> {
        let mut places = BTreeSet::new();
        for types in self.by_source.get(source).into_iter().chain([&self.any_source]) {
            types.find(event_type, |place| _ = places.insert(place));
            let compared = types.compared.iter().filter(|&&place| {
                self.at(place).is_some_and(|destination| destination.subscribe.matches(source, event_type))
            });
            places.extend(compared);
        }
        places.into_iter().filter_map(|place| self.at(place))
    }

    fn at(&self, place: Place) -> Option<&Arc<Destination>> {
        self.destinations.get(place as usize)
    }
}

impl Types {
    fn add(&mut self, place: Place, types: &[TypePattern]) {
        if types.is_empty() {
            self.any.push(place);
        }
        for pattern in types {
            let (text, is_prefix) = pattern.parts();
            let lists = if is_prefix { &mut self.prefix } else { &mut self.exact };
            lists.entry(text.to_owned()).or_default().push(place);
            if is_prefix {
                self.lengths.insert(text.len());
            }
        }
    }

    fn find(&self, event_type: &str, mut found: impl FnMut(Place)) {
        let prefixes = self.lengths.iter().take_while(|&&length| length <= event_type.len());
        // A length that ends within a character cannot be that of a prefix, which is text.
        let prefixes = prefixes.filter_map(|&length| self.prefix.get(event_type.get(..length)?));
        let lists = prefixes.chain(self.exact.get(event_type)).chain([&self.any]);
        lists.flatten().for_each(|&place| found(place));
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;
    use std::time::Duration;

    use floodgate_event::Name;
    use proptest::prelude::*;

    use super::super::Routes;
    use super::*;

    fn destination(name: &str, subscribe: Subscription, enabled: bool) -> Destination {
        Destination {
            name: name.parse().unwrap(),
            url: "http://127.0.0.1:1/".parse().unwrap(),
            subscribe,
            keys: Vec::new(),
            timeout: Duration::from_secs(1),
            concurrency: NonZeroU16::MIN,
            rate_per_second: None,
            retry: Default::default(),
            original_headers: false,
            enabled,
            secrets_error: None,
            paused: false,
            create_revision: 0,
            mod_revision: 0,
        }
    }

    fn routes(subscriptions: Vec<(Subscription, bool)>) -> Routes {
        let named = subscriptions.into_iter().enumerate().map(|(number, (subscribe, enabled))| {
            let name = format!("d{number}");
            (name.parse::<Name>().unwrap(), Arc::new(destination(&name, subscribe, enabled)))
        });
        Routes::new(1, named.collect())
    }

    fn subscription() -> impl Strategy<Value = Subscription> {
        let pattern =
            "[ab]{0,2}(é|\\*)?".prop_filter_map("not a pattern", |text| TypePattern::try_from(text).ok());
        let source = "[ab]{1,2}".prop_map(|text| text.parse::<Name>().unwrap());
        (prop::collection::vec(pattern, 0..4), prop::collection::vec(source, 0..4), any::<bool>()).prop_map(
            |(mut types, mut sources, many)| {
                if many && !types.is_empty() && !sources.is_empty() {
                    // Over the bound on pairs.
                    types.extend((0..16).map(|n| TypePattern::try_from(format!("many{n}")).unwrap()));
                    sources.extend((0..16).map(|n| format!("many{n}").parse::<Name>().unwrap()));
                }
                Subscription { types, sources }
            },
        )
    }

    proptest! {
        #[test]
        fn the_index_finds_what_comparing_with_each_subscription_finds(
            subscriptions in prop::collection::vec((subscription(), any::<bool>()), 0..12),
            source in "[ab]{1,2}",
            event_type in "[abé]{0,3}",
        ) {
            let routes = routes(subscriptions);
            let expected: Vec<_> = routes.destinations.values()
                .filter(|destination| destination.subscribe.matches(&source, &event_type))
                .map(|destination| destination.name.to_string())
                .collect();
            let found: Vec<_> = routes.matching(&source, &event_type).map(|found| found.name.to_string()).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn an_event_is_not_compared_with_subscriptions_to_other_events() {
        let subscriptions = (0..2_000).map(|number| {
            let types = vec![TypePattern::try_from(format!("order.{number}")).unwrap()];
            let sources = vec![format!("shop{}", number % 7).parse().unwrap()];
            (Subscription { types, sources }, true)
        });
        let routes = routes(subscriptions.collect());
        assert_eq!(routes.matching("shop0", "order.1").count(), 0);
        assert_eq!(routes.matching("shop1", "order.1").count(), 1);
        let compared =
            routes.subscriptions.by_source.values().map(|types| types.compared.len()).sum::<usize>();
        assert_eq!((compared, routes.subscriptions.any_source.any.len()), (0, 0));
    }
}
