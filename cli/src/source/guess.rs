//! `floodgate source guess`.

use std::path::PathBuf;

use floodgate_schemes::guess::{Guess, Outcome, guess};
use floodgate_schemes::{Request, Step};
use serde::Serialize;

use super::files::{FileError, KeyArgs, RequestArgs};
use crate::exit::Failure;
use crate::output;
use crate::table::Table;

/// Arguments of `floodgate source guess`.
#[derive(clap::Args)]
pub(crate) struct GuessArgs {
    /// The file of the request: request line, headers, an empty line and the body, as they were sent or as
    /// `curl -v` shows them
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    #[command(flatten)]
    how: RequestArgs,
    #[command(flatten)]
    keys: KeyArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A guess for programs.
#[derive(Debug, Serialize)]
struct Json {
    scheme: &'static str,
    title: &'static str,
    documentation: &'static str,
    /// `verifies`, `handshake`, `refused`, or `fits` if there is no key to verify with.
    result: &'static str,
    step: Option<&'static str>,
    reason: Option<String>,
    key: Option<String>,
}

/// Prints the schemes that the request may be of, the most specific first.
pub(super) fn run(args: &GuessArgs) -> Result<(), Failure> {
    let guesses = look(args).map_err(Failure::usage)?;
    if args.json {
        output::print_json(&guesses.iter().map(Json::from).collect::<Vec<_>>())?;
    } else {
        output::print(&render(&guesses))?;
    }
    if guesses.is_empty() { Err(Failure::work("the request is of no scheme that is known")) } else { Ok(()) }
}

fn look(args: &GuessArgs) -> Result<Vec<Guess>, FileError> {
    let saved = args.how.read(&args.request)?;
    let (settings, secrets, published) =
        (args.keys.settings()?, args.keys.secrets()?, args.keys.published()?);
    let url = saved.url(args.how.url.as_deref());
    let request = Request {
        method: &saved.method,
        url: &url,
        headers: &saved.headers,
        body: &saved.body,
        now: args.how.now(),
        published: &published,
        client: None,
    };
    Ok(guess(&request, &settings, &secrets))
}

impl From<&Guess> for Json {
    fn from(guess: &Guess) -> Self {
        let preset = guess.preset;
        let (result, failure, key) = match &guess.outcome {
            Outcome::Verified(key) => ("verifies", None, Some(key.clone())),
            Outcome::Handshake => ("handshake", None, None),
            Outcome::Refused(failure) => ("refused", Some(failure), None),
            Outcome::NoKey(failure) => {
                ("fits", Some(failure).filter(|_| failure.step() < Step::Signature), None)
            }
        };
        Self {
            scheme: preset.name,
            title: preset.title,
            documentation: preset.documentation,
            result,
            step: failure.map(|failure| failure.step().as_str()),
            reason: failure.map(ToString::to_string),
            key,
        }
    }
}

fn render(guesses: &[Guess]) -> String {
    if guesses.is_empty() {
        return "none\n".to_owned();
    }
    let mut table = Table::new(["scheme", "provider", "result", "described at"]);
    for guess in guesses {
        let json = Json::from(guess);
        table.row([json.scheme, json.title, &result(&json), json.documentation]);
    }
    table.render()
}

fn result(json: &Json) -> String {
    let why = match (&json.step, &json.reason) {
        (Some(step), Some(reason)) => format!("{step}: {reason}"),
        _ => String::new(),
    };
    match (json.result, &json.key) {
        ("verifies", Some(key)) => format!("verifies, by the key {key}"),
        ("handshake", _) => "a handshake".to_owned(),
        ("fits", _) if why.is_empty() => "fits; no secret of its form was given".to_owned(),
        ("fits", _) => format!("fits, but {why}"),
        _ => format!("refused: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: GuessArgs,
    }

    /// What is guessed of GitHub's own example with these secrets.
    fn guessed(secrets: &[&str]) -> Vec<Guess> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let request = "POST /in/github HTTP/1.1\nx-github-event: push\nx-github-delivery: 1\nx-hub-signature-256: \
             sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17\n\nHello, World!";
        fs::write(path("request"), request).unwrap();
        let mut words = vec!["guess".to_owned(), "--request".to_owned(), path("request")];
        for (number, secret) in secrets.iter().enumerate() {
            fs::write(path(&number.to_string()), secret).unwrap();
            words.extend(["--secret-file".to_owned(), path(&number.to_string())]);
        }
        look(&Cli::try_parse_from(words).unwrap().args).unwrap()
    }

    fn first(guesses: &[Guess]) -> (&'static str, &'static str) {
        let json = Json::from(&guesses[0]);
        (json.scheme, json.result)
    }

    #[test]
    fn a_request_is_recognised_with_and_without_its_secret() {
        let without = guessed(&[]);
        assert_eq!(first(&without), ("github", "fits"));
        assert!(render(&without).contains("fits; no secret of its form was given"), "{}", render(&without));
        assert_eq!(first(&guessed(&["wr0ng"])), ("github", "refused"));
        let right = guessed(&["wr0ng", "It's a Secret to Everybody"]);
        assert_eq!(first(&right), ("github", "verifies"));
        let text = render(&right);
        assert!(text.contains("verifies, by the key ") && !text.contains("Everybody"), "{text}");
    }

    #[test]
    fn no_guess_is_no_success() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("request");
        fs::write(&path, "POST / HTTP/1.1\ncontent-type: text/plain\n\nhello").unwrap();
        let words = ["guess", "--json", "--request", path.to_str().unwrap()];
        assert!(matches!(run(&Cli::try_parse_from(words).unwrap().args), Err(Failure::Work(_))));
        fs::write(&path, "hello").unwrap();
        assert!(matches!(run(&Cli::try_parse_from(words).unwrap().args), Err(Failure::Usage(_))));
    }
}
