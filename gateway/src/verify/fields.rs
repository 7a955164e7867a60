//! Finds a provider's id, its event type and the ordering value, with one pass over the body at most.

mod pointers;

use floodgate_event::source::Locator;
use http::HeaderMap;

use self::pointers::Pointers;

/// The longest value that counts; what is longer is treated as missing.
const MAX_LEN: usize = 512;

/// Where the values stand.
#[derive(Debug)]
pub(super) struct Fields {
    locators: [Option<Locator>; 3],
    /// None if all of them stand in headers.
    pointers: Option<Pointers>,
}

/// What was found there.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) id: Option<String>,
    pub(super) event_type: Option<String>,
    pub(super) order: Option<String>,
}

impl Fields {
    pub(super) fn new(id: Locator, event_type: Locator, order: Option<Locator>) -> Self {
        let locators = [Some(id), Some(event_type), order];
        let pointers = Pointers::new(locators.each_ref().map(|locator| match locator {
            Some(Locator::Json(pointer)) => Some(pointer.as_str()),
            Some(Locator::Header(_)) | None => None,
        }));
        Self { locators, pointers }
    }

    /// Bodies that are not JSON have no values, which is not an error: providers also send forms.
    pub(super) fn find(&self, headers: &HeaderMap, body: &[u8]) -> Found {
        let mut values = self.pointers.as_ref().map(|pointers| pointers.find(body)).unwrap_or_default();
        for (value, locator) in values.iter_mut().zip(&self.locators) {
            if let Some(Locator::Header(name)) = locator {
                *value = headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            }
        }
        let [id, event_type, order] =
            values.map(|value| value.filter(|text| !text.is_empty() && text.len() <= MAX_LEN));
        Found { id, event_type, order }
    }
}
