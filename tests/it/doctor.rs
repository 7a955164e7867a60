//! `floodgate doctor` on a deployment that is well, and on one with faults, each of which it must name.

use std::fs;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy};
use floodgate_testkit::command::{self, Said};
use floodgate_testkit::nats::Setup;
use floodgate_testkit::{Result, Scene, wait};
use nix::sys::signal::Signal;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_is_well_is_found_to_be() -> Result<()> {
    Scene::play(async |scene| {
        scene.sender.post("eu", &scene.standard("msg_1", "{}")?).await?.accepted()?;
        scene.balanced_books().await?;
        let said = run(scene, &[]).await?;
        let found = said.json()?;
        assert_eq!((said.status, &found["well"]), (Some(0), &Value::Bool(true)), "{}", wrong(&found));
        for check in
            ["clock", "round trip", "stream", "rights", "opening key", "certificate", "books", "replication"]
        {
            assert!(states(&found, check).iter().all(|state| state == "well"), "{check}: {found}");
            assert!(!states(&found, check).is_empty(), "{check} was not looked at: {found}");
        }
        let text = command::floodgate(["doctor", "--gateway", &config(scene, "gateway-eu.toml")?]).await?;
        assert!(text.out.contains("fsync policy") && text.out.contains("--monitor"), "{text:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_planted_fault_is_named() -> Result<()> {
    Scene::play(async |scene| {
        plant(scene).await?;
        let lazy = Setup::default().named("lazy").syncs_every("2m").start()?;
        let said = wait::until("the monitoring page", LIMIT, async || {
            let said = run(scene, &["--monitor", &lazy.monitoring_url()]).await?;
            let asked = !states(&said.json()?, "fsync policy").contains(&"unknown".to_owned());
            Ok(asked.then_some(said))
        })
        .await?;
        let found = said.json()?;
        assert_eq!(said.status, Some(1), "{said:?}");
        for (check, of, what) in [
            ("stream", "IN_BULK of eu", "discard is old"),
            ("stream", "IN_CRITICAL of eu", "max_messages_per_subject is 1"),
            ("fsync policy", "lazy", "sync_interval is 120 s"),
            ("secret file", "region-eu.key", "mode 644"),
            ("certificate", "gateway.pem", "expired"),
            ("rights", "the gateway's user", "can change the snapshot"),
            ("rights", "the gateway's user", "can delete streams"),
        ] {
            assert!(names(&found, check, of, what), "{check} of {of}: {what}\n{}", wrong(&found));
        }
        let snapshot = scene.deployment.region_nats("eu").await?.get_stream("KV_floodgate_snapshot").await?;
        let stands = snapshot.get_last_raw_message_by_subject("$KV.floodgate_snapshot.current").await?;
        assert!(!stands.payload.is_empty(), "what was tried wrote nothing");
        Ok(())
    })
    .await
}

async fn run(scene: &Scene, more: &[&str]) -> Result<Said> {
    let (gateway, relay) = (config(scene, "gateway-eu.toml")?, config(scene, "relay.toml")?);
    let arguments = ["doctor", "--json", "--gateway", &gateway, "--relay", &relay];
    command::floodgate(arguments.into_iter().chain(more.iter().copied())).await
}

fn config(scene: &Scene, name: &str) -> Result<String> {
    Ok(scene.deployment.find(name)?.to_string_lossy().into_owned())
}

/// Two streams that discard, one of them by subject, a secret that all can read, a certificate that has
/// expired, and a user with every right.
async fn plant(scene: &Scene) -> Result<()> {
    let nats = scene.deployment.region_nats("eu").await?;
    let config = nats.get_stream("IN_BULK").await?.cached_info().config.clone();
    nats.update_stream(&Config { discard: DiscardPolicy::Old, ..config }).await?;
    let config = nats.get_stream("IN_CRITICAL").await?.cached_info().config.clone();
    nats.update_stream(&Config { max_messages_per_subject: 1, ..config }).await?;
    let key = scene.deployment.find("region-eu.key")?;
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    expire_certificate(scene)?;
    let nats_config = scene.deployment.find("nats-eu.conf")?;
    let mut server: Value = serde_json::from_slice(&fs::read(&nats_config)?)?;
    server["accounts"]["FLOODGATE"]["users"][0].as_object_mut().map(|user| user.remove("permissions"));
    fs::write(&nats_config, serde_json::to_vec(&server)?)?;
    scene.deployment.signal("nats-eu", Signal::SIGHUP)
}

/// Of the same key, so that everything else about it is right.
fn expire_certificate(scene: &Scene) -> Result<()> {
    let key = KeyPair::from_pem(&fs::read_to_string(scene.deployment.find("gateway.key")?)?)?;
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    fs::write(scene.deployment.find("gateway.pem")?, params.self_signed(&key)?.pem())?;
    Ok(())
}

fn findings(found: &Value) -> impl Iterator<Item = &Value> {
    found["findings"].as_array().into_iter().flatten()
}

fn states(found: &Value, check: &str) -> Vec<String> {
    let of = findings(found).filter(|finding| finding["check"] == check);
    of.filter_map(|finding| finding["state"].as_str().map(str::to_owned)).collect()
}

/// Whether this fault is said to be wrong, with what to do.
fn names(found: &Value, check: &str, of: &str, what: &str) -> bool {
    findings(found).any(|finding| {
        let text = |key: &str| finding[key].as_str().unwrap_or_default();
        text("check") == check
            && text("state") == "wrong"
            && text("subject").contains(of)
            && text("found").contains(what)
            && !text("why").is_empty()
            && !text("do").is_empty()
    })
}

fn wrong(found: &Value) -> String {
    findings(found)
        .filter(|finding| finding["state"] != "well")
        .map(|finding| format!("{finding}\n"))
        .collect()
}
