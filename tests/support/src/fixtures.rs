//! Payloads: those that GitHub publishes as examples, and Stripe-shaped ones. See the READMEs beside them.

/// A payload as it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Payload {
    /// The event's name: GitHub's `X-GitHub-Event`, Stripe's `type`.
    pub event: &'static str,
    /// The bytes.
    pub body: &'static str,
}

macro_rules! payloads {
    ($($event:literal from $path:literal),* $(,)?) => {
        &[$(Payload { event: $event, body: include_str!(concat!("../../fixtures/", $path)) }),*]
    };
}

/// GitHub's examples, without the `ping`.
pub const GITHUB: &[Payload] = payloads![
    "push" from "github/push.json",
    "issues" from "github/issues.opened.json",
    "pull_request" from "github/pull_request.opened.json",
    "release" from "github/release.published.json",
    "star" from "github/star.created.json",
    "fork" from "github/fork.json",
    "issue_comment" from "github/issue_comment.created.json",
    "create" from "github/create.json",
    "watch" from "github/watch.started.json",
    "deployment_status" from "github/deployment_status.created.json",
    "member" from "github/member.added.json",
];

/// GitHub's `ping`, which the redact handler drops.
pub const GITHUB_PING: Payload =
    Payload { event: "ping", body: include_str!("../../fixtures/github/ping.json") };

/// Stripe-shaped events with test card numbers and made-up people in them.
pub const STRIPE: &[Payload] = payloads![
    "charge.succeeded" from "stripe/charge.succeeded.json",
    "invoice.paid" from "stripe/invoice.paid.json",
    "customer.created" from "stripe/customer.created.json",
];

/// What must not be seen in what a consumer gets of [`STRIPE`] once it is redacted.
pub const STRIPE_PERSONAL: &[&str] = &[
    "4242424242424242",
    "4242 4242 4242 4242",
    "5555-5555-5555-4444",
    "378282246310005",
    "jenny.rosen@example.com",
    "kofi.mensah@example.org",
    "lucja.zielinska@example.net",
    "+1 555 010 0199",
    "+44 20 7946 0958",
    "+48 22 555 01 23",
];
