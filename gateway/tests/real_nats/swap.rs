//! Swap that is turned on under a running gateway.

use std::path::PathBuf;

use floodgate_event::Digest256;
use floodgate_event::subject;
use floodgate_gateway::GatewayError;
use floodgate_sandbox::{Engine, Limits, SwapDevices};
use prometheus::Registry;

use crate::compile::{bind, pass};
use crate::region::{Region, until};

#[tokio::test(flavor = "multi_thread")]
async fn no_handler_runs_where_the_next_event_might_see_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let list: PathBuf = folder.path().join("swaps");
    std::fs::write(&list, "Filename Type Size\n").unwrap();
    let engine =
        Engine::with_swap_devices(SwapDevices::listed_in(&list), Limits::default(), &Registry::new())
            .unwrap();
    if !engine.relies_on_no_swap() {
        eprintln!("not run: this kernel has no scan for dirty pages, so swap does no harm");
        return;
    }
    let region = Region::beside(SwapDevices::listed_in(&list), "plaintext = true", "").await;
    region.nats.provision().await;
    let store = region.nats.context().await.get_object_store(subject::HANDLERS_BUCKET).await.unwrap();
    let (component, mut snapshot) = (pass().await, region.snapshot(1, "{}"));
    store.put(Digest256::of(&component).to_string().as_str(), &mut &*component).await.unwrap();
    bind(&mut snapshot, &component);
    region.configure(snapshot).await;
    region.until_ready().await;
    assert_eq!(region.client().await.post("{}").await.status, 200);
    std::fs::write(&list, "Filename Type Size\n/dev/sda2 partition 1\n").unwrap();
    until("it is not ready", async || region.client().await.get("/readyz").await == 503).await;
    // An event for a source without handlers would still be taken.
    assert_eq!(region.client().await.post("{}").await.status, 503);
    assert!(matches!(region.ended().await, Err(GatewayError::Swap)));
}
