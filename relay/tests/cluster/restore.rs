//! A centre of three servers gets its streams back from a backup, three copies of each.

use std::path::Path;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use floodgate_event::{Lane, subject};
use floodgate_relay::backup::{self, Permits, Place};
use floodgate_relay::config::Config;
use floodgate_relay::provision;
use floodgate_tests::Result;
use floodgate_tests::cluster::Cluster;
use tempfile::TempDir;

use super::three;

/// Blocks in the log.
const BLOCKS: u64 = 2_000;
/// How often the streams are deleted and put back: who leads them when they are looked at is chance.
const ROUNDS: usize = 5;

struct Silent;

impl backup::Progress for Silent {
    fn begins(&mut self, _stream: &str, _bytes: u64) {}
    fn moved(&mut self, _bytes: u64) {}
}

/// A relay's configuration for this centre, without regions.
fn config(cluster: &Cluster, folder: &Path) -> Result<Config> {
    let (urls, folder) = (format!("{:?}", cluster.urls("")), folder.display());
    Ok(toml::from_str(&format!(
        "relay = \"relay-1\"\nstate_dir = \"{folder}/state\"\nopening_key_file = \"{folder}/centre.key\"\n\
         metrics_listen = \"127.0.0.1:0\"\nadmin = {{ listen = \"127.0.0.1:0\", token_file = \"{folder}/token\" }}\n\
         nats = {{ urls = {urls} }}\ncentre = {{ replicas = 3 }}\nregions = []\n"
    ))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_centre_of_three_is_restored() -> Result<()> {
    let folder = TempDir::new()?;
    let servers = Cluster::start(3, "")?;
    let context = servers.context(3).await?;
    let config = config(&servers, folder.path())?;
    provision::centre(&context, 1, three()?).await?;
    fill(&context).await?;
    let saved = folder.path().join("backup");
    let manifest = backup::backup(&config, &Place::Centre, &saved, &mut Silent).await?;
    let log = manifest.streams.iter().find(|stream| stream.name == subject::log_stream(0));
    assert_eq!(log.map(|log| log.messages), Some(BLOCKS));
    let permits = Permits { replace: true, ..Permits::default() };
    for _ in 0..ROUNDS {
        backup::restore(&config, &Place::Centre, &saved, permits, &mut Silent).await?;
        for stream in &manifest.streams {
            let info = context.get_stream(&stream.name).await?.cached_info().clone();
            let (state, copies) = (&info.state, info.config.num_replicas);
            let found = (state.messages, state.last_sequence, copies);
            assert_eq!(found, (stream.messages, stream.last_sequence, 3), "{}", stream.name);
        }
    }
    Ok(())
}

async fn fill(context: &Context) -> Result<()> {
    for number in 0..BLOCKS {
        let mut headers = HeaderMap::new();
        headers.insert(subject::ORIGIN_HEADER, format!("eu/f4240/standard/{}", number + 1));
        let ack =
            context.publish_with_headers(subject::log(0, Lane::Standard), headers, "block".into()).await?;
        if number % 100 == 99 {
            ack.await?;
        }
    }
    Ok(())
}
