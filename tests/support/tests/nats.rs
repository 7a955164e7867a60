//! nats-servers as tests set them up.

// A test may stop at the first surprise.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use async_nats::jetstream::stream::Config;
use floodgate_testkit::nats::{self, Setup};
use floodgate_testkit::{Result, wait};

/// How long a test waits; only one that has failed waits for so long.
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn users_are_let_in_and_others_are_not() -> Result<()> {
    let server = Setup::default().user("A", "someone", "secret").user("A", "other", "too").start()?;
    let connect = |user: &str, password: &str| {
        let options = async_nats::ConnectOptions::with_user_and_password(user.into(), password.into());
        options.connect(server.url())
    };
    wait::until("a user to be let in", LIMIT, async || Ok(Some(connect("someone", "secret").await?))).await?;
    connect("other", "too").await?;
    assert!(connect("other", "wrong").await.is_err());
    assert!(async_nats::connect(server.url()).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_server_comes_back_with_its_streams() -> Result<()> {
    let mut server = Setup::default().max_payload(100_000).start()?;
    let context = server.context().await?;
    assert_eq!(context.client().server_info().max_payload, 100_000);
    context.create_stream(kept()).await?;
    let port = server.port();
    server.kill()?;
    assert!(server.kill().is_err() && server.id().is_none());
    server.start()?;
    assert_eq!(server.port(), port);
    server.context().await?.get_stream("KEPT").await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_ends_at_once_says_why() -> Result<()> {
    let server = Setup::default().option("no_such_option", true).start()?;
    let Err(failure) = server.context().await else { panic!("it answers") };
    assert!(failure.to_string().contains("no_such_option"), "{failure}");
    Ok(())
}

#[tokio::test]
async fn a_cluster_keeps_copies_and_outlives_a_server() -> Result<()> {
    let mut cluster = Setup::default().start_cluster(3)?;
    let context = cluster.context(3).await?;
    let config = Config { num_replicas: 3, ..kept() };
    context.create_stream(config).await?;
    let leader = wait::until("a leader", LIMIT, async || Ok(nats::leader(&context, "KEPT").await)).await?;
    cluster.server(&leader)?.kill()?;
    let next = wait::until("another leader", LIMIT, async || {
        Ok(nats::leader(&context, "KEPT").await.filter(|next| *next != leader))
    });
    assert!(cluster.names().contains(&next.await?));
    Ok(())
}

fn kept() -> Config {
    Config { name: "KEPT".to_owned(), ..Default::default() }
}
