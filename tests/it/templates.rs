//! Handlers in each language from `floodgate handler new` on, as a newcomer begins them.
//! They stay in a folder of the test's own; what their toolchains fetch comes out of the caches of cargo,
//! npm, pip and zig when there again.

mod folder;
mod registry;

use floodgate_testkit::{Result, programs};
use serde_json::Value;

use self::folder::Folder;
use self::registry::Registry;

/// What each template's fixtures are called.
const FIXTURES: [&str; 5] =
    ["form-is-an-error", "odd-text-is-stamped", "order-is-stamped", "ping-is-dropped", "push-passes"];

#[tokio::test]
async fn rust_works_out_of_the_box() -> Result<()> {
    // Against the SDK that the program brings, as where there is no repository.
    let folder = Folder::begin("rust", &[]).await?;
    // The versions that the repository's own handlers are built with, so that nothing new has to be fetched.
    std::fs::copy(programs::root().join("handlers/Cargo.lock"), folder.path().join("Cargo.lock"))?;
    builds_and_passes(&folder).await?;
    // Each import is paid for by every event, and the standard library would bring 13.
    let built = folder.floodgate(&["handler", "build", "--json"]).await?.success()?;
    let built: Value = serde_json::from_str(&built)?;
    let component = std::fs::read(built["path"].as_str().unwrap_or_default())?;
    assert!(!component.windows(5).any(|bytes| bytes == b"wasi:"), "it imports WASI");
    Ok(())
}

#[tokio::test]
async fn javascript_works_out_of_the_box() -> Result<()> {
    registry::skipping("the template in JavaScript", fetched("js", Registry::Npm)).await
}

#[tokio::test]
async fn python_works_out_of_the_box() -> Result<()> {
    registry::skipping("the template in Python", fetched("python", Registry::PyPi)).await
}

#[tokio::test]
async fn c_works_out_of_the_box_and_is_measured_and_refused() -> Result<()> {
    registry::skipping("the template in C", async {
        let folder = fetched("c", Registry::PyPi).await?;
        bench_tells_what_an_event_costs(&folder).await?;
        push_refuses_what_fails_its_fixtures(&folder).await?;
        limits_of_the_handler_are_held(&folder).await?;
        Ok(folder)
    })
    .await
}

/// A handler whose toolchain is fetched by its first build.
async fn fetched(language: &str, registry: Registry) -> Result<Folder> {
    registry.require_client().await?;
    let folder = Folder::begin(language, &[]).await?;
    match builds_and_passes(&folder).await {
        Ok(()) => Ok(folder),
        Err(failure) => Err(registry.judge(failure).await),
    }
}

async fn builds_and_passes(folder: &Folder) -> Result<()> {
    // How long a first event takes is the machine's business here.
    folder.edit("handler.toml", "# deadline_ms = 50", "deadline_ms = 1000")?;
    let built = folder.floodgate(&["handler", "build", "--json"]).await?.success()?;
    let built: Value = serde_json::from_str(&built)?;
    let path = built["path"].as_str().unwrap_or_default();
    assert_eq!(std::fs::metadata(path)?.len(), built["size"].as_u64().unwrap_or_default(), "{built}");

    let tested = folder.floodgate(&["handler", "test", "--json"]).await?.success()?;
    let tested: Vec<Value> = serde_json::from_str(&tested)?;
    let names: Vec<_> = tested.iter().filter_map(|fixture| fixture["name"].as_str()).collect();
    assert_eq!(names, FIXTURES);
    assert!(tested.iter().all(|fixture| fixture["passed"] == true), "{tested:?}");
    Ok(())
}

async fn bench_tells_what_an_event_costs(folder: &Folder) -> Result<()> {
    let report = folder.floodgate(&["handler", "bench", "--events", "20", "--json"]).await?.success()?;
    let report: Value = serde_json::from_str(&report)?;
    let component = std::fs::metadata(folder.path().join("build/handler.wasm"))?;
    assert_eq!(report["component_bytes"], component.len());
    let fixtures = report["fixtures"].as_array().cloned().unwrap_or_default();
    assert_eq!(fixtures.iter().filter_map(|fixture| fixture["name"].as_str()).collect::<Vec<_>>(), FIXTURES);
    for fixture in fixtures {
        let (median, p99) = (fixture["median_us"].as_f64(), fixture["p99_us"].as_f64());
        assert!(fixture["events"] == 20 && median > Some(0.0) && p99 >= median, "{fixture}");
    }
    Ok(())
}

/// Nobody listens where the upload would go: that it is refused for its fixtures shows that it was not sent.
async fn push_refuses_what_fails_its_fixtures(folder: &Folder) -> Result<()> {
    let fixture = "fixtures/push-passes.json";
    folder.edit(fixture, r#""pass""#, r#"{"drop": {"reason": "not wanted"}}"#)?;
    let pushed = folder.floodgate(&["handler", "push"]).await?;
    assert_eq!(pushed.status, Some(1), "{pushed:?}");
    assert!(pushed.stderr.contains("FAILED  push-passes"), "{pushed:?}");
    assert!(pushed.stderr.contains("1 of 5 fixtures failed"), "{pushed:?}");
    folder.edit(fixture, r#"{"drop": {"reason": "not wanted"}}"#, r#""pass""#)
}

async fn limits_of_the_handler_are_held(folder: &Folder) -> Result<()> {
    folder.edit("handler.toml", "# output_bytes = 3145728", "output_bytes = 1024")?;
    let tested = folder.floodgate(&["handler", "test"]).await?;
    assert_eq!(tested.status, Some(1), "{tested:?}");
    assert!(tested.stdout.contains(r#"+    "kind": "output""#), "{tested:?}");

    folder.edit("handler.toml", "output_bytes = 1024", "output_bytes = 1")?;
    let tested = folder.floodgate(&["handler", "test"]).await?;
    assert_eq!(tested.status, Some(2), "{tested:?}");
    assert!(
        tested.stderr.contains("limits.output_bytes: 1 was asked for; this gateway gives 1024 to 3145728"),
        "{tested:?}"
    );
    folder.edit("handler.toml", "output_bytes = 1", "output_byte = 1")?;
    let tested = folder.floodgate(&["handler", "test"]).await?;
    assert_eq!(tested.status, Some(2), "{tested:?}");
    assert!(tested.stderr.contains("handler.toml: `limits.output_byte`: unknown field"), "{tested:?}");
    Ok(())
}
