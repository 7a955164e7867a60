//! Versions of a handler over two regions: grants, parameters, shadow, canary, promotion and the way back.

use std::process::Stdio;
use std::time::Duration;

use floodgate_testkit::{Failure, Result, Scene, guests, metrics, programs, sign, wait};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// For what the relay does by itself: gateways report every 5 s.
const LIMIT: Duration = Duration::from_secs(60);
const PARTNER_KEY: &str = "the partner's key";

#[tokio::test(flavor = "multi_thread")]
async fn a_version_takes_over_or_is_taken_back() -> Result<()> {
    Scene::play(async |scene| {
        let versions = Versions { scene, secret: sign::new_text_secret() };
        versions.upload().await?;
        versions.bad_parameters_are_refused().await?;
        versions.bind().await?;
        let mut log = versions.follow().await?;

        versions.send("plain", 4, "1").await?;
        versions.lines_of_both_regions(&mut log).await?;
        versions.a_shadow_has_no_effect().await?;
        versions.a_failing_canary_is_rolled_back().await?;
        versions.a_good_canary_is_promoted().await?;
        versions.a_promotion_is_taken_back().await?;
        versions.metrics_tell_versions_apart().await?;

        let books = scene.balanced_books().await?;
        assert_eq!((books.events.quarantined, books.events.duplicate), (0, 0), "no event paid for a trial");
        scene.check_no_repeats()
    })
    .await
}

/// The fixture names the random number and the time that the handler must see for its event:
/// the same in every run, in every process, on any machine.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_gives_the_same_bytes() -> Result<()> {
    let folder = programs::root().join("tests/guests/versioned");
    for _ in 0..2 {
        let mut test = Command::new(programs::floodgate()?);
        let output = test.args(["handler", "test"]).arg(&folder).env_remove("GUEST_VERSION").output().await?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    Ok(())
}

struct Versions<'a> {
    scene: &'a Scene,
    secret: String,
}

