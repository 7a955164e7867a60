//! Handlers are compiled by `floodgate handler compile`, within limits, and once.

use std::ffi::OsString;
use std::path::Path;
use std::time::Instant;

use floodgate_event::Digest256;
use floodgate_event::compile::Limit;
use floodgate_event::grant::Grants;
use floodgate_event::snapshot::{Binding, Component, Snapshot};
use floodgate_event::source::{HandlerLimits, OnFault};
use floodgate_event::subject;
use floodgate_sandbox::{CompileError, Compiler, Engine, Limits, Loader};
use floodgate_testkit::programs;
use prometheus::Registry;
use tokio::process::Command;

use crate::region::{Region, until};

/// Handlers of the gateway that starts again.
const HANDLERS: u32 = 100;
/// What this process may take while another compiles: far less than the compiler does.
const SLACK: usize = 64 << 20;

/// Builds the example handler `pass`, and returns its component.
pub(crate) async fn pass() -> Vec<u8> {
    let built = Command::new(programs::floodgate().unwrap())
        .args(["handler", "build"])
        .arg(programs::root().join("handlers/pass"))
        .output()
        .await
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let said = String::from_utf8_lossy(&built.stdout).into_owned();
    std::fs::read(said.lines().next().unwrap()).unwrap()
}

/// Other bytes that do the same: with a custom section.
fn numbered(component: &[u8], number: u32) -> Vec<u8> {
    [component, &[0, 6, 1, b'n'], &number.to_le_bytes()].concat()
}

/// Binds it to the only source.
pub(crate) fn bind(snapshot: &mut Snapshot, component: &[u8]) {
    let digest = Digest256::of(component);
    let source = snapshot.sources.values_mut().next().unwrap();
    source.handlers.push(Binding {
        name: "pass".parse().unwrap(),
        version: 1,
        digest,
        on_fault: OnFault::Reject,
        params: serde_json::Map::new(),
        grants: Grants::default(),
        limits: HandlerLimits::default(),
        trial: None,
    });
    snapshot.handlers.insert(digest, Component { size: component.len() as u64 });
}

fn cached(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("cache")).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_starts_again_needs_neither_components_nor_compiler() {
    let region =
        Region::bare("plaintext = true", "[handlers]\ncache_dir = \"cache\"\n[drain]\ngrace_seconds = 0\n")
            .await;
    region.nats.provision().await;
    let store = region.nats.context().await.get_object_store(subject::HANDLERS_BUCKET).await.unwrap();
    let (component, mut snapshot) = (pass().await, region.snapshot(1, "{}"));
    for number in 0..HANDLERS {
        let component = numbered(&component, number);
        store.put(Digest256::of(&component).to_string().as_str(), &mut &*component).await.unwrap();
        bind(&mut snapshot, &component);
    }
    region.configure(snapshot.clone()).await;
    region.until_ready().await;
    assert_eq!(region.client().await.post("{}").await.status, 200);
    assert_eq!(cached(region.folder()), HANDLERS as usize);

    for digest in snapshot.handlers.keys() {
        store.delete(digest.to_string()).await.unwrap();
    }
    let began = Instant::now();
    let region = region.restart().await;
    until("it serves all of them", async || region.client().await.post("{}").await.status == 200).await;
    println!("{HANDLERS} handlers from the cache: drained, started and served after {:?}", began.elapsed());

    // What does not match its MAC is not run: without the component there is nothing to serve then.
    for file in std::fs::read_dir(region.folder().join("cache")).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[1_000] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    let region = region.restart().await;
    until("it says what is missing", async || {
        region.report().await.and_then(|report| report.error).is_some_and(|error| error.contains("handler"))
    })
    .await;
    assert_eq!(region.client().await.get("/readyz").await, 503);
}

fn engine() -> Engine {
    Engine::new(Limits { instances: 2, ..Limits::default() }, &Registry::new()).unwrap()
}

/// A loader whose compiler is started within these limits of the shell.
fn limited(ulimit: &str) -> Loader {
    let program = programs::floodgate().unwrap().display();
    let script = format!("ulimit {ulimit}; exec '{program}' handler compile");
    Loader::new(engine(), Compiler::new(["/bin/sh", "-c", &script].map(OsString::from).to_vec()), None)
}

/// Passes the scan, and takes a compiler long: values that all live at the same time, over many branches.
fn laborious() -> Vec<u8> {
    let step = |n: u32| {
        let (a, b) = (1 + n % 900, 1 + n * 7 % 900);
        format!("(if (local.get {a}) (then (local.set {b} (i32.mul (local.get {a}) (local.get {b})))))")
    };
    let function = format!(
        "(func (param i32) (local {}) {})",
        "i32 ".repeat(900),
        (0..20_000).map(step).collect::<String>()
    );
    wat::parse_str(format!("(component (core module {}))", function.repeat(8))).unwrap()
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

async fn refused(loader: &Loader, component: Vec<u8>) -> CompileError {
    loader.compile(Digest256::of(&component), component).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compilation_that_takes_too_much_is_killed_and_this_process_stays_as_it_is() {
    let component = laborious();
    let before = resident_bytes();
    for (ulimit, reached) in [("-S -t 1", Limit::Processor), ("-d 60000", Limit::Memory)] {
        let error = refused(&limited(ulimit), component.clone()).await;
        assert!(matches!(error, CompileError::Limit(limit) if limit == reached), "{ulimit}: {error}");
    }
    let after = resident_bytes();
    assert!(after < before + SLACK, "{before} -> {after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_compiler_refuses_is_refused_in_its_words() {
    let invalid = wat::parse_str("(component (core module (func (result i32))))").unwrap();
    let error = refused(&limited("-c 0"), invalid).await;
    assert!(matches!(&error, CompileError::Refused(reason) if reason.contains("type mismatch")), "{error}");
    let no_handler = wat::parse_str("(component)").unwrap();
    let error = refused(&limited("-c 0"), no_handler).await;
    assert!(matches!(error, CompileError::Load(_)), "{error}");
    let component = pass().await;
    limited("-c 0").compile(Digest256::of(&component), component).await.unwrap();
}
