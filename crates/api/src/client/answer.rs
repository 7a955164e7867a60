//! An answer in the form in which it arrived.

use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ClientError;

/// An answer that the contract describes as a `T`, in the form in which it arrived. A later relay may say
/// more than a `T` holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent, bound = "")]
pub struct Answer<T> {
    json: Value,
    #[serde(skip)]
    contract: PhantomData<T>,
}

impl<T: DeserializeOwned> Answer<T> {
    /// The whole answer, including fields that this version does not know.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// Takes the whole answer out.
    pub fn into_json(self) -> Value {
        self.json
    }

    /// The part of the answer that this version knows.
    ///
    /// # Errors
    /// If the answer is not what the contract says.
    pub fn read(&self) -> Result<T, ClientError> {
        T::deserialize(&self.json).map_err(ClientError::Answer)
    }
}
