//! An endpoint: its method, path, handler and time limit in one place, so that they can be listed and
//! compared with the OpenAPI document.

use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::{ApiState, limits};

/// How long a request may take, where an endpoint does not say otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The same where components are compiled first, one for each new pair of component and parameters.
const ASKING_TIMEOUT: Duration = Duration::from_secs(180);

/// One method on one path.
pub(crate) struct Endpoint {
    /// Read by the test that compares endpoints with the OpenAPI document.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) route: MethodRouter<ApiState>,
}

impl Endpoint {
    pub(crate) fn get<H: Handler<T, ApiState>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::GET, path, within(TIMEOUT, on(MethodFilter::GET, handler)))
    }

    pub(crate) fn put<H: Handler<T, ApiState>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::PUT, path, within(TIMEOUT, on(MethodFilter::PUT, handler)))
    }

    pub(crate) fn post<H: Handler<T, ApiState>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::POST, path, within(TIMEOUT, on(MethodFilter::POST, handler)))
    }

    pub(crate) fn delete<H: Handler<T, ApiState>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::DELETE, path, within(TIMEOUT, on(MethodFilter::DELETE, handler)))
    }

    /// A `PUT` for which handlers may have to be asked whether they take their parameters.
    pub(crate) fn asking_put<H: Handler<T, ApiState>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::PUT, path, within(ASKING_TIMEOUT, on(MethodFilter::PUT, handler)))
    }

    /// The same of a `POST`.
    pub(crate) fn asking_post<H: Handler<T, ApiState>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::POST, path, within(ASKING_TIMEOUT, on(MethodFilter::POST, handler)))
    }

    /// A `PUT` of a large body, which may take its time.
    pub(crate) fn upload<H: Handler<T, ApiState>, T: 'static>(
        path: &'static str,
        handler: H,
        max_bytes: usize,
        timeout: Duration,
    ) -> Self {
        let route = on(MethodFilter::PUT, handler).layer(DefaultBodyLimit::max(max_bytes));
        Self::new(Method::PUT, path, within(timeout, route))
    }

    fn new(method: Method, path: &'static str, route: MethodRouter<ApiState>) -> Self {
        Self { method, path, route }
    }
}

fn within(timeout: Duration, route: MethodRouter<ApiState>) -> MethodRouter<ApiState> {
    route.layer(from_fn_with_state(timeout, limits::timed))
}
