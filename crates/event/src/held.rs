//! Requests that are held because their signature failed: their seal, their limits, and the messages by which
//! they are verified again.

use std::net::IpAddr;

use bytes::Bytes;
use prost::Message as _;

use crate::Digest256;
use crate::format::{self, DecodeError, VERSION, Versioned};
use crate::proto::held_verified::Result as Outcome;
use crate::proto::{HeldRequest, HeldVerified, SealedRequest, VerifyHeld};
use crate::seal::{OpeningKey, Owner, SealError, SealingKey};

/// The largest body of a request that is held, in bytes.
pub const MAX_BODY_BYTES: usize = 256 * 1024;
/// The most requests of an address and a size class that are held for a source: the limit of each subject in
/// a new stream. The server keeps it, also if several gateways hold requests at once.
pub const MAX_OF_ADDRESS: i64 = 1_000;
/// The largest message: a body with its headers, sealed.
pub const MAX_MESSAGE_BYTES: i32 = 2 * 1024 * 1024;
/// The bytes of a size class. From its subjects a gateway knows how many bytes the stream holds for whom.
pub const CLASS_BYTES: u64 = 8 * 1024;
/// The most requests that are held for a source.
pub const MAX_OF_SOURCE: u64 = 10_000;

/// Names an address in subjects, which cannot contain its dots and colons. Pass the result of
/// `floodgate_listen::network`: whoever has one IPv6 address has its whole /64.
pub fn address_token(network: IpAddr) -> String {
    Digest256::of(network.to_string().as_bytes()).to_string().chars().take(16).collect()
}

/// The size class of a message, which is its bytes in units of [`CLASS_BYTES`], rounded up.
pub fn size_class(bytes: usize) -> usize {
    bytes.div_ceil(CLASS_BYTES as usize).max(1)
}

/// Seals a request of a source for the gateways of a region.
///
/// # Errors
/// If the key is unusable.
pub fn seal(
    key: &SealingKey,
    (tenant, source): (&str, &str),
    request: &HeldRequest,
) -> Result<SealedRequest, SealError> {
    let sealed = key.seal_bytes(&request.encode_to_vec(), owner(tenant, source))?;
    Ok(SealedRequest {
        version: VERSION,
        tenant: tenant.to_owned(),
        source: source.to_owned(),
        key: key.id().to_string(),
        sealed: sealed.into(),
    })
}

/// Opens a held request.
///
/// # Errors
/// If it was sealed to another key, or altered, or does not say what it must.
pub fn open(key: &OpeningKey, sealed: &SealedRequest) -> Result<HeldRequest, OpenError> {
    let clear = key.open_bytes(&sealed.sealed, owner(&sealed.tenant, &sealed.source))?;
    Ok(format::decode(Bytes::from(clear))?)
}

/// Makes the request to verify a held request again.
pub fn verify(request: SealedRequest, dry_run: bool) -> VerifyHeld {
    VerifyHeld { version: VERSION, request: Some(request), dry_run }
}

/// Makes a gateway's answer to such a request.
pub fn answer(peer: String, outcome: Outcome) -> HeldVerified {
    HeldVerified { version: VERSION, peer, result: Some(outcome) }
}

fn owner<'a>(tenant: &'a str, source: &'a str) -> Owner<'a> {
    Owner { tenant, kind: "source", name: source, field: "held" }
}

/// Why a held request cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The seal does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// What was sealed cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl Versioned for SealedRequest {
    const NAME: &'static str = "sealed request";

    fn version(&self) -> u32 {
        self.version
    }

    fn check(&self) -> Result<(), DecodeError> {
        require::<Self>(!self.source.is_empty(), "source")?;
        require::<Self>(!self.sealed.is_empty(), "sealed")
    }
}

impl Versioned for HeldRequest {
    const NAME: &'static str = "held request";

    fn version(&self) -> u32 {
        self.version
    }

    fn check(&self) -> Result<(), DecodeError> {
        require::<Self>(!self.method.is_empty(), "method")?;
        require::<Self>(!self.target.is_empty(), "target")
    }
}

impl Versioned for VerifyHeld {
    const NAME: &'static str = "request to verify a held request";

    fn version(&self) -> u32 {
        self.version
    }

    fn check(&self) -> Result<(), DecodeError> {
        let request = self.request.as_ref();
        request.map_or_else(|| require::<Self>(false, "request"), SealedRequest::check)
    }
}

impl Versioned for HeldVerified {
    const NAME: &'static str = "answer about a held request";

    fn version(&self) -> u32 {
        self.version
    }

    fn check(&self) -> Result<(), DecodeError> {
        require::<Self>(self.result.is_some(), "result")
    }
}

fn require<T: Versioned>(holds: bool, field: &'static str) -> Result<(), DecodeError> {
    if holds { Ok(()) } else { Err(DecodeError::Field { format: T::NAME, field }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> HeldRequest {
        HeldRequest {
            version: VERSION,
            method: "POST".to_owned(),
            target: "/in/stripe".to_owned(),
            body: Bytes::from_static(b"{\"secret\": 1}\xff"),
            ..HeldRequest::default()
        }
    }

    #[test]
    fn only_the_region_opens_it_and_only_for_its_source() {
        let (key, other) = (OpeningKey::generate(), OpeningKey::generate());
        let sealed = seal(key.sealing_key(), ("default", "stripe"), &request()).unwrap();
        assert!(!sealed.encode_to_vec().windows(6).any(|part| part == b"secret"));
        assert_eq!(open(&key, &sealed).unwrap(), request());
        assert!(open(&other, &sealed).is_err());
        let moved = SealedRequest { source: "github".to_owned(), ..sealed };
        assert!(open(&key, &moved).is_err());
    }

    #[test]
    fn what_is_missing_is_named() {
        let read = |message: VerifyHeld| format::decode::<VerifyHeld>(&*message.encode_to_vec());
        let empty = read(verify(SealedRequest::default(), true)).unwrap_err();
        assert_eq!(empty.to_string(), "sealed request: source is missing or malformed");
        let nothing = HeldVerified { version: VERSION, ..HeldVerified::default() };
        assert!(format::decode::<HeldVerified>(&*nothing.encode_to_vec()).is_err());
    }
}
