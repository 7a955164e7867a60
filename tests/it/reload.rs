//! SIGHUP: gateway and relay read certificates and keys again, and go on whatever stands in them.
//! Without any NATS: a part that waits for its server, perhaps because of a password that is
//! out of date, must hear it too.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use floodgate_event::seal::OpeningKey;
use floodgate_testkit::{Result, programs, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const LIMIT: Duration = Duration::from_secs(60);

/// A part that runs, killed when dropped.
struct Part {
    child: Child,
    log: PathBuf,
}

impl Part {
    async fn start(command: &str, folder: &Path, config: &str) -> Result<Self> {
        let (file, log) = (folder.join(format!("{command}.toml")), folder.join(format!("{command}.log")));
        fs::write(&file, config)?;
        let child = Command::new(programs::floodgate()?)
            .args([command, "--config"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        Ok(Self { child, log })
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.child.id().try_into()?), signal)?)
    }

    /// Waits until so many lines of its log contain this, and gives the last one.
    async fn says(&mut self, count: usize, what: &str) -> Result<String> {
        wait::until(what, LIMIT, async || {
            let log = fs::read_to_string(&self.log)?;
            assert!(self.child.try_wait()?.is_none(), "it ended: {log}");
            let lines: Vec<_> = log.lines().filter(|line| line.contains(what)).collect();
            Ok((lines.len() >= count).then(|| lines[lines.len() - 1].to_owned()))
        })
        .await
    }

    async fn hangs_up(&mut self, count: usize, what: &str) -> Result<String> {
        self.signal(Signal::SIGHUP)?;
        self.says(count, what).await
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn certificate(folder: &Path) -> Result<()> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    fs::write(folder.join("gateway.pem"), made.cert.pem())?;
    Ok(fs::write(folder.join("gateway.key"), made.signing_key.serialize_pem())?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_reads_certificates_and_keys_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    certificate(folder.path())?;
    fs::write(file("region.key"), OpeningKey::generate().to_text().expose())?;
    fs::write(file("password"), "old")?;
    let config = "region = \"eu\"\nlisten = \"127.0.0.1:0\"\nmetrics_listen = \"127.0.0.1:0\"\n\
        opening_key_file = \"region.key\"\n[drain]\ngrace_seconds = 0\n\
        [tls]\ncertificate_file = \"gateway.pem\"\nkey_file = \"gateway.key\"\n\
        [nats]\nurl = \"nats://127.0.0.1:9\"\nuser = \"gateway\"\npassword_file = \"password\"\n";
    let mut gateway = Part::start("gateway", folder.path(), config).await?;
    gateway.says(1, "gateway started").await?;

    let said = gateway.hangs_up(1, "reloaded certificates and keys").await?;
    assert!(
        said.contains("\"certificate_changed\":false") && said.contains("\"nats_changed\":false"),
        "{said}"
    );
    certificate(folder.path())?;
    fs::write(file("password"), "new")?;
    let said = gateway.hangs_up(2, "reloaded certificates and keys").await?;
    assert!(
        said.contains("\"certificate_changed\":true") && said.contains("\"nats_changed\":true"),
        "{said}"
    );

    fs::write(file("region.key"), "no key")?;
    certificate(folder.path())?;
    let said = gateway.hangs_up(1, "nothing reloaded").await?;
    assert!(said.contains("region.key") && !said.contains("no key"), "names the file alone: {said}");
    fs::write(file("gateway.toml"), config.replace("[tls]", "[tsl]"))?;
    gateway.hangs_up(2, "nothing reloaded").await?;
    gateway.signal(Signal::SIGTERM)?;
    let ended = wait::until("it ends", LIMIT, async || Ok(gateway.child.try_wait()?)).await?;
    assert!(ended.success(), "{ended}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_reads_its_token_and_keys_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    let region = || OpeningKey::generate().sealing_key().to_string();
    let centre = OpeningKey::generate().to_text();
    fs::write(file("centre.key"), centre.expose())?;
    fs::write(file("eu.pub"), region())?;
    fs::write(file("token"), "0123456789abcdef")?;
    let config = "relay = \"relay-1\"\nstate_dir = \"state\"\nopening_key_file = \"centre.key\"\n\
        metrics_listen = \"127.0.0.1:0\"\nnats = { url = \"nats://127.0.0.1:9\" }\n\
        [admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"token\"\n\
        [[regions]]\nname = \"eu\"\nsealing_key_file = \"eu.pub\"\nnats = { url = \"nats://127.0.0.1:9\" }\n";
    let mut relay = Part::start("relay", folder.path(), config).await?;
    relay.says(1, "cannot provision the centre yet").await?;

    let said = relay.hangs_up(1, "reloaded keys and credentials").await?;
    assert!(
        said.contains("\"token_changed\":false") && said.contains("\"region_keys_changed\":false"),
        "{said}"
    );
    fs::write(file("token"), "fedcba9876543210")?;
    fs::write(file("eu.pub"), region())?;
    let said = relay.hangs_up(2, "reloaded keys and credentials").await?;
    assert!(
        said.contains("\"token_changed\":true") && said.contains("\"region_keys_changed\":true"),
        "{said}"
    );

    fs::write(file("token"), "0123456789abcdef")?;
    fs::write(file("eu.pub"), "no key")?;
    let said = relay.hangs_up(1, "nothing reloaded").await?;
    assert!(said.contains("eu.pub"), "{said}");
    fs::write(file("eu.pub"), region())?;
    fs::write(file("centre.key"), OpeningKey::generate().to_text().expose())?;
    let said = relay.hangs_up(2, "nothing reloaded").await?;
    assert!(said.contains("opening_key_file"), "{said}");
    fs::write(file("centre.key"), centre.expose())?;
    let said = relay.hangs_up(3, "reloaded keys and credentials").await?;
    assert!(said.contains("\"token_changed\":true"), "the token before stayed in force: {said}");
    Ok(())
}
