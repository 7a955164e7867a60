//! Against real nats-servers.

pub(crate) mod server;
#[path = "../../clock/src/world.rs"]
#[allow(dead_code, reason = "the clock's own tests use the rest")]
mod world;

use std::time::Duration;

use floodgate_api::document::{DestinationDocument, SourceDocument, read_json};
use floodgate_api::time::rfc3339;
use floodgate_clock::{Clock, ClockId, HostClocks};
use floodgate_event::ShardCount;
use floodgate_event::report::GatewayReport;
use floodgate_event::seal::OpeningKey;
use floodgate_event::snapshot::Snapshot;
use floodgate_event::subject;
use floodgate_routes::Gone;
use floodgate_stream::RegionConnection;
use tokio::sync::mpsc;

use self::server::Server;
use self::world::{DAY, MOST_OFF, World};
use super::*;

const ANY: Precondition = Precondition { if_match: None, if_none_match: None };

/// A clock of this host with a centre that agrees.
pub(crate) fn agreed_clock() -> Clock {
    let clock = Clock::new(None);
    clock.observe(ClockId::Centre, clock.now_us(), clock.monotonic());
    clock
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

struct Site {
    control: Control,
    disable: mpsc::Sender<Gone>,
    shutdown: CancellationToken,
    _may_write: watch::Sender<bool>,
}

/// A server with the buckets of a centre and of a region.
async fn provisioned() -> (Server, Context) {
    let centre = Server::start(None).await;
    let context = centre.context().await;
    server::provision(&context).await;
    (centre, context)
}

/// A control plane of one region; components pass their checks if they begin with `ok`,
/// after parameters or without.
async fn start(centre: &Server, region: Context, region_key: &OpeningKey, key: &OpeningKey) -> Site {
    start_by(agreed_clock(), centre, region, region_key, key).await
}

/// The same, at the time of this clock.
async fn start_by(
    clock: Clock,
    centre: &Server,
    region: Context,
    region_key: &OpeningKey,
    key: &OpeningKey,
) -> Site {
    let (disable, disabled) = mpsc::channel(8);
    let (may_write_sender, may_write) = watch::channel(true);
    let shutdown = CancellationToken::new();
    let check =
        r#"if /bin/grep -aq '^ok'; then echo '{"ok":true}'; else echo '{"ok":false,"error":"not ok"}'; fi"#;
    let context = Dependencies {
        centre: centre.context().await,
        regions: vec![RegionConnection { name: name("eu"), context: region }],
        opening_key: key.clone(),
        region_keys: RegionKeys::new([(name("eu"), region_key.sealing_key().clone())].into()),
        shards: ShardCount::ONE,
        may_write,
        check_command: ["/bin/sh", "-c", check].map(str::to_owned).to_vec(),
        disable: disabled,
        guard: SsrfGuard::new(Vec::new()),
        clock,
        metrics: Metrics::register(&prometheus::Registry::new()).unwrap(),
        faults: fault_injection::Faults::default(),
        shutdown: shutdown.clone(),
    };
    Site { control: Control::start(context).await.unwrap(), disable, shutdown, _may_write: may_write_sender }
}

fn destination() -> DestinationDocument {
    read_json(br#"{"url": "http://127.0.0.1:1/", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}"#)
        .unwrap()
}

fn source(secret: &str, handlers: &str) -> SourceDocument {
    let text =
        format!(r#"{{"verify": {{"scheme": "github", "secrets": ["{secret}"]}}, "handlers": {handlers}}}"#);
    read_json(text.as_bytes()).unwrap()
}

async fn snapshot_of(region: &Context, revision: u64) -> Snapshot {
    loop {
        let bucket = region.get_key_value(subject::SNAPSHOT_BUCKET).await.unwrap();
        if let Some(bytes) = bucket.get(subject::SNAPSHOT_KEY).await.unwrap() {
            let snapshot = Snapshot::from_bytes(&bytes).unwrap();
            if snapshot.revision >= revision {
                return snapshot;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_stored_once_and_reach_routes() {
    let (centre, _) = provisioned().await;
    let (key, eu) = (OpeningKey::generate(), OpeningKey::generate());
    let site = start(&centre, centre.context().await, &eu, &key).await;
    let (control, shop) = (&site.control, name("shop"));

    let first = control.put_destination(&shop, &destination(), Mode::DryRun, &ANY).await.unwrap();
    assert_eq!((first.before.revision, first.after.revision), (1, 2));
    assert_eq!(control.configuration().revision, 1);
    let first = control.put_destination(&shop, &destination(), Mode::Write, &ANY).await.unwrap();
    let again = control.put_destination(&shop, &destination(), Mode::Write, &ANY).await.unwrap();
    assert_eq!((first.after.revision, again.after.revision), (2, 2));

    let mut routes = control.routes();
    routes.wait_for(|routes| routes.revision == 2 && routes.destinations["shop"].enabled).await.unwrap();
    let mod_revision = routes.borrow().destinations["shop"].mod_revision;
    let gone = Gone { destination: shop.clone(), mod_revision };
    site.disable.send(gone.clone()).await.unwrap();
    routes.wait_for(|routes| !routes.destinations["shop"].enabled).await.unwrap();
    control.put_destination(&shop, &destination(), Mode::Write, &ANY).await.unwrap();
    let put = routes.wait_for(|routes| routes.destinations["shop"].enabled).await.unwrap().revision;
    // What was attempted before it was put again, and then what is there now.
    site.disable.send(gone).await.unwrap();
    let mod_revision = routes.borrow().destinations["shop"].mod_revision;
    let gone = Gone { destination: shop.clone(), mod_revision };
    site.disable.send(gone).await.unwrap();
    let disabled = routes.wait_for(|routes| !routes.destinations["shop"].enabled).await.unwrap().revision;
    assert_eq!(disabled, put + 1, "the first of the two changed nothing");
    site.shutdown.cancel();
    control.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_change_at_once_and_nothing_is_lost() {
    let (centre, _) = provisioned().await;
    let (key, eu) = (OpeningKey::generate(), OpeningKey::generate());
    let one = start(&centre, centre.context().await, &eu, &key).await;
    let other = start(&centre, centre.context().await, &eu, &key).await;
    let document = destination();
    let puts = |site: &Site, prefix: &'static str| {
        let (control, document) = (site.control.clone(), document.clone());
        async move {
            for number in 0..5 {
                let name = name(&format!("{prefix}{number}"));
                control.put_destination(&name, &document, Mode::Write, &ANY).await.unwrap();
            }
        }
    };
    tokio::join!(puts(&one, "a"), puts(&other, "b"));
    for site in [one, other] {
        let mut routes = site.control.routes();
        let all = routes.wait_for(|routes| routes.destinations.len() == 10).await.unwrap().clone();
        assert_eq!(all.revision, 11);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_comes_up_late_gets_components_and_snapshot() {
    let (centre, _) = provisioned().await;
    let port = server::free_port();
    let (key, eu) = (OpeningKey::generate(), OpeningKey::generate());
    let region = server::connect(port).await;
    let site = start(&centre, region.clone(), &eu, &key).await;

    let refused = site.control.upload(&name("redact"), "no".into(), &ANY).await;
    assert!(matches!(refused, Err(UploadError::Check(CheckError::Refused(text))) if text == "not ok"));
    let component = bytes::Bytes::from([b"ok".as_slice(), &[7; 3_000_000]].concat());
    let uploaded = site.control.upload(&name("redact"), component.clone(), &ANY).await.unwrap();
    assert_eq!(uploaded.version, 1);
    let again = site.control.upload(&name("redact"), component.clone(), &ANY).await.unwrap();
    assert_eq!((again.version, again.revision), (1, uploaded.revision));
    let document = source("s3cret", r#"[{"name": "redact"}]"#);
    let put = site.control.put_source(&name("github"), &document, Mode::Write, &ANY).await.unwrap();

    let _late = Server::start(Some(port)).await;
    server::provision(&region).await;
    let snapshot = snapshot_of(&region, put.after.revision).await;
    let digest = snapshot.sources["github"].handlers[0].digest;
    let there = components::Components::open(&region).await.unwrap().get(digest).await.unwrap();
    assert_eq!(there, component);
    let sealed = &snapshot.sources["github"].secrets[0].secret;
    let (tenant, github) = (name("default"), name("github"));
    assert_eq!(eu.open(sealed, vault::source(&tenant, &github)).unwrap().expose(), "s3cret");
    assert!(!serde_json::to_string(&snapshot).unwrap().contains("s3cret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_with_a_new_key_is_sealed_to_at_the_next_start() {
    let (centre, context) = provisioned().await;
    let (key, old, new) = (OpeningKey::generate(), OpeningKey::generate(), OpeningKey::generate());
    let before = start(&centre, context.clone(), &old, &key).await;
    before.control.put_source(&name("github"), &source("s", "[]"), Mode::Write, &ANY).await.unwrap();
    before.shutdown.cancel();
    before.control.stopped().await;

    let _after = start(&centre, context.clone(), &new, &key).await;
    let snapshot = snapshot_of(&context, 3).await;
    let sealed = &snapshot.sources["github"].secrets[0].secret;
    assert_eq!(new.open(sealed, vault::source(&name("default"), &name("github"))).unwrap().expose(), "s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_s_clock_that_is_off_dates_no_snapshot() {
    let (centre, context) = provisioned().await;
    let (key, eu) = (OpeningKey::generate(), OpeningKey::generate());
    let world = World::new(&["eu"]);
    let clock = world.clock();
    world.run(&clock, 1);
    world.set(&ClockId::Host, 400 * DAY);
    let site = start_by(clock.clone(), &centre, context.clone(), &eu, &key).await;

    // The clock has jumped, and nobody has said yet who is right.
    let put = site.control.put_source(&name("github"), &source("s", "[]"), Mode::Write, &ANY).await.unwrap();
    assert!(!clock.is_agreed());
    world.run(&clock, 1);
    let snapshot = snapshot_of(&context, put.after.revision).await;
    let off = snapshot.created_at_us.abs_diff(world.truth());
    assert!(off <= MOST_OFF, "created {off} µs off");

    let uploaded = site.control.upload(&name("redact"), "ok".into(), &ANY).await.unwrap();
    let version = site.control.configuration().handlers["redact"].versions[0].clone();
    assert_eq!(version.version, uploaded.version);
    assert!(version.created_at_us.abs_diff(world.truth()) <= MOST_OFF, "{}", version.created_at_us);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_clock_is_off_reports_like_any_other() {
    let (centre, context) = provisioned().await;
    let (key, eu) = (OpeningKey::generate(), OpeningKey::generate());
    let site = start(&centre, context.clone(), &eu, &key).await;
    let reports = context.get_key_value(subject::GATEWAYS_BUCKET).await.unwrap();
    for (gateway, reported_at_us) in [("behind", 1), ("ahead", u64::MAX)] {
        let text =
            format!(r#"{{"gateway": "{gateway}", "revision": 7, "reported_at_us": {reported_at_us}}}"#);
        serde_json::from_str::<GatewayReport>(&text).unwrap();
        reports.put(gateway, text.into()).await.unwrap();
    }
    let shown = serde_json::to_value(site.control.regions().await).unwrap();
    let gateways = shown[0]["gateways"].as_array().unwrap();
    assert_eq!(gateways.len(), 2, "{shown}");
    let this_year = &rfc3339(agreed_clock().now_us())[..4];
    for gateway in gateways {
        assert_eq!(gateway["stale"], false, "{gateway}");
        assert!(gateway["reported_at"].as_str().unwrap().starts_with(this_year), "{gateway}");
    }
    assert_eq!(shown[0]["serving"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_is_gone_keeps_back_nothing_else() {
    let (centre, context) = provisioned().await;
    let port = server::free_port();
    let (key, eu) = (OpeningKey::generate(), OpeningKey::generate());
    let region = server::connect(port).await;
    let site = start(&centre, region.clone(), &eu, &key).await;
    let uploaded = site.control.upload(&name("redact"), "ok".into(), &ANY).await.unwrap();
    let bound = source("s", r#"[{"name": "redact"}]"#);
    site.control.put_source(&name("bound"), &bound, Mode::Write, &ANY).await.unwrap();
    let stored = context.get_object_store(subject::HANDLERS_BUCKET).await.unwrap();
    stored.delete(uploaded.digest.to_string()).await.unwrap();

    let _late = Server::start(Some(port)).await;
    server::provision(&region).await;
    let put = site.control.put_source(&name("free"), &source("s", "[]"), Mode::Write, &ANY).await.unwrap();
    let snapshot = snapshot_of(&region, put.after.revision).await;
    assert!(snapshot.sources.contains_key("free") && snapshot.sources.contains_key("bound"));
    let regions = serde_json::to_value(site.control.regions().await).unwrap();
    let error = regions[0]["error"].as_str().unwrap_or_default();
    assert!(error.contains(&uploaded.digest.to_string()), "the region's error names it: {regions}");
}
