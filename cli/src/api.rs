//! Where the relay's admin API is, and the right to use it.

mod local;

use std::env::{self, VarError};

pub(crate) use floodgate_api::client::{Client, ClientError};
use floodgate_event::Secret;
use floodgate_event::secret::Unfit;
use url::Url;

use self::local::LocalError;
use crate::exit::Failure;

/// The default address of the admin API.
const DEFAULT: &str = "http://127.0.0.1:8400";

/// Where the admin API is, and the right to use it.
#[derive(clap::Args)]
pub(crate) struct ApiArgs {
    /// The relay's admin API [env: FLOODGATE_API] [default: that of the `floodgate dev` that runs here, or
    /// http://127.0.0.1:8400]
    #[arg(long, value_name = "URL")]
    api: Option<Url>,
    /// The admin API's bearer token; other users of the machine can read arguments, so prefer the
    /// variable [env: FLOODGATE_TOKEN]
    ///
    /// Left out together with --api, both are taken from .floodgate/dev/ready.json
    /// in this folder or one above.
    #[arg(long, value_name = "TOKEN", value_parser = secret, allow_hyphen_values = true)]
    token: Option<Secret>,
}

// Read here and not by the parser, whose messages name every argument with a value as if it were required.
const API_VARIABLE: &str = "FLOODGATE_API";
const TOKEN_VARIABLE: &str = "FLOODGATE_TOKEN";

/// Returns a variable that is set and not empty.
fn variable(name: &'static str) -> Result<Option<String>, AccessError> {
    match env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(AccessError::Variable(name)),
    }
}

impl ApiArgs {
    /// Returns true if the arguments or the environment name the API or a token.
    pub(crate) fn is_given(&self) -> bool {
        let is_set = |name| env::var_os(name).is_some_and(|text| !text.is_empty());
        self.api.is_some() || self.token.is_some() || is_set(API_VARIABLE) || is_set(TOKEN_VARIABLE)
    }

    /// A client for the API that the arguments, the environment or this folder name.
    ///
    /// # Errors
    /// If there is no token, the URL cannot have a path, or TLS cannot be set up.
    pub(crate) fn client(self) -> Result<Client, AccessError> {
        let (base, token) = self.resolve()?;
        Ok(Client::new(base, token)?)
    }

    fn resolve(self) -> Result<(Url, Secret), AccessError> {
        let from_variable = |text: String| Url::parse(&text).map_err(|_| AccessError::Variable(API_VARIABLE));
        let api = match self.api {
            Some(api) => Some(api),
            None => variable(API_VARIABLE)?.map(from_variable).transpose()?,
        };
        let token = match self.token {
            Some(token) => Some(token),
            None => variable(TOKEN_VARIABLE)?.map(Secret::new),
        };
        Self { api, token }.locate()
    }

    /// Fills in what the environment says.
    fn locate(self) -> Result<(Url, Secret), AccessError> {
        match (self.api, self.token) {
            (api, Some(token)) => {
                let token = Secret::token_from_line(token.expose().into()).map_err(AccessError::Token)?;
                let default = || Url::parse(DEFAULT).map_err(|_| AccessError::NoToken);
                Ok((api.map_or_else(default, Ok)?, token))
            }
            (None, None) => local::find()?.ok_or(AccessError::NoToken),
            (Some(_), None) => Err(AccessError::NoToken),
        }
    }
}

/// Errors are reported later, because clap's own message would quote the token.
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// Why the admin API cannot be called.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    /// There is no token.
    #[error(
        "no token: set FLOODGATE_TOKEN, and FLOODGATE_API if it is not {DEFAULT}, or run this where `floodgate dev` runs"
    )]
    NoToken,
    /// The text cannot be a token.
    #[error("FLOODGATE_TOKEN or --token: {0}")]
    Token(Unfit),
    /// A variable of the environment has a wrong value.
    #[error("{0} is not what it should be: see --help")]
    Variable(&'static str),
    /// The deployment that runs here cannot be trusted to be this user's own.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The client cannot be made for the address.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Client(error) => error.into(),
            error => Self::usage(error),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        if error.is_usage() { Self::usage(error) } else { Self::work(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// clap would name an argument with a value from the environment in messages about other, missing ones.
    #[test]
    fn what_is_missing_is_named_and_nothing_else() {
        let command = <crate::Cli as clap::CommandFactory>::command();
        let args: Vec<_> = ["floodgate", "events", "list"].into();
        let error = command.clone().try_get_matches_from(args).unwrap_err().to_string();
        assert!(error.contains("--status <STATUS>") && !error.contains("--api"), "{error}");
        let of_subcommands = command.get_subcommands().flat_map(clap::Command::get_subcommands);
        for argument in of_subcommands.flat_map(clap::Command::get_arguments) {
            assert_eq!(argument.get_env(), None, "{argument}");
        }
    }

    /// As one in 64 tokens of `floodgate dev` does.
    #[test]
    fn a_token_may_begin_with_a_hyphen() {
        let command = <crate::Cli as clap::CommandFactory>::command();
        let matches = command.try_get_matches_from(["floodgate", "doctor", "--token", "-6a"]).unwrap();
        let (_, doctor) = matches.subcommand().unwrap();
        assert_eq!(doctor.get_one::<Secret>("token").unwrap().expose(), "-6a");
    }

    #[test]
    fn an_address_without_a_token_never_gets_that_of_another_deployment() {
        let args = ApiArgs { api: Some(Url::parse("https://floodgate.example").unwrap()), token: None };
        assert!(matches!(args.locate(), Err(AccessError::NoToken)));
        let args = ApiArgs { api: None, token: Some(Secret::new("t")) };
        assert_eq!(args.locate().unwrap().0.as_str(), "http://127.0.0.1:8400/");
    }

    #[test]
    fn a_token_loses_its_line_end_and_is_refused_with_anything_else() {
        let resolved = |token: &str| ApiArgs { api: None, token: Some(Secret::new(token)) }.locate();
        for token in ["t0ken", "t0ken\n", "t0ken\r\n"] {
            assert_eq!(resolved(token).unwrap().1.expose(), "t0ken", "{token:?}");
        }
        for token in
            ["", "\n", "t0ken ", "\tt0ken", "t0ken\u{a0}", "\u{feff}t0ken", "t0k\nen", "t0ken\0", "t0 ken"]
        {
            let refused = resolved(token).unwrap_err();
            assert!(matches!(refused, AccessError::Token(_)), "{token:?}");
            assert!(!refused.to_string().contains("t0"), "{refused}");
        }
    }
}
