//! The bearer token ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)).

use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use floodgate_event::{ProblemCode, Secret};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{ApiError, ApiState};

/// The hash of the token that requests must carry. Clones share it. All hashes have the same length, so
/// comparing them takes the same time whatever was sent.
#[derive(Clone)]
pub(crate) struct Token(Arc<RwLock<[u8; 32]>>);

impl Token {
    pub(crate) fn new(token: &Secret) -> Self {
        Self(Arc::new(RwLock::new(hash(token.expose()))))
    }

    /// Replaces the token. Returns true if it changed.
    pub(crate) fn replace(&self, token: &Secret) -> bool {
        let hash = hash(token.expose());
        let before = std::mem::replace(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner), hash);
        !bool::from(before.ct_eq(&hash))
    }

    fn is(&self, sent: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).ct_eq(&hash(sent)).into()
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Answers 401 unless the request carries the token.
pub(super) async fn require_token(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    if bearer(&request).is_some_and(|sent| state.token.is(sent)) {
        return next.run(request).await;
    }
    let detail = "send `Authorization: Bearer` with the admin token";
    let mut refused = ApiError::new(ProblemCode::Unauthorized, detail).into_response();
    refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    refused
}

fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_passes() {
        let token = Token::new(&Secret::new("s3cret"));
        assert!(token.is("s3cret"));
        for other in ["", "s3cre", "s3cret ", "S3cret"] {
            assert!(!token.is(other), "{other:?}");
        }
        let shared = token.clone();
        assert!(shared.replace(&Secret::new("n3w")) && !shared.replace(&Secret::new("n3w")));
        assert!(token.is("n3w") && !token.is("s3cret"));
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        let request =
            |value: &str| Request::builder().header(AUTHORIZATION, value).body(Default::default()).unwrap();
        assert_eq!(bearer(&request("bearer x")), Some("x"));
        assert_eq!(bearer(&request("Basic x")), None);
        assert_eq!(bearer(&request("x")), None);
    }
}
