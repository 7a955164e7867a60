//! Bugs that tests inject, to see that they would be found.

use std::sync::Arc;
use std::time::Duration;

use floodgate_routes::Routes;
use tokio::sync::watch;

use super::Configuration;

/// What is wrong with a control plane under test. Nothing by default.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// How much longer it takes to open destinations.
    pub(crate) open_delay: Duration,
    /// A revision is recorded as routed before its destinations are open.
    pub(crate) confirms_first: bool,
    /// A new writer does not catch up with the revision that was confirmed before.
    pub(crate) ignores_confirmed: bool,
}

impl Faults {
    pub(super) async fn before_opening(
        &self,
        configuration: &Configuration,
        routes: &watch::Sender<Arc<Routes>>,
    ) {
        if self.confirms_first {
            let destinations = routes.borrow().destinations.clone();
            routes.send_replace(Arc::new(Routes::new(configuration.revision, destinations)));
        }
        tokio::time::sleep(self.open_delay).await;
    }
}
