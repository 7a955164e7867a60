//! The providers, one file each. Most are templates of the generic scheme.

mod adyen;
mod adyen_platform;
mod api_key;
mod aws_sns;
mod azure_event_grid;
mod basic;
mod bitbucket;
mod calendly;
mod cloudevents;
mod coinbase_cdp;
mod coinbase_commerce;
mod discord;
mod discord_events;
mod docusign;
mod dropbox;
mod github;
mod github_sha1;
mod gitlab_token;
mod hubspot;
mod hubspot_v1;
mod hubspot_v2;
mod intercom;
mod jira;
mod jwt;
mod linear;
mod mailgun;
mod meta;
mod microsoft_graph;
mod mtls;
mod none;
mod notion;
mod okta;
mod paddle;
mod paypal;
mod plaid;
mod razorpay;
mod sendgrid;
mod shopify;
mod signed;
mod slack;
mod square;
mod standard;
mod stripe;
mod svix;
mod token;
mod twilio;
mod twilio_shared_key;
mod typeform;
mod wise;
mod woocommerce;
mod x;
mod xero;
mod zoom;

use std::sync::LazyLock;

use crate::Preset;

/// All presets, by name.
static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    vec![
        adyen::preset(),
        adyen_platform::preset(),
        api_key::preset(),
        aws_sns::preset(),
        azure_event_grid::preset(),
        basic::preset(),
        bitbucket::preset(),
        calendly::preset(),
        cloudevents::preset(),
        coinbase_cdp::preset(),
        coinbase_commerce::preset(),
        discord::preset(),
        discord_events::preset(),
        docusign::preset(),
        dropbox::preset(),
        github::preset(),
        github_sha1::preset(),
        gitlab_token::preset(),
        hubspot::preset(),
        hubspot_v1::preset(),
        hubspot_v2::preset(),
        intercom::preset(),
        jira::preset(),
        jwt::preset(),
        linear::preset(),
        mailgun::preset(),
        meta::preset(),
        microsoft_graph::preset(),
        mtls::preset(),
        none::preset(),
        notion::preset(),
        okta::preset(),
        paddle::preset(),
        paypal::preset(),
        plaid::preset(),
        razorpay::preset(),
        sendgrid::preset(),
        shopify::preset(),
        signed::preset(),
        slack::preset(),
        square::preset(),
        standard::preset(),
        stripe::preset(),
        svix::preset(),
        token::preset(),
        twilio::preset(),
        twilio_shared_key::preset(),
        typeform::preset(),
        wise::preset(),
        woocommerce::preset(),
        x::preset(),
        xero::preset(),
        zoom::preset(),
    ]
});

/// Returns all presets, in the order of their names.
pub fn all() -> &'static [Preset] {
    &PRESETS
}

/// Finds a preset by its name.
pub fn find(name: &str) -> Option<&'static Preset> {
    all().iter().find(|preset| preset.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_has_a_name_of_its_own_in_order() {
        let names: Vec<&str> = all().iter().map(|preset| preset.name).collect();
        assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
    }
}
