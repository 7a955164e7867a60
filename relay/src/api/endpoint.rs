//! An endpoint: a handler with what its annotation says of it, and its time limit.

use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use utoipa_axum::router::{UtoipaMethodRouter, UtoipaMethodRouterExt as _};

use super::{ApiState, limits};

/// How long a request may take, where an endpoint does not say otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The same where components are compiled first, one for each new pair of component and parameters.
const ASKING_TIMEOUT: Duration = Duration::from_secs(180);

/// A route with its description; `utoipa_axum::routes!` makes it of a handler.
pub(crate) type Route = UtoipaMethodRouter<ApiState>;

/// One method on one path, within its time.
pub(crate) struct Endpoint(pub(super) Route);

impl Endpoint {
    pub(crate) fn quick(route: Route) -> Self {
        Self::within(TIMEOUT, route)
    }

    /// One for which handlers may have to be asked whether they take their parameters.
    pub(crate) fn asking(route: Route) -> Self {
        Self::within(ASKING_TIMEOUT, route)
    }

    /// One that takes a large body, which may take its time.
    pub(crate) fn upload(route: Route, max_bytes: usize, timeout: Duration) -> Self {
        Self::within(timeout, route.layer(DefaultBodyLimit::max(max_bytes)))
    }

    fn within(timeout: Duration, route: Route) -> Self {
        Self(route.layer(from_fn_with_state(timeout, limits::timed)))
    }
}
