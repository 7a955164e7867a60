use floodgate_event::scheme::Settings;

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

fn wanted(address: &str) -> Wanted {
    let settings = Settings { unverified: true, ..Settings::default() };
    Wanted {
        address: address.to_owned(),
        fetch: Fetch { url: address.to_owned(), post: None },
        source: "a".parse().unwrap(),
        scheme: Arc::new(Scheme::new("none", &settings, vec![]).unwrap()),
    }
}

fn keys(text: &str) -> Option<(Arc<[u8]>, Duration)> {
    Some((text.as_bytes().into(), HOUR))
}

/// Lets time pass, by moving what is known into the past.
fn pass(published: &Published, time: Duration) {
    for known in published.locked().values_mut() {
        known.tried_at -= time;
        if let Some(keys) = &mut known.keys {
            keys.fresh_until -= time;
        }
    }
}

fn wait(published: &Published) -> tokio::task::JoinHandle<Result<(), NotFetched>> {
    let published = published.clone();
    tokio::spawn(async move { published.wait_for(wanted("https://a")).await })
}

#[tokio::test]
async fn a_request_waits_until_its_key_is_there() {
    let (published, mut asked) = Published::new();
    let waiting = wait(&published);
    assert_eq!(asked.recv().await.map(|wanted| wanted.address).as_deref(), Some("https://a"));
    published.learn(wanted("https://other"), keys("1"));
    published.learn(wanted("https://a"), keys("2"));
    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!(published.get("https://a").as_deref(), Some(&b"2"[..]));
    assert_eq!(published.wait_for(wanted("https://a")).await, Ok(()));
    assert!(asked.try_recv().is_err(), "it is not fetched again at once");
}

#[tokio::test]
async fn a_key_that_is_new_is_fetched_although_others_are_fresh() {
    let (published, mut asked) = Published::new();
    published.learn(wanted("https://a"), keys("1"));
    pass(&published, BETWEEN_TRIES);
    let waiting = wait(&published);
    assert!(asked.recv().await.is_some());
    published.learn(wanted("https://a"), keys("2"));
    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!(published.get("https://a").as_deref(), Some(&b"2"[..]));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_long_or_in_a_long_queue() {
    let (published, mut asked) = Published::new();
    assert_eq!(published.wait_for(wanted("https://a")).await, Err(NotFetched));
    for _ in 1..MAX_WANTED {
        published.wanted.try_send(wanted("https://b")).unwrap();
    }
    assert_eq!(published.wait_for(wanted("https://c")).await, Err(NotFetched), "the queue is full");
    asked.recv().await.unwrap();
}

#[tokio::test]
async fn keys_are_used_while_their_address_fails_and_not_for_ever() {
    let (published, mut asked) = Published::new();
    published.learn(wanted("https://a"), keys("1"));
    assert!(!published.is_due("https://a"));
    for _ in 0..24 {
        pass(&published, HOUR);
        assert!(published.is_due("https://a"));
        published.learn(wanted("https://a"), None);
        assert_eq!(published.get("https://a").as_deref(), Some(&b"1"[..]));
    }
    pass(&published, HOUR);
    assert_eq!(published.get("https://a"), None, "a failure does not make them last longer");
    published.learn(wanted("https://b"), None);
    assert_eq!(published.wait_for(wanted("https://b")).await, Err(NotFetched));
    assert!(asked.try_recv().is_err(), "a failure is not tried again at once");
}

#[test]
fn what_requests_use_is_fetched_again_before_one_asks() {
    let (published, _asked) = Published::new();
    for address in ["https://used", "https://unused"] {
        published.learn(wanted(address), keys("1"));
    }
    assert!(published.get("https://used").is_some());
    assert_eq!(published.used_and_due().len(), 0, "they are fresh");
    pass(&published, HOUR);
    let due: Vec<_> = published.used_and_due().into_iter().map(|wanted| wanted.address).collect();
    assert_eq!(due, ["https://used"]);
}

#[test]
fn failures_drive_out_no_keys() {
    let (published, _asked) = Published::new();
    published.learn(wanted("https://a"), keys("1"));
    for number in 0..2 * MAX_ADDRESSES {
        published.learn(wanted(&format!("https://a/{number}")), None);
    }
    assert_eq!(published.locked().len(), MAX_ADDRESSES);
    assert!(published.get("https://a").is_some());
}
