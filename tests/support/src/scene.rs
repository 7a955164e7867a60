//! The scene of most tests: a deployment with a source of each scheme, a consumer that gets everything, and a
//! sender.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::admin::Books;
use crate::load::Plan;
use crate::sign::{self, Signed};
use crate::{Admin, Consumer, Deployment, Failure, Result, Sender};

/// Until everything sent has arrived, after the last fault.
pub const ARRIVAL_LIMIT: Duration = Duration::from_secs(120);

/// Everything a test holds.
pub struct Scene {
    /// The processes.
    pub deployment: Deployment,
    /// The admin API.
    pub admin: Admin,
    /// The provider.
    pub sender: Sender,
    /// The consumer, destination `consumer`.
    pub consumer: Consumer,
    /// Secrets of the sources `github`, `stripe` and `standard` and of the destination.
    pub secrets: Secrets,
}

/// Secrets, new in each scene.
pub struct Secrets {
    /// Of the source `github`.
    pub github: String,
    /// Of the source `stripe`.
    pub stripe: String,
    /// Of the source `standard`.
    pub standard: String,
    /// Of the destination `consumer`.
    pub destination: String,
}

impl Secrets {
    /// New ones.
    pub fn generate() -> Self {
        Self {
            github: sign::new_text_secret(),
            stripe: format!("whsec_{}", sign::new_text_secret()),
            standard: sign::new_standard_secret(),
            destination: sign::new_standard_secret(),
        }
    }
}

impl Scene {
    /// Sets the scene, runs a test in it, and prints the logs' ends if the test fails.
    /// A test that finds something missing on this machine is skipped from there on, which is said aloud.
    ///
    /// # Errors
    /// The test's, or that the scene could not be set.
    pub async fn play(test: impl AsyncFnOnce(&Self) -> Result<()>) -> Result<()> {
        Self::play_sharded(1, test).await
    }

    /// The same with this many shards.
    ///
    /// # Errors
    /// As [`Self::play`].
    pub async fn play_sharded(shards: u32, test: impl AsyncFnOnce(&Self) -> Result<()>) -> Result<()> {
        let scene = Self::set(shards).await?;
        match test(&scene).await {
            Err(failure) if failure.is_missing() => {
                eprintln!("SKIPPED: what is left of this test: {failure}");
                Ok(())
            }
            Err(failure) => {
                scene.deployment.print_logs();
                Err(failure)
            }
            Ok(()) => Ok(()),
        }
    }

    async fn set(shards: u32) -> Result<Self> {
        let deployment = Deployment::start_with(&["--shards", &shards.to_string()]).await?;
        let ready = deployment.ready()?;
        let scene = Self {
            admin: Admin::new(&ready)?,
            sender: Sender::new(&ready)?,
            consumer: Consumer::start().await?,
            secrets: Secrets::generate(),
            deployment,
        };
        if let Err(failure) = scene.configure().await {
            scene.deployment.print_logs();
            return Err(failure.during("configuring the scene"));
        }
        Ok(scene)
    }

    /// Gives all secrets again.
    ///
    /// # Errors
    /// If that is refused.
    pub async fn reconfigure(&self) -> Result<()> {
        self.configure().await
    }

    async fn configure(&self) -> Result<()> {
        self.admin.put("/v1/destinations/consumer", &self.destination()).await?;
        for (scheme, secret) in [
            ("github", &self.secrets.github),
            ("stripe", &self.secrets.stripe),
            ("standard", &self.secrets.standard),
        ] {
            self.admin.put(&format!("/v1/sources/{scheme}"), &source(scheme, secret)).await?;
        }
        Ok(())
    }

    /// The destination's document: retries come soon, so that a test need not wait for them long.
    fn destination(&self) -> Value {
        json!({
            "url": self.consumer.url(),
            "subscribe": {},
            "secrets": [self.secrets.destination],
            "timeout_seconds": 5,
            "retry": {"schedule_seconds": [1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8]},
        })
    }

    /// An event of the source `github`.
    ///
    /// # Errors
    /// As [`sign::github`].
    pub fn github(&self, event: &str, delivery: &str, body: impl Into<bytes::Bytes>) -> Result<Signed> {
        sign::github("github", &self.secrets.github, event, delivery, body)
    }

    /// An event of the source `stripe`.
    ///
    /// # Errors
    /// As [`sign::stripe`].
    pub fn stripe(&self, body: impl Into<bytes::Bytes>) -> Result<Signed> {
        sign::stripe("stripe", &self.secrets.stripe, body)
    }

    /// An event of the source `standard`.
    ///
    /// # Errors
    /// As [`sign::standard`].
    pub fn standard(&self, id: &str, body: impl Into<bytes::Bytes>) -> Result<Signed> {
        sign::standard("standard", &self.secrets.standard, id, body)
    }

    /// Numbered events of the source `standard` to these regions, without an end and without a pause.
    pub fn load(&self, regions: &[&str]) -> Plan {
        Plan {
            source: "standard".to_owned(),
            secret: self.secrets.standard.clone(),
            regions: regions.iter().map(|&region| region.to_owned()).collect(),
            workers: 16,
            numbers: 0..u64::MAX,
            pause: Duration::ZERO,
        }
    }

    /// Waits until everything has arrived and the books balance.
    ///
    /// # Errors
    /// If something does not arrive, or they don't.
    pub async fn balanced_books(&self) -> Result<Books> {
        self.admin.settled_books(ARRIVAL_LIMIT).await
    }

    /// Checks that the consumer got every one of these events.
    ///
    /// # Errors
    /// With how many it did not get, and one of them.
    pub fn check_arrived(&self, acknowledged: &BTreeMap<u64, String>) -> Result<()> {
        let counts = self.consumer.counts();
        let missing: Vec<_> = acknowledged.values().filter(|id| !counts.contains_key(*id)).collect();
        match missing.first() {
            None => Ok(()),
            Some(first) => {
                let (missing, all) = (missing.len(), acknowledged.len());
                Err(Failure::new(format!(
                    "{missing} of {all} acknowledged events never came, {first} among them"
                )))
            }
        }
    }

    /// Checks that the consumer got nothing twice.
    ///
    /// # Errors
    /// With how many it did, and one of them.
    pub fn check_no_repeats(&self) -> Result<()> {
        let counts = self.consumer.counts();
        let repeated: Vec<_> = counts.iter().filter(|&(_, &count)| count > 1).collect();
        match repeated.first() {
            None => Ok(()),
            Some((id, count)) => {
                Err(Failure::new(format!("{} events came twice or more, {id} {count} times", repeated.len())))
            }
        }
    }
}

/// A source with nothing but its scheme and secret.
pub fn source(scheme: &str, secret: &str) -> Value {
    json!({"verify": {"scheme": scheme, "secrets": [secret]}})
}
