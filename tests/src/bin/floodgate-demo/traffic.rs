//! What the demo sends.

use floodgate_testkit::fixtures::{self, Payload};
use floodgate_testkit::scene::Secrets;
use floodgate_testkit::sender::Answer;
use floodgate_testkit::sign::{self, Signed};
use floodgate_testkit::{Result, Sender};

/// The requests, in order.
pub(crate) struct Traffic(Vec<Request>);

/// One request.
pub(crate) struct Request {
    /// The region that it goes to.
    pub(crate) region: &'static str,
    /// `github push`, `stripe invoice.paid`, …
    pub(crate) label: String,
    /// What there is to say of it.
    pub(crate) remark: Remark,
    signed: Signed,
}

/// Why a request is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remark {
    /// The first of its event.
    First,
    /// Its event went to this region before.
    Repeated,
    /// Its event went to the other region before.
    Elsewhere,
    /// The handler drops it.
    Dropped,
    /// It is not what was signed.
    Forged,
}

impl Remark {
    /// In words.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::First => "",
            Self::Repeated => "the same once more",
            Self::Elsewhere => "the same to the other region",
            Self::Dropped => "the handler drops it",
            Self::Forged => "changed after it was signed",
        }
    }

    /// The status that it must get.
    pub(crate) fn status(self) -> u16 {
        if self == Self::Forged { 401 } else { 200 }
    }

    /// Whether the consumer must get it.
    pub(crate) fn is_delivered(self) -> bool {
        self == Self::First
    }
}

/// A request with its answer.
pub(crate) struct Sent {
    /// What was sent.
    pub(crate) request: Request,
    /// What was answered.
    pub(crate) answer: Answer,
}

impl Traffic {
    /// Signs everything.
    pub(crate) fn prepare(secrets: &Secrets) -> Result<Self> {
        let mut requests = Vec::new();
        let regions = ["eu", "us"];
        for (index, payload) in fixtures::GITHUB.iter().enumerate() {
            requests.push(request(regions[index % 2], Remark::First, github(secrets, payload)?));
        }
        for (index, payload) in fixtures::STRIPE.iter().enumerate() {
            requests.push(request(regions[index % 2], Remark::First, stripe(secrets, payload)?));
        }
        requests.push(request("us", Remark::First, order(secrets)?));
        requests.push(request("us", Remark::Elsewhere, github(secrets, &fixtures::GITHUB[0])?));
        requests.push(request("eu", Remark::Elsewhere, github(secrets, &fixtures::GITHUB[1])?));
        requests.push(request("us", Remark::Elsewhere, stripe(secrets, &fixtures::STRIPE[0])?));
        requests.push(request("us", Remark::Repeated, order(secrets)?));
        requests.push(request("eu", Remark::Dropped, github(secrets, &fixtures::GITHUB_PING)?));
        let (label, signed) = stripe(secrets, &fixtures::STRIPE[0])?;
        requests.push(request("eu", Remark::Forged, (label, signed.forged())));
        Ok(Self(requests))
    }

    /// Sends them one after the other.
    pub(crate) async fn send(self, sender: &Sender) -> Result<Vec<Sent>> {
        let mut sent = Vec::new();
        for request in self.0 {
            let answer = sender.post(request.region, &request.signed).await?;
            sent.push(Sent { request, answer });
        }
        Ok(sent)
    }
}

fn request(region: &'static str, remark: Remark, (label, signed): (String, Signed)) -> Request {
    Request { region, label, remark, signed }
}

fn github(secrets: &Secrets, payload: &Payload) -> Result<(String, Signed)> {
    let signed = sign::github("github", &secrets.github, payload.event, "demo-delivery", payload.body)?;
    Ok((format!("github {}", payload.event), signed))
}

fn stripe(secrets: &Secrets, payload: &Payload) -> Result<(String, Signed)> {
    let signed = sign::stripe("stripe", &secrets.stripe, payload.body)?;
    Ok((format!("stripe {}", payload.event), signed))
}

fn order(secrets: &Secrets) -> Result<(String, Signed)> {
    let body = r#"{"type":"order.shipped","timestamp":"2026-11-21T10:00:00Z","data":{"order":1001}}"#;
    let signed = sign::standard("orders", &secrets.standard, "msg_order_1001_shipped", body)?;
    Ok(("orders order.shipped".to_owned(), signed))
}
