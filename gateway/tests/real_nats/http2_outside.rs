//! HTTP/2 as frames, right and wrong ones, by a client that shares no code with the gateway.

use std::path::Path;
use std::time::Duration;

use floodgate_testkit::programs;
use serde::Deserialize;
use tokio::process::Command;

use crate::tls;

/// How long all cases may take, of which each is decided within milliseconds.
const LIMIT: Duration = Duration::from_secs(300);

/// What `http2_conformance.py` prints.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Judgement {
    cases: usize,
    differing: usize,
    failures: Vec<String>,
}

/// Judges the port, unless the Python packages are missing.
async fn judge(port: u16, authority: &Path) -> Result<Judgement, String> {
    let python = programs::python().map_err(|missing| missing.to_string())?;
    let found = Command::new(&python).args(["-c", "import hpack, hyperframe"]).output().await.unwrap();
    if !found.status.success() {
        return Err("no Python with hpack and hyperframe: run `make setup`".to_owned());
    }
    let mut judging = Command::new(python);
    judging
        .arg(programs::root().join("tests/python/http2_conformance.py"))
        .args(["--port", &port.to_string(), "--authority"])
        .arg(authority)
        .kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, judging.output()).await.expect("it ends in time").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_get_what_the_rfc_asks_for() {
    let (files, authority) = tls::Files::new();
    let region = files.region().await;
    let mut sender = tls::http2(region.address, &authority).await;

    let judgement = match judge(region.address.port(), &files.certificate()).await {
        Ok(judgement) => judgement,
        Err(missing) => return println!("SKIPPED: frames_get_what_the_rfc_asks_for: {missing}"),
    };
    for failure in &judgement.failures {
        println!("{failure}");
    }
    println!("{} cases, {} of them known differences", judgement.cases, judgement.differing);
    assert!(judgement.failures.is_empty(), "{} cases went otherwise", judgement.failures.len());
    assert!(judgement.cases > judgement.differing);
    // No flood has disturbed those who were there before.
    tls::until_accepted(&mut sender).await;
    region.stop().await.unwrap();
}
