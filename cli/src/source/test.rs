//! `floodgate source test`.

use std::path::{Path, PathBuf};

use floodgate_api::document::VerifyDocument;
use floodgate_event::scheme::Settings;
use floodgate_schemes::{InvalidSettings, Preset, Scheme, presets};

use super::explain::{Case, explain};
use super::files::{self, KeyArgs, RequestArgs};
use super::vectors;
use crate::exit::Failure;
use crate::output;

/// Arguments of `floodgate source test`.
#[derive(clap::Args)]
pub(crate) struct TestArgs {
    /// Verify each request of a file of test vectors, and print a line of JSON for each
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "scheme", "request", "tolerance", "json", "body", "url", "at", "secret_file", "settings", "published"
        ]
    )]
    vectors: Option<PathBuf>,
    /// Exit with status 1 if a vector is not what the file expects of it
    #[arg(long, requires = "vectors", conflicts_with_all = ["scheme", "request"])]
    check: bool,
    /// The scheme, as in `verify.scheme` of a source
    #[arg(long, value_name = "NAME", required_unless_present = "vectors")]
    scheme: Option<String>,
    /// The file of the request: request line, headers, an empty line and the body, as they were sent or as
    /// `curl -v` shows them
    #[arg(long, value_name = "FILE", required_unless_present = "vectors")]
    request: Option<PathBuf>,
    #[command(flatten)]
    how: RequestArgs,
    #[command(flatten)]
    keys: KeyArgs,
    /// How far a signed time may be from now, as `verify.tolerance_seconds`; as the scheme says if left out
    #[arg(long, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=VerifyDocument::MAX_TOLERANCE_SECONDS))]
    tolerance: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Verifies what was asked for.
pub(super) fn run(args: &TestArgs) -> Result<(), Failure> {
    match (&args.vectors, &args.scheme, &args.request) {
        (Some(path), _, _) => vectors::run(path, args.check),
        (None, Some(scheme), Some(request)) => one(args, scheme, request),
        // The command line asks for both.
        (None, _, _) => Err(Failure::usage("expected `--vectors`, or `--scheme` and `--request`")),
    }
}

fn one(args: &TestArgs, scheme: &str, request: &Path) -> Result<(), Failure> {
    let preset = preset(scheme)?;
    let mut settings = args.keys.settings().map_err(Failure::usage)?;
    args.set(preset, &mut settings)?;
    let secrets = args.keys.secrets().map_err(Failure::usage)?;
    let secrets = files::place(preset, secrets, &mut settings);
    let scheme = Scheme::of(preset, &settings, secrets.clone())
        .map_err(|error| Failure::usage(unusable(preset, &settings, &error)))?;
    let saved = args.how.read(request).map_err(Failure::usage)?;
    let published = args.keys.published().map_err(Failure::usage)?;
    let url = saved.url(args.how.url.as_deref());
    let case = Case {
        scheme: &scheme,
        settings: &settings,
        secrets: &secrets,
        saved: &saved,
        url: &url,
        now: args.how.now(),
        published: &published,
    };
    let explanation = explain(&case);
    if args.json {
        output::print_json(&explanation.json())?;
    } else {
        output::print(&explanation.text())?;
    }
    explanation.refusal().map_or(Ok(()), |refusal| Err(Failure::work(refusal)))
}

impl TestArgs {
    /// Puts options into the settings.
    fn set(&self, preset: &Preset, settings: &mut Settings) -> Result<(), Failure> {
        if self.tolerance.is_some() && !preset.has_time(settings) {
            return Err(Failure::usage(format!(
                "scheme `{}` signs no time: leave out --tolerance",
                preset.name
            )));
        }
        settings.tolerance_seconds = self.tolerance;
        if let Some(url) = self.how.url.as_deref().filter(|_| preset.uses.contains(&"url")) {
            settings.url = url.split(['?', '#']).next().map(str::to_owned);
        }
        Ok(())
    }
}

fn preset(name: &str) -> Result<&'static Preset, Failure> {
    presets::find(name).ok_or_else(|| {
        let known: Vec<&str> = presets::all().iter().map(|preset| preset.name).collect();
        Failure::usage(format!("there is no scheme `{name}`: expected one of {}", known.join(", ")))
    })
}

