//! What programs from outside find at the port of senders: `testssl.sh` and `slowhttptest`. `make setup`
//! fetches both from Debian. Where one is missing its test is skipped.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use floodgate_testkit::{Failure, Result, Scene, process, programs};
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

/// For all checks of TLS, of which some are slow on purpose.
const TLS_LIMIT: Duration = Duration::from_secs(540);
/// How long each kind of slow connections is held, in seconds.
const SLOW_SECONDS: &str = "20";
const SLOW_LIMIT: Duration = Duration::from_secs(90);
const CONNECTIONS: &str = "1000";
/// Between two honest events.
const PAUSE: Duration = Duration::from_millis(250);

/// What testssl.sh says of the certificate and of the headers of answers, which are not the port's: the
/// certificate is a test's, and webhooks have no browsers.
const NOT_OURS: [&str; 4] = ["cert_", "DNS_CAArecord", "HSTS", "security_headers"];

/// The severities of what is wrong. `WARN` is what testssl.sh itself cannot do on this machine.
const WRONG: [&str; 5] = ["LOW", "MEDIUM", "HIGH", "CRITICAL", "FATAL"];

/// A finding of testssl.sh.
#[derive(Debug, Deserialize)]
struct Finding {
    id: String,
    severity: String,
    finding: String,
}

fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn testssl_finds_nothing_wrong_with_tls() -> Result<()> {
    let Some(program) = programs::find("testssl").or_else(|| programs::find("testssl.sh")) else {
        println!("SKIPPED: testssl_finds_nothing_wrong_with_tls: no testssl.sh, see make setup");
        return Ok(());
    };
    Scene::play(async |scene| {
        let ready = scene.deployment.ready()?;
        let region = &ready.regions["eu"];
        let report = scene.deployment.scratch().join("testssl.json");
        let port = region.url.rsplit(':').next().unwrap_or_default();
        let mut command = quiet(&program);
        let data = programs::debian().join("etc/testssl");
        if data.is_dir() {
            command.env("TESTSSL_INSTALL_DIR", data);
        }
        command.args([
            "--quiet",
            "--warnings",
            "batch",
            "--nodns",
            "none",
            "--ip",
            "127.0.0.1",
            "--assume-http",
        ]);
        command.arg("--jsonfile").arg(&report).arg(format!("localhost:{port}"));
        // Its exit status counts findings, of which some are not ours.
        timeout(TLS_LIMIT, command.status()).await??;
        let findings: Vec<Finding> = serde_json::from_slice(&std::fs::read(&report)?)?;
        if let Some(problem) = findings.iter().find(|finding| finding.id == "scanProblem") {
            println!("SKIPPED: testssl_finds_nothing_wrong_with_tls: {}", problem.finding);
            return Ok(());
        }
        let ours: Vec<&Finding> = findings
            .iter()
            .filter(|finding| !NOT_OURS.iter().any(|begin| finding.id.starts_with(begin)))
            .collect();
        let good = ours.iter().filter(|finding| finding.severity == "OK").count();
        let bad: Vec<_> = ours.iter().filter(|finding| WRONG.contains(&finding.severity.as_str())).collect();
        println!("{} findings, {good} of them good", ours.len());
        assert!(bad.is_empty(), "{bad:#?}");
        // So that a program that could not connect finds nothing in vain.
        for (id, severity) in [("TLS1", "INFO"), ("TLS1_2", "OK"), ("TLS1_3", "OK"), ("heartbleed", "OK")] {
            let found = findings.iter().find(|finding| finding.id == id);
            assert_eq!(found.map(|found| found.severity.as_str()), Some(severity), "{id}");
        }
        Ok(())
    })
    .await
}

/// The ways in which slowhttptest is slow: heads, bodies, and answers that are read slowly.
const WAYS: [(&str, &[&str]); 3] = [
    ("slow heads", &["-H", "-i", "2", "-t", "POST"]),
    ("slow bodies", &["-B", "-i", "2", "-s", "8192", "-t", "POST", "-x", "10"]),
    ("slow reading", &["-X", "-w", "64", "-y", "128", "-n", "2", "-z", "32", "-k", "3"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn slowhttptest_keeps_no_honest_event_out() -> Result<()> {
    let Some(program) = programs::find("slowhttptest") else {
        println!("SKIPPED: slowhttptest_keeps_no_honest_event_out: no slowhttptest, see make setup");
        return Ok(());
    };
    process::raise_open_files()?;
    Scene::play(async |scene| {
        let url = format!("{}/in/standard", scene.deployment.ready()?.regions["eu"].url);
        let gateway = scene.deployment.process("gateway-eu")?;
        let mut number = 0;
        for (name, way) in WAYS {
            let log = scene.deployment.scratch().join(format!("{}.log", name.replace(' ', "-")));
            let attack = attack(&program, &log, way, &url)?;
            tokio::pin!(attack);
            let mut accepted = 0;
            loop {
                tokio::select! {
                    ended = &mut attack => {
                        ended?;
                        break;
                    }
                    () = sleep(PAUSE) => {
                        number += 1;
                        let honest = scene.standard(&format!("msg_{number}"), r#"{"type": "honest"}"#)?;
                        let answer = scene.sender.post("eu", &honest).await?;
                        answer.accepted().map_err(|failure| failure.during(format!("{name}, event {number}")))?;
                        accepted += 1;
                    }
                }
            }
            assert!(accepted > 0, "{name}: it ended at once");
            println!("{name}: {accepted} events were accepted meanwhile; {}", last_line(&log)?);
        }
        assert_eq!(scene.deployment.process("gateway-eu")?, gateway, "it never fell");
        assert_eq!(scene.balanced_books().await?.events.stored, number);
        Ok(())
    })
    .await
}

/// Runs the program to its end.
fn attack(
    program: &Path,
    log: &PathBuf,
    way: &[&str],
    url: &str,
) -> Result<impl Future<Output = Result<()>> + use<>> {
    let mut command = quiet(program);
    command.args(way).args(["-c", CONNECTIONS, "-r", "200", "-l", SLOW_SECONDS, "-p", "3", "-u", url]);
    command.stdout(std::fs::File::create(log)?);
    Ok(async move {
        let status = timeout(SLOW_LIMIT, command.status()).await??;
        // It says by its status that the service was away, which honest events say better.
        status
            .code()
            .map(drop)
            .ok_or_else(|| Failure::new(format!("slowhttptest ended by a signal: {status}")))
    })
}

/// How the program itself says that it ended.
fn last_line(log: &Path) -> Result<String> {
    let text = String::from_utf8_lossy(&std::fs::read(log)?).into_owned();
    let line = text.lines().rev().find(|line| line.contains("Exit status"));
    Ok(line.unwrap_or("it said nothing of its end").trim().to_owned())
}
