//! Unknown keys, in files and in JSON; secrets with something in them that cannot be seen.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use floodgate_testkit::scene::source;
use floodgate_testkit::{Result, Scene, programs};
use reqwest::Method;
use serde_json::json;

/// Of the `floodgate` command: the work failed.
const FAILED: i32 = 1;
/// Of the `floodgate` command: wrong usage or configuration.
const WRONG_USAGE: i32 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_in_json_are_refused_by_name() -> Result<()> {
    Scene::play(async |scene| {
        let mut document = source("github", "secret");
        document["verify"]["tolerence_seconds"] = json!(5);
        let reply = scene.admin.request(Method::PUT, "/v1/sources/github", Some(&document)).await?;
        assert!(reply.status.is_client_error(), "{reply:?}");
        assert!(reply.body.to_string().contains("tolerence_seconds"), "{reply:?}");
        assert!(
            reply.body["status"].is_u64() && reply.body["title"].is_string(),
            "a problem document: {reply:?}"
        );

        let document =
            json!({"url": "https://example.com", "secrets": [scene.secrets.destination], "colour": "red"});
        let reply = scene.admin.request(Method::PUT, "/v1/destinations/other", Some(&document)).await?;
        assert!(reply.status.is_client_error() && reply.body.to_string().contains("colour"), "{reply:?}");
        Ok(())
    })
    .await
}

#[test]
fn unknown_keys_in_files_are_refused_by_name_and_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (command, file) in [("gateway", "gateway.toml"), ("relay", "relay.toml")] {
        let path = folder.path().join(file);
        fs::write(&path, "colour = \"red\"\n")?;
        let output = run(&[command, "--config"], &path)?;
        refused(&output, file);
    }
    let path = folder.path().join("floodgate.toml");
    fs::write(
        &path,
        "[sources.github]\ncolour = \"red\"\nverify = { scheme = \"github\", secrets = [\"s\"] }\n",
    )?;
    // Nobody listens there: the file is refused before anyone is asked.
    let output = run(&["apply", "--api", "http://127.0.0.1:9", "-f"], &path)?;
    refused(&output, "floodgate.toml");
    Ok(())
}

#[test]
fn a_file_that_names_nothing_prunes_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("floodgate.toml");
    fs::write(&path, "# cut off\n")?;
    let output = run(&["apply", "--prune", "--api", "http://127.0.0.1:9", "-f"], &path)?;
    assert_eq!(output.status.code(), Some(WRONG_USAGE));
    let says = String::from_utf8_lossy(&output.stderr);
    assert!(says.contains("floodgate.toml names nothing, and --prune would delete every source"), "{says}");
    Ok(())
}

#[test]
fn a_secret_loses_its_line_end_and_is_refused_with_anything_else_unseen() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("floodgate.toml");
    fs::write(
        &path,
        "[sources.a]\nverify = { scheme = \"github\", secrets = [{ env = \"A_SECRET\" }, { file = \"a.secret\" }] }\n",
    )?;
    // Nobody listens there: what is refused is refused before anyone is asked.
    let apply = |secret: &str, file: &str, token: &str| -> Result<Output> {
        fs::write(folder.path().join("a.secret"), file)?;
        let mut command = Command::new(programs::floodgate()?);
        command.args(["apply", "--api", "http://127.0.0.1:9", "-f"]).arg(&path);
        Ok(command.env("A_SECRET", secret).env("FLOODGATE_TOKEN", token).output()?)
    };
    let output = apply("s3cret\n", "0ther\r\n", "t0ken\n")?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(FAILED), "the API was asked: {said}");
    for (secret, file, token, names) in [
        ("s3cret \n", "0ther", "t0ken", ["`A_SECRET`", "a space (U+0020)"]),
        ("s3cret", "0ther\t", "t0ken", ["a.secret", "a tab (U+0009)"]),
        ("s3cret", "\u{feff}0ther", "t0ken", ["a.secret", "a byte order mark (U+FEFF)"]),
        ("\n", "0ther", "t0ken", ["`A_SECRET`", "is empty"]),
        ("s3cret", "0ther", "t0ken\u{a0}", ["FLOODGATE_TOKEN", "a no-break space (U+00A0)"]),
        // As if it were not set.
        ("s3cret", "0ther", "", ["FLOODGATE_TOKEN", "no token"]),
    ] {
        let output = apply(secret, file, token)?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(WRONG_USAGE), "{said}");
        assert!(names.iter().all(|name| said.contains(name)), "{names:?}: {said}");
        assert!(!["s3cret", "0ther", "t0ken"].iter().any(|secret| said.contains(secret)), "{said}");
    }
    Ok(())
}

fn run(arguments: &[&str], file: &Path) -> Result<Output> {
    let mut command = Command::new(programs::floodgate()?);
    Ok(command.args(arguments).arg(file).env("FLOODGATE_TOKEN", "none").output()?)
}

fn refused(output: &Output, file: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(WRONG_USAGE), "{said}");
    assert!(said.contains("colour") && said.contains(file), "names the key and the file: {said}");
}