impl Versions<'_> {
    async fn upload(&self) -> Result<()> {
        for version in ["1", "2", "3"] {
            let component = guests::build_with("versioned", &[("GUEST_VERSION", version)]).await?;
            let reply = self.scene.admin.upload("stamp", component).await?;
            assert_eq!((reply.status, reply.body["version"].to_string()), (StatusCode::OK, version.into()));
        }
        Ok(())
    }

    fn source(&self, params: Value) -> Value {
        json!({
            "verify": {"scheme": "github", "secrets": [self.secret]},
            "keys": {"partner": PARTNER_KEY},
            "handlers": [{
                "name": "stamp",
                "params": params,
                "grants": {"sign": ["partner"], "verify": ["partner"], "counters": ["seen"]},
            }],
        })
    }

    async fn bad_parameters_are_refused(&self) -> Result<()> {
        let document = self.source(json!({"greting": "hello"}));
        let reply = self.scene.admin.request(Method::PUT, "/v1/sources/stamped", Some(&document)).await?;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{reply:?}");
        let detail = reply.body["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("`stamp` version 1") && detail.contains("`greting`"), "{detail}");
        Ok(())
    }

    async fn bind(&self) -> Result<()> {
        let document = self.source(json!({"greeting": "hello"}));
        let made = self.scene.admin.put("/v1/sources/stamped", &document).await?;
        assert!(!made.to_string().contains(PARTNER_KEY));
        let shown = self.scene.admin.get("/v1/sources/stamped").await?;
        assert!(shown["keys"]["partner"]["id"].is_string(), "{shown}");
        assert!(!shown.to_string().contains(PARTNER_KEY), "{shown}");
        Ok(())
    }

    /// Sends events to both regions in turn, and checks which version stamped them.
    async fn send(&self, what: &str, count: usize, version: &str) -> Result<()> {
        let mut ids = Vec::new();
        for number in 0..count {
            let region = ["eu", "us"][number % 2];
            let body = format!(r#"{{"what":"{what}","number":{number}}}"#);
            let signed = sign::github("stamped", &self.secret, "push", "1", body)?;
            ids.push(self.scene.sender.post(region, &signed).await?.accepted()?.to_owned());
        }
        for id in ids {
            let delivery = self.delivered(&id).await?;
            assert_eq!(delivery.header("x-stamp"), version, "{what}: {delivery:?}");
            let mac = Hmac::<Sha256>::new_from_slice(PARTNER_KEY.as_bytes())?;
            let mac = mac.chain_update(&delivery.body).finalize().into_bytes();
            assert_eq!(delivery.header("x-partner-signature"), hex::encode(mac));
        }
        Ok(())
    }

    async fn delivered(&self, id: &str) -> Result<floodgate_testkit::consumer::Delivery> {
        wait::until(format!("the delivery of {id}"), LIMIT, async || {
            Ok(self.scene.consumer.deliveries().into_iter().find(|delivery| delivery.id == id))
        })
        .await
    }

    /// What is answered 200 is so in both regions: nothing waits for it.
    async fn post(&self, action: &str, document: Value) -> Result<()> {
        let path = format!("/v1/handlers/stamp/{action}");
        let reply = self.scene.admin.request(Method::POST, &path, Some(&document)).await?;
        assert_eq!((reply.status, &reply.body["in_force"]), (StatusCode::OK, &json!(true)), "{reply:?}");
        Ok(())
    }

    async fn handler(&self) -> Result<Value> {
        self.scene.admin.get("/v1/handlers/stamp").await
    }

    async fn a_shadow_has_no_effect(&self) -> Result<()> {
        self.post("shadow", json!({"version": 2, "percent": 100})).await?;
        self.send("shadow", 8, "1").await?;
        wait::until("both regions to report the shadow's events", LIMIT, async || {
            Ok((self.handler().await?["trial"]["events"] == 8).then_some(()))
        })
        .await?;
        let shown = self.handler().await?;
        assert_eq!(
            (&shown["trial"]["faults"], &shown["trial"]["samples"][0]["tried"]),
            (&json!(8), &json!("fault: trap"))
        );
        for region in shown["regions"].as_array().unwrap_or(&Vec::new()) {
            assert_eq!(region["versions"], json!([1, 2]), "{shown}");
        }
        let stopped = self.scene.admin.request(Method::DELETE, "/v1/handlers/stamp/rollout", None).await?;
        self.scene.admin.wait_served(&stopped.body).await
    }

    async fn a_failing_canary_is_rolled_back(&self) -> Result<()> {
        let budget = json!({"min_events": 6});
        let steps = json!({"version": 2, "steps_percent": [100], "step_seconds": 1, "budget": budget});
        self.post("canary", steps).await?;
        self.send("bad canary", 6, "1").await?;
        let shown = self.concluded(2).await?;
        assert_eq!((&shown["promoted"], &shown["rollout"]), (&json!(1), &Value::Null));
        let last = &shown["last_rollout"];
        assert_eq!(last["conclusion"], "rolled_back", "{shown}");
        assert!(last["reason"].as_str().is_some_and(|reason| reason.starts_with("failed on")), "{shown}");
        Ok(())
    }

    async fn a_good_canary_is_promoted(&self) -> Result<()> {
        // So few events say nothing of time.
        let budget = json!({"min_events": 4, "slower_percent": null});
        let steps = json!({"version": 3, "steps_percent": [99.5, 100], "step_seconds": 1, "budget": budget});
        self.post("canary", steps).await?;
        for round in 0..30 {
            for number in 0..4 {
                let body = format!(r#"{{"good":{round},"number":{number}}}"#);
                let signed = sign::github("stamped", &self.secret, "push", "1", body)?;
                self.scene.sender.post(["eu", "us"][number % 2], &signed).await?.accepted()?;
            }
            if self.handler().await?["rollout"].is_null() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let shown = self.concluded(3).await?;
        assert_eq!(
            (&shown["promoted"], &shown["last_rollout"]["conclusion"]),
            (&json!(3), &json!("promoted"))
        );
        self.live(3).await?;
        self.send("promoted", 4, "3").await
    }

    async fn a_promotion_is_taken_back(&self) -> Result<()> {
        let output = self.floodgate(&["handler", "rollback", "stamp"]).output().await?;
        assert!(output.status.success(), "{output:?}");
        self.live(1).await?;
        self.send("rolled back", 4, "1").await
    }

    /// Waits until the rollout of a version has ended.
    async fn concluded(&self, version: u32) -> Result<Value> {
        wait::until(format!("the end of version {version}'s rollout"), LIMIT, async || {
            let shown = self.handler().await?;
            let ended = shown["rollout"].is_null() && shown["last_rollout"]["version"] == version;
            Ok(ended.then_some(shown))
        })
        .await
    }

    /// Waits until both regions serve this version and no other.
    async fn live(&self, version: u32) -> Result<()> {
        wait::until(format!("version {version} to be live everywhere"), LIMIT, async || {
            let shown = self.handler().await?;
            let regions = shown["regions"].as_array().cloned().unwrap_or_default();
            let live = regions.iter().all(|region| region["versions"] == json!([version]));
            Ok((regions.len() == 2 && live).then_some(()))
        })
        .await
    }

    async fn metrics_tell_versions_apart(&self) -> Result<()> {
        for region in self.scene.deployment.ready()?.regions.values() {
            let page = metrics::page(&region.metrics).await?;
            let has = |text: &str| assert!(page.contains(text), "{text}\n{page}");
            has(r#"floodgate_handler_runs_total{handler="stamp",outcome="change",version="1"}"#);
            has(r#"floodgate_handler_counter_total{counter="seen",handler="stamp"}"#);
            assert!(
                !page.contains(r#"handler="stamp",outcome="change",version="3""#),
                "of a version that is gone"
            );
        }
        Ok(())
    }

    fn floodgate(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(programs::floodgate().unwrap_or_else(|error| panic!("{error}")));
        let ready = self.scene.deployment.ready().unwrap_or_else(|error| panic!("{error}"));
        command
            .args(arguments)
            .env("FLOODGATE_API", ready.admin.url)
            .env("FLOODGATE_TOKEN", ready.admin.token);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn follow(&self) -> Result<Following> {
        let mut child =
            self.floodgate(&["handler", "logs", "stamp", "--json"]).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or_else(|| Failure::new("no stdout"))?;
        // Only lines from now on are there, so it must be connected first: a line comes sooner or later.
        let mut following = Following { lines: BufReader::new(stdout).lines(), _child: child };
        for attempt in 0.. {
            self.send(&format!("probe {attempt}"), 1, "1").await?;
            let line = tokio::time::timeout(Duration::from_secs(1), following.next()).await;
            if line.is_ok() || attempt == 30 {
                break;
            }
        }
        Ok(following)
    }

    async fn lines_of_both_regions(&self, log: &mut Following) -> Result<()> {
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < 2 {
            let line =
                tokio::time::timeout(LIMIT, log.next()).await.map_err(|_| Failure::new("no line"))??;
            let region = line["region"].as_str().unwrap_or_default().to_owned();
            assert_eq!(line["message"], format!("version 1 in {region}: hello"), "{line}");
            assert_eq!((&line["version"], &line["level"]), (&json!(1), &json!("info")));
            seen.insert(region);
        }
        Ok(())
    }
}

/// A running `handler logs`.
struct Following {
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Following {
    async fn next(&mut self) -> Result<Value> {
        let line = self.lines.next_line().await?.ok_or_else(|| Failure::new("`handler logs` ended"))?;
        Ok(serde_json::from_str(&line)?)
    }
}
