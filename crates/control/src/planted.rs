//! Bugs that tests plant, to see that they would be found.

use std::sync::Arc;
use std::time::Duration;

use floodgate_routes::Routes;
use tokio::sync::watch;

use super::Configuration;

/// What is wrong with a control plane under test; nothing by default.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Planted {
    /// How long opening destinations takes besides.
    pub(crate) open_delay: Duration,
    /// A revision is said to be routed by before its destinations are open.
    pub(crate) confirms_first: bool,
    /// A new writer does not wait for what was confirmed before.
    pub(crate) ignores_confirmed: bool,
}

impl Planted {
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
