//! Why a request or a source is refused. No message contains a secret, or the signature that would have been
//! right.

use std::borrow::Cow;

/// Why a request does not verify. Only the operator sees this. The sender learns no more than that the
/// request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A header, or a field of the body, is missing.
    #[error("no {0}")]
    Missing(Cow<'static, str>),
    /// A header or field occurs more than once, or does not have the form that the scheme asks for.
    #[error("{name}: expected {expected}")]
    Malformed {
        /// The header or field.
        name: Cow<'static, str>,
        /// What belongs there.
        expected: Cow<'static, str>,
    },
    /// The signed time is too far from now.
    #[error(
        "the signed time is {} s in the {}, and {tolerance} s are allowed",
        seconds.unsigned_abs(),
        if *seconds < 0 { "past" } else { "future" }
    )]
    Stale {
        /// Negative if the time is in the past.
        seconds: i64,
        /// What the source allows.
        tolerance: u64,
    },
    /// No key made this signature, or no secret is the one in the request.
    #[error("the signature or secret matches none of the keys ({keys} tried)")]
    NoMatch {
        /// How many keys were tried.
        keys: usize,
    },
    /// The request names a key that the gateway has not fetched (yet).
    #[error("the key at {0} is not known")]
    UnknownKey(String),
    /// The address does not publish a key that can verify this request.
    #[error("the key at {url} cannot be used: {why}")]
    UnusableKey {
        /// The address of the key.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No authority of the source vouches for the certificate of the TLS client.
    #[error("the client's certificate cannot be used: {0}")]
    ClientCertificate(&'static str),
    /// The request names an address where its provider does not publish keys.
    #[error("{0} is not an address where this provider publishes keys")]
    ForeignKey(String),
    /// The signature is right, but the signed digest is that of another body.
    #[error("the body is not the one whose digest is signed")]
    OtherBody,
    /// The request is genuine, but not meant for this source; or its sender is not in the source's networks.
    #[error("this source does not accept {what}")]
    NotAllowed {
        /// The value that the source does not list.
        what: String,
    },
}

/// The steps of a verification, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The request has all headers and fields that the scheme needs, and they are well formed.
    Form,
    /// The signed time is within the tolerance.
    Time,
    /// The key is known, and it is the provider's.
    Key,
    /// One of the keys made the signature.
    Signature,
    /// The request is meant for this source.
    Audience,
}

impl Step {
    /// The name in metrics, logs and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Time => "time",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Audience => "audience",
        }
    }
}

impl Failure {
    pub(crate) fn missing(name: impl Into<Cow<'static, str>>) -> Self {
        Self::Missing(name.into())
    }

    pub(crate) fn malformed(
        name: impl Into<Cow<'static, str>>,
        expected: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::Malformed { name: name.into(), expected: expected.into() }
    }

    /// The value of the label `reason` in metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Missing(_) => "header_missing",
            Self::Malformed { .. } => "header_malformed",
            Self::Stale { .. } => "stale",
            Self::NoMatch { .. } => "no_match",
            Self::UnknownKey(_) => "unknown_key",
            Self::UnusableKey { .. } => "unusable_key",
            Self::ClientCertificate(_) => "client_certificate",
            Self::OtherBody => "other_body",
            Self::ForeignKey(_) => "foreign_key",
            Self::NotAllowed { .. } => "not_allowed",
        }
    }

    /// Returns the step that failed.
    pub const fn step(&self) -> Step {
        match self {
            Self::Missing(_) | Self::Malformed { .. } => Step::Form,
            Self::Stale { .. } => Step::Time,
            Self::UnknownKey(_)
            | Self::UnusableKey { .. }
            | Self::ClientCertificate(_)
            | Self::ForeignKey(_) => Step::Key,
            Self::NoMatch { .. } | Self::OtherBody => Step::Signature,
            Self::NotAllowed { .. } => Step::Audience,
        }
    }
}

/// Why a source cannot verify requests with its settings and keys. No message contains a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// No preset has this name.
    #[error("there is no scheme `{0}`")]
    UnknownScheme(String),
    /// The source lacks a setting that the scheme needs.
    #[error("the scheme needs `{setting}`: {why}")]
    Needs {
        /// The name of the setting, as in `verify.settings`.
        setting: &'static str,
        /// What the scheme needs it for.
        why: &'static str,
    },
    /// The source has a setting that the scheme does not use.
    #[error("the scheme does not use `{0}`")]
    Unused(String),
    /// A setting has a value that the scheme cannot use.
    #[error("`{setting}`: {why}")]
    Setting {
        /// The name of the setting, as in `verify.settings`.
        setting: &'static str,
        /// What is wrong, and what is allowed.
        why: String,
    },
    /// The source has no key at all, so no request could verify.
    #[error("the scheme needs a key, and the source has none")]
    NoKey,
    /// A secret is empty or only white space, so anyone could sign.
    #[error("a secret is empty, or only white space")]
    EmptySecret,
    /// A key does not have the form that the scheme asks for.
    #[error("expected {0}")]
    Key(&'static str),
}

impl InvalidSettings {
    /// Returns the path of the field that is wrong, below the `verify` of a source.
    pub fn place(&self) -> String {
        match self {
            Self::UnknownScheme(_) => "scheme".to_owned(),
            Self::NoKey | Self::EmptySecret | Self::Key(_) => "secrets".to_owned(),
            Self::Unused(name) if name == "secrets" => "secrets".to_owned(),
            Self::Unused(name) => format!("settings.{name}"),
            Self::Needs { setting, .. } | Self::Setting { setting, .. } => format!("settings.{setting}"),
        }
    }
}
