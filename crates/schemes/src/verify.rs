//! What every scheme can do.

use floodgate_event::source::Locator;
use http::HeaderMap;

use crate::{Failure, Fetch, Request, Signed, Unsigned};

/// A scheme with the keys of a source.
pub trait Verify: Send + Sync {
    /// Checks that the request has every header that the scheme needs, before its body is read.
    ///
    /// # Errors
    /// If a header is missing, or cannot be read.
    fn require(&self, headers: &HeaderMap) -> Result<(), Failure>;

    /// Verifies a request. Returns the id of the key that signed it.
    ///
    /// # Errors
    /// If a step of the verification fails. The error is for the operator alone.
    fn verify(&self, request: &Request<'_>) -> Result<&str, Failure>;

    /// Returns true if the signature covers the value at this place. Whoever captured one request can change
    /// a value that is not covered, so such a value must not decide what is a duplicate.
    fn covers(&self, locator: &Locator) -> bool;

    /// Returns the header that carries the secret in clear, for a scheme whose settings name it.
    fn secret_header(&self) -> Option<&str> {
        None
    }

    /// Returns what decides whether two requests are the same event, for schemes under which several bodies
    /// have the same signature: what is signed, in one form. Returns `None` if the bytes of the body decide.
    fn content(&self, _request: &Request<'_>) -> Option<Vec<u8>> {
        None
    }

    /// Returns the addresses whose keys can be fetched before any request needs them.
    fn publishers(&self) -> Vec<&str> {
        vec![]
    }

    /// Returns true if this can be what an address of [`Self::fetch`] publishes, and not a page of errors.
    fn is_key(&self, _bytes: &[u8]) -> bool {
        true
    }

    /// Returns the request that gets what this address publishes, or `None` if the provider does not publish
    /// keys there.
    fn fetch(&self, _address: &str) -> Option<Fetch> {
        None
    }

    /// Signs as the provider would. Returns `None` if the keys of the scheme only verify.
    fn sign(&self, _message: &Unsigned<'_>) -> Option<Signed> {
        None
    }
}
