//! A centre of three servers gets its streams back from a backup, three copies of each.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use floodgate_backup::{self as backup, Deployment, Place, RestoreOptions};
use floodgate_event::{Lane, ShardCount, ShardId, subject};
use floodgate_stream::placement::{Centre, Replicas};
use floodgate_stream::provision;
use floodgate_testkit::nats::{Cluster, Setup};
use floodgate_testkit::{Failure, Result};
use tempfile::TempDir;

/// Blocks in the log.
const BLOCKS: u64 = 2_000;
/// How often the streams are deleted and put back: who leads them when they are looked at is chance.
const ROUNDS: usize = 5;

struct Silent;

impl backup::Progress for Silent {
    fn begins(&mut self, _stream: &str, _bytes: u64) {}
    fn moved(&mut self, _bytes: u64) {}
}

fn three() -> Result<Replicas> {
    Replicas::try_from(3).map_err(Failure::new)
}

/// The centre, without regions.
fn deployment(cluster: &Cluster) -> Result<Deployment> {
    Ok(Deployment {
        nats: toml::from_str(&format!("urls = {:?}", cluster.urls("")))?,
        replicas: Some(three()?),
        regions: Vec::new(),
        shards: ShardCount::ONE,
        lease: Duration::from_secs(10),
        window_days: 7,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_centre_of_three_is_restored() -> Result<()> {
    let folder = TempDir::new()?;
    let servers = Setup::default().start_cluster(3)?;
    let context = servers.context(3).await?;
    let deployment = deployment(&servers)?;
    provision::centre(&context, ShardCount::ONE, Centre { replicas: Some(three()?) }).await?;
    fill(&context).await?;
    let saved = folder.path().join("backup");
    let manifest = backup::backup(&deployment, &Place::Centre, &saved, &mut Silent).await?;
    let log = manifest.streams.iter().find(|stream| stream.name == subject::log_stream(ShardId::FIRST));
    assert_eq!(log.map(|log| log.messages), Some(BLOCKS));
    let options = RestoreOptions { replace: true, ..RestoreOptions::default() };
    for _ in 0..ROUNDS {
        backup::restore(&deployment, &Place::Centre, &saved, options, &mut Silent).await?;
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
        let ack = context
            .publish_with_headers(subject::log(ShardId::FIRST, Lane::Standard), headers, "block".into())
            .await?;
        if number % 100 == 99 {
            ack.await?;
        }
    }
    Ok(())
}
