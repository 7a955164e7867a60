//! Handshakes: the requests by which providers check an endpoint, and the answers that they expect.

mod answer;
mod get;
mod post;

use floodgate_event::scheme::Settings;

pub use self::answer::{Answer, Note};
use crate::keys::Secrets;
use crate::{Failure, Request};

/// A request by which a provider checks an endpoint. It is not an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// Meta: GET with `hub.challenge`, answered if `hub.verify_token` is the source's.
    MetaSubscribe,
    /// X: GET with `crc_token`, answered with its HMAC.
    XCrc,
    /// Dropbox: GET with `challenge`.
    DropboxChallenge,
    /// Okta: GET with `X-Okta-Verification-Challenge`.
    OktaChallenge,
    /// Microsoft Graph: POST with `validationToken` in the query.
    GraphValidation,
    /// Azure Event Grid: POST of a `SubscriptionValidationEvent`, with the secret in the query.
    EventGridValidation,
    /// CloudEvents: OPTIONS with `WebHook-Request-Origin`.
    CloudEventsOptions,
    /// Notion: POST of `verification_token`, while the source has no secret.
    NotionToken,
    /// WooCommerce: POST of the form `webhook_id=…`.
    WooCommercePing,
    /// Slack: a signed POST of type `url_verification`.
    SlackUrlVerification,
    /// Zoom: a signed POST of `endpoint.url_validation`, answered with the HMAC of its token.
    ZoomUrlValidation,
    /// Discord's interactions: a signed POST of type 1, answered with `{"type": 1}`.
    DiscordPing,
    /// Discord's webhook events: a signed POST of type 0, answered with 204.
    DiscordEventPing,
    /// Xero: a signed POST without events.
    XeroIntent,
    /// Intercom: HEAD.
    IntercomHead,
    /// Amazon SNS: a signed POST of type `SubscriptionConfirmation`, whose `SubscribeURL` has to be fetched.
    SnsConfirmation,
}

/// What an answer depends on besides the request.
pub(crate) struct Context<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) secrets: &'a Secrets,
    /// The id of the key that signed the request. `None` before the signature is verified.
    pub(crate) signed_by: Option<&'a str>,
}

impl Handshake {
    /// Returns true if this handshake has no signature and comes by this method.
    pub fn is_unsigned(self, method: &str) -> bool {
        self.unsigned_method() == Some(method)
    }

    /// Returns the method by which it comes without a signature, or `None` if it is signed.
    const fn unsigned_method(self) -> Option<&'static str> {
        match self {
            Self::MetaSubscribe | Self::XCrc | Self::DropboxChallenge | Self::OktaChallenge => Some("GET"),
            Self::GraphValidation | Self::NotionToken | Self::WooCommercePing => Some("POST"),
            Self::CloudEventsOptions => Some("OPTIONS"),
            Self::IntercomHead => Some("HEAD"),
            Self::EventGridValidation
            | Self::SlackUrlVerification
            | Self::ZoomUrlValidation
            | Self::DiscordPing
            | Self::DiscordEventPing
            | Self::XeroIntent
            | Self::SnsConfirmation => None,
        }
    }

    /// Returns true if this handshake signs such a text for anybody who asks. A body that is one is no event:
    /// its signature does not show who sent it.
    pub(crate) fn signs(self, text: &[u8]) -> bool {
        matches!(self, Self::XCrc) && get::is_token_of_x(text)
    }

    /// Answers a request that is this handshake and has no signature. Returns `None` for any other request.
    pub(crate) fn unsigned(
        self,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Option<Result<Answer, Failure>> {
        if !self.is_unsigned(request.method) {
            return None;
        }
        match self {
            Self::MetaSubscribe => get::meta(request, context),
            Self::XCrc => get::x(request, context),
            Self::DropboxChallenge => get::dropbox(request),
            Self::OktaChallenge => get::okta(request),
            Self::CloudEventsOptions => get::cloud_events(request),
            Self::GraphValidation => post::graph(request),
            Self::NotionToken => post::notion(request, context),
            Self::WooCommercePing => post::woocommerce(request),
            Self::IntercomHead => Some(Ok(Answer::empty(200))),
            _ => None,
        }
    }

    /// Answers a request that is this handshake and whose signature is verified. Returns `None` for any other
    /// request.
    pub(crate) fn signed(
        self,
        request: &Request<'_>,
        context: &Context<'_>,
    ) -> Option<Result<Answer, Failure>> {
        match self {
            Self::EventGridValidation => post::event_grid(request),
            Self::SlackUrlVerification => post::slack(request).map(Ok),
            Self::ZoomUrlValidation => post::zoom(request, context).map(Ok),
            Self::DiscordPing => post::discord(request).map(Ok),
            Self::DiscordEventPing => post::discord_events(request).map(Ok),
            Self::XeroIntent => post::xero(request).map(Ok),
            Self::SnsConfirmation => post::sns(request, context).map(Ok),
            _ => None,
        }
    }
}
