//! Replays of held requests from a real nats-server, by a gateway that answers by key.

use floodgate_api::replay::State;
use floodgate_event::format::VERSION;
use floodgate_event::proto::{HeldAccepted, VerifyHeld};
use floodgate_stream::contract::Contract;
use floodgate_testkit::nats::{Server, Setup};

use super::*;
use crate::jobs::MAX_UNTAKEN;

/// A key that no gateway has, and that of the present.
const EARLIER: &str = "earlier";
const PRESENT: &str = "present";
/// A key that the second gateway that is asked has.
const ELSEWHERE: &str = "elsewhere";

struct Region {
    _server: Server,
    connection: RegionConnection,
    /// The key of each request that a gateway was asked about.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Region {
    async fn start() -> Self {
        let server = Setup::default().start().unwrap();
        let context = server.context().await.unwrap();
        context.create_stream(Contract::held().config()).await.unwrap();
        let connection = RegionConnection { name: "eu".parse().unwrap(), context };
        let asked = Arc::default();
        tokio::spawn(answer_all(connection.clone(), Arc::clone(&asked)));
        Self { _server: server, connection, asked }
    }

    async fn hold(&self, key: &str) {
        let sealed = SealedRequest {
            version: VERSION,
            tenant: "default".to_owned(),
            source: "late".to_owned(),
            key: key.to_owned(),
            sealed: Bytes::from_static(b"sealed"),
        };
        let (subject, payload) = (subject::held("late", "0a", 1), sealed.encode_to_vec().into());
        self.connection.context.publish(subject, payload).await.unwrap().await.unwrap();
    }

    fn replays(&self) -> HeldReplays {
        HeldReplays::new(vec![self.connection.clone()], CancellationToken::new())
    }

    fn asked_about(&self, key: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == key).count()
    }
}

async fn answer_all(connection: RegionConnection, asked: Arc<Mutex<Vec<String>>>) {
    let client = connection.context.client();
    let mut requests = client.subscribe(subject::VERIFY_HELD).await.unwrap();
    while let Some(request) = requests.next().await {
        let VerifyHeld { request: sealed, .. } = format::decode(request.payload).unwrap();
        let key = sealed.unwrap().key;
        let is_second = asked.lock().unwrap().contains(&key);
        let answer = match &*key {
            EARLIER => Answer::WithoutKey(key.clone()),
            ELSEWHERE if !is_second => Answer::WithoutKey(key.clone()),
            _ => Answer::Accepted(HeldAccepted { secret_id: "sec_1".to_owned() }),
        };
        asked.lock().unwrap().push(key);
        let answer = held::answer(String::new(), answer).encode_to_vec();
        client.publish(request.reply.unwrap(), answer.into()).await.unwrap();
    }
}

fn order(region: Option<&str>) -> HeldOrder {
    HeldOrder {
        source: "late".parse().unwrap(),
        region: region.map(|name| name.parse().unwrap()),
        peer: None,
        rate: 1_000.try_into().unwrap(),
        dry_run: false,
    }
}

#[tokio::test]
async fn requests_of_an_earlier_key_do_not_keep_later_ones_back() {
    let region = Region::start().await;
    let earlier = 2 * MAX_UNTAKEN as usize;
    for key in std::iter::repeat_n(EARLIER, earlier).chain([ELSEWHERE, PRESENT, PRESENT]) {
        region.hold(key).await;
    }
    let replays = region.replays();
    let started = replays.start(order(Some("eu"))).await.unwrap();
    let view = loop {
        let view = replays.get(&started.id).unwrap();
        if view.state != State::Running {
            break view;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((view.state, view.error.as_deref()), (State::Done, None), "{view:?}");
    assert_eq!((view.matched, view.verified, view.failed), (35, 3, 32), "{view:?}");
    assert_eq!(view.reasons["eu: no gateway that answered has the key earlier"], 32, "{view:?}");
    // The first ones ask again for as long as nobody knows. Each later one asks once.
    let again = IN_FLIGHT * TRIES as usize;
    assert_eq!(region.asked_about(EARLIER), again + (earlier - IN_FLIGHT));
    assert_eq!(region.asked_about(ELSEWHERE), 2, "another gateway may have the key");
}

#[tokio::test]
async fn a_region_that_does_not_exist_is_an_error_that_names_those_that_do() {
    let region = Region::start().await;
    let error = region.replays().start(order(Some("typo"))).await.err().unwrap();
    assert_eq!(error.to_string(), "there is no region `typo`: expected one of eu");
}