/// Why the scheme can verify nothing, and which option says what it needs.
fn unusable(preset: &Preset, settings: &Settings, error: &InvalidSettings) -> String {
    let option = match &*error.place() {
        "secrets" => "--secret-file",
        "settings.url" => "--url",
        _ => "--settings",
    };
    let lines = preset.describe(settings);
    let key = lines.iter().find(|(heading, _)| *heading == "key" && option == "--secret-file");
    let key = key.map(|(_, text)| format!("; the key is {text}")).unwrap_or_default();
    format!("scheme `{}`: {error}: see {option}{key}", preset.name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;
    use floodgate_event::Secret;
    use floodgate_schemes::{NamedSecret, Unsigned};
    use http::HeaderMap;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: TestArgs,
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        /// Two secrets and a request that GitHub's documentation has as its example.
        fn new() -> Self {
            let folder = Self(tempfile::tempdir().unwrap());
            folder.write("secret", "It's a Secret to Everybody\n");
            folder.write("other", "another\n");
            folder.write(
                "request",
                "POST /in/github HTTP/1.1\nx-github-event: push\nx-hub-signature-256: \
                 sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17\n\nHello, World!",
            );
            folder
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.0.path().join(name), text).unwrap();
        }

        /// Options that begin with `@` are files of the folder.
        fn run(&self, line: &str) -> Result<(), Failure> {
            let word = |word: &str| match word.strip_prefix('@') {
                Some(file) => self.0.path().join(file).display().to_string(),
                None => word.to_owned(),
            };
            let words = std::iter::once("test".to_owned()).chain(line.split(' ').map(word));
            run(&Cli::try_parse_from(words).unwrap().args)
        }

        fn refused(&self, line: &str) -> String {
            match self.run(line) {
                Err(Failure::Work(error)) => error.to_string(),
                other => panic!("{other:?}"),
            }
        }

        fn misused(&self, line: &str) -> String {
            match self.run(line) {
                Err(Failure::Usage(error)) => error.to_string(),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_request_is_valid_or_refused() {
        let folder = Folder::new();
        folder.run("--scheme github --request @request --secret-file @other --secret-file @secret").unwrap();
        folder.run("--scheme github --request @request --secret-file @secret --json").unwrap();
        let refused = folder.refused("--scheme github --request @request --secret-file @other");
        assert!(refused.contains("signature: the signature or secret matches none"), "{refused}");
        folder.write("body", "Hello, World?");
        let line = "--scheme github --request @request --secret-file @secret --body @body --json";
        assert!(folder.refused(line).contains("signature: "));
    }

    #[test]
    fn what_cannot_be_verified_is_a_wrong_usage() {
        let folder = Folder::new();
        for (line, message) in [
            ("--scheme nothing --request @request", "expected one of"),
            (
                "--scheme github --request @request",
                "the source has none: see --secret-file; the key is the text",
            ),
            ("--scheme github --request @none --secret-file @secret", "No such file"),
            ("--scheme github --request @secret --secret-file @secret", "no request line"),
            ("--scheme github --request @request --secret-file @secret --tolerance 5", "signs no time"),
            ("--scheme square --request @request --secret-file @secret", "needs `url`"),
            ("--scheme standard --request @request --secret-file @secret", "`whsec_`"),
            ("--scheme github --request @request --secret-file @secret --settings @secret", "line 1"),
        ] {
            let said = folder.misused(line);
            assert!(said.contains(message), "{line}: {said}");
            assert!(!said.contains("Everybody"), "{said}");
        }
    }

    #[test]
    fn a_url_that_is_signed_is_the_one_given() {
        let (folder, url) = (Folder::new(), "https://shop.example/in/square".to_owned());
        let settings = Settings { url: Some(url.clone()), ..Settings::default() };
        let secrets =
            vec![NamedSecret { id: String::new(), secret: Secret::new("It's a Secret to Everybody") }];
        let scheme = Scheme::new("square", &settings, secrets).unwrap();
        let (headers, url) = (&HeaderMap::new(), &*format!("{url}?a=1"));
        let signed =
            scheme.sign(&Unsigned { method: "POST", url, headers, body: b"{}", id: "", now: 0 }).unwrap();
        let (name, value) = &signed.headers[0];
        let request =
            format!("POST /in/square?a=1 HTTP/1.1\nhost: proxy\n{name}: {}\n\n{{}}", value.to_str().unwrap());
        folder.write("request", &request);
        folder.write("settings", r#"{"url": "https://shop.example/in/square"}"#);
        let line = "--scheme square --request @request --secret-file @secret";
        folder.run(&format!("{line} --url https://shop.example/in/square")).unwrap();
        folder.run(&format!("{line} --url https://shop.example/in/square?a=1")).unwrap();
        folder.run(&format!("{line} --settings @settings")).unwrap();
        assert!(folder.refused(&format!("{line} --url https://shop.example/in")).contains("signature: "));
    }

    #[test]
    fn options_of_one_kind_do_not_go_with_those_of_the_other() {
        let parse = |line: &str| Cli::try_parse_from(std::iter::once("test").chain(line.split(' '))).is_ok();
        assert!(parse("--vectors f --check") && parse("--scheme s --request f --tolerance 300"));
        for line in [
            "--scheme s",
            "--request f",
            "--check",
            "--vectors f --scheme s",
            "--vectors f --json",
            "--vectors f --at 1",
            "--scheme s --request f --check",
            "--scheme s --request f --tolerance 0",
            "--scheme s --request f --tolerance 86401",
        ] {
            assert!(!parse(line), "{line}");
        }
    }
}
