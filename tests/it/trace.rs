//! The trace of a sender goes through a deployment to the consumer.

use std::time::Duration;

use floodgate_testkit::{Result, Scene, wait};

const LIMIT: Duration = Duration::from_secs(60);
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_gets_the_trace_of_the_sender() -> Result<()> {
    Scene::play(async |scene| {
        let mut traced = scene.github("push", "d-1", r#"{"number": 1}"#)?;
        traced.headers.push(("traceparent", PARENT.to_owned()));
        traced.headers.push(("tracestate", "vendor=1".to_owned()));
        let mut malformed = scene.github("push", "d-2", r#"{"number": 2}"#)?;
        malformed.headers.push(("traceparent", "00-0-0-01".to_owned()));
        for (event, expected) in [(traced, [PARENT, "vendor=1"]), (malformed, ["", ""])] {
            let answer = scene.sender.post("eu", &event).await?;
            let id = answer.accepted()?.to_owned();
            let delivery = wait::until(format!("{id} at the consumer"), LIMIT, async || {
                Ok(scene.consumer.deliveries().into_iter().find(|delivery| delivery.id == id))
            })
            .await?;
            assert_eq!(["traceparent", "tracestate"].map(|name| delivery.header(name)), expected);
        }
        Ok(())
    })
    .await
}
