//! The `floodgate` command, as a user of it types it.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde::Deserialize;
use serde_json::Value;
use tokio::process::Command;

use floodgate_testkit::deployment::Ready;
use floodgate_testkit::failure::Context;
use floodgate_testkit::scene::Secrets;
use floodgate_testkit::{Failure, Result, programs};

/// What the demo applies.
const CONFIGURATION: &str = include_str!("../../../demo/floodgate.toml");

/// Runs `floodgate` against a deployment.
pub(crate) struct Tools {
    /// Secrets and tokens go by the environment, which other users cannot read, and not by
    /// arguments, which they can.
    environment: Vec<(&'static str, String)>,
}

/// What a push answers.
#[derive(Debug, Deserialize)]
pub(crate) struct Pushed {
    /// The handler's name.
    pub(crate) name: String,
    /// The version that was made.
    pub(crate) version: u32,
    /// The component's SHA-256.
    pub(crate) digest: String,
}

impl Tools {
    pub(crate) fn new(ready: &Ready, secrets: &Secrets) -> Self {
        let environment = vec![
            ("FLOODGATE_API", ready.admin.url.clone()),
            ("FLOODGATE_TOKEN", ready.admin.token.clone()),
            ("DEMO_GITHUB_SECRET", secrets.github.clone()),
            ("DEMO_STRIPE_SECRET", secrets.stripe.clone()),
            ("DEMO_ORDERS_SECRET", secrets.standard.clone()),
            ("DEMO_SHOP_SECRET", secrets.destination.clone()),
        ];
        Self { environment }
    }

    /// Builds a handler and runs its fixtures under the production engine; gives how many there are.
    /// The command fails if one of them does.
    pub(crate) async fn build_handler(&self, folder: &str) -> Result<usize> {
        self.run(&["handler", "build", folder]).await?;
        let said = self.run(&["handler", "test", folder, "--json"]).await?;
        let fixtures: Vec<Value> = serde_json::from_str(&said).during("reading what `handler test` said")?;
        Ok(fixtures.len())
    }

    pub(crate) async fn push_handler(&self, folder: &str, name: &str) -> Result<Pushed> {
        let said = self.run(&["handler", "push", folder, "--name", name, "--json"]).await?;
        serde_json::from_str(&said).during(format!("reading what `handler push` said: {said}"))
    }

    /// Applies the demo's configuration; the command returns once every region serves it.
    pub(crate) async fn apply(&self, consumer: &str, scratch: &Path) -> Result<()> {
        let file = scratch.join("floodgate.toml");
        fs::write(&file, CONFIGURATION.replace("\"CONSUMER_URL\"", &format!("\"{consumer}\"")))?;
        self.run(&["apply", "-f", &file.to_string_lossy()]).await?;
        Ok(())
    }

    async fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(programs::floodgate()?)
            .args(arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(programs::root())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(said);
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        let command = arguments.join(" ");
        Err(Failure::new(format!("`floodgate {command}` failed ({}):\n{said}{complaint}", output.status)))
    }
}
