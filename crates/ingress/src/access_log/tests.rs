use std::io::Write;
use std::sync::Mutex;

use prometheus::IntCounter;
use serde_json::Value;

use super::*;

/// What was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Written {
    /// The lines, once there are so many.
    fn lines(&self, count: usize) -> Vec<Value> {
        for _ in 0..3_000 {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            if text.matches('\n').count() >= count {
                return text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("waited in vain for {count} lines");
    }
}

fn start(success_one_in: u32, refusal_one_in: u32, lines_per_second: u32) -> (Arc<AccessLog>, Written) {
    let settings = AccessLogSettings { success_one_in, refusal_one_in, lines_per_second };
    let (written, left_out) = (Written::default(), IntCounter::new("uncounted", "Lines.").unwrap());
    let log = AccessLog::start(settings, AccessOutput(Box::new(written.clone())), left_out).unwrap();
    (log, written)
}

fn peer() -> SocketAddr {
    ([192, 0, 2, 1], 4_000).into()
}

fn request() -> Request<()> {
    Request::post("/in/github?token=secret")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .header("authorization", "secret")
        .body(())
        .unwrap()
}

fn answer(status: u16) -> Response<()> {
    Response::builder().status(status).body(()).unwrap()
}

#[test]
fn a_line_says_what_became_of_a_request_and_no_secret() {
    let (log, written) = start(1, 1, 1_000);
    let mut response = answer(200);
    let event = EventId::unique();
    response.extensions_mut().insert(Outcome::of("accepted", &"github".parse().unwrap(), Some(event)));
    log.begin(&request(), peer()).unwrap().end(&mut response, 17);
    assert!(response.extensions().get::<Outcome>().is_none());
    let line = written.lines(1).remove(0);
    for (key, expected) in [
        ("peer", Value::from("192.0.2.1:4000")),
        ("method", "POST".into()),
        ("path", "/in/github".into()),
        ("protocol", "HTTP/1.1".into()),
        ("source", "github".into()),
        ("status", 200.into()),
        ("outcome", "accepted".into()),
        ("event_id", event.to_string().into()),
        ("bytes_in", 17.into()),
        ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736".into()),
    ] {
        assert_eq!(line[key], expected, "{key}");
    }
    assert!(line["time"].is_string() && line["duration_us"].is_u64());
    assert!(!line.to_string().contains("secret"), "{line}");
}

#[test]
fn successes_and_refusals_are_chosen_apart() {
    let (log, written) = start(0, 1, 1_000);
    log.begin(&request(), peer()).unwrap().end(&mut answer(200), 0);
    log.begin(&request(), peer()).unwrap().end(&mut answer(401), 0);
    log.refused_head(peer(), StatusCode::BAD_REQUEST, "malformed");
    let lines = written.lines(2);
    assert_eq!((&lines[0]["status"], &lines[1]["outcome"]), (&401.into(), &"malformed".into()));
    assert!(start(1_000_000_000, 0, 1).0.begin(&request(), peer()).is_none());
}

#[test]
fn without_a_share_there_is_no_log() {
    let settings = AccessLogSettings::default();
    let left_out = IntCounter::new("uncounted", "Lines.").unwrap();
    assert!(AccessLog::start(settings, AccessOutput(Box::new(Written::default())), left_out).is_none());
}

#[test]
fn lines_over_the_rate_are_counted() {
    let (log, written) = start(1, 1, 1);
    for _ in 0..50 {
        log.refused_head(peer(), StatusCode::BAD_REQUEST, "malformed");
    }
    let lines = written.lines(1).len() as u64;
    assert!(log.left_out.get() >= 40 && lines + log.left_out.get() <= 50);
}

/// Nobody takes what is written.
struct Stuck;

impl Write for Stuck {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        std::thread::sleep(std::time::Duration::from_secs(3_600));
        Ok(0)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_output_that_nobody_reads_holds_up_nothing() {
    let settings = AccessLogSettings { success_one_in: 1, refusal_one_in: 1, lines_per_second: 100_000 };
    let left_out = IntCounter::new("uncounted", "Lines.").unwrap();
    let log = AccessLog::start(settings, AccessOutput(Box::new(Stuck)), left_out).unwrap();
    for _ in 0..3 * WAITING {
        log.refused_head(peer(), StatusCode::BAD_REQUEST, "malformed");
    }
    assert!(log.left_out.get() >= WAITING as u64);
}
