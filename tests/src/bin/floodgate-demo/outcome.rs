//! Whether everything was as it must be.

use std::collections::BTreeSet;

use super::traffic::{Remark, Sent};
use floodgate_testkit::admin::Books;
use floodgate_testkit::consumer::Delivery;
use floodgate_testkit::{Result, fixtures, sign};

/// What was otherwise than it must be, a line each.
///
/// # Errors
/// If a signature cannot be computed.
pub(crate) fn faults(
    sent: &[Sent],
    deliveries: &[Delivery],
    books: &Books,
    secret: &str,
) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    faults.extend(wrong_answers(sent));
    faults.extend(wrong_deliveries(sent, deliveries));
    faults.extend(wrong_signatures(deliveries, secret)?);
    faults.extend(personal_data(deliveries));
    faults.extend(wrong_books(sent, books));
    Ok(faults)
}

/// Whether a delivery is signed as Standard Webhooks says.
///
/// # Errors
/// If the signature cannot be computed.
pub(crate) fn is_signed(delivery: &Delivery, secret: &str) -> Result<bool> {
    let tag = sign::standard_tag(secret, &delivery.id, delivery.header("webhook-timestamp"), &delivery.body)?;
    Ok(delivery.header("webhook-signature").split(' ').any(|signature| signature == format!("v1,{tag}")))
}

fn wrong_answers(sent: &[Sent]) -> Vec<String> {
    let wrong = sent.iter().filter(|sent| sent.answer.status != sent.request.remark.status());
    wrong
        .map(|sent| format!("{} got {} {}", sent.request.label, sent.answer.status, sent.answer.body))
        .collect()
}

/// Each event once, under the id that the sender was told, and nothing else.
fn wrong_deliveries(sent: &[Sent], deliveries: &[Delivery]) -> Vec<String> {
    let expected: BTreeSet<_> = sent
        .iter()
        .filter(|sent| sent.request.remark.is_delivered())
        .filter_map(|sent| sent.answer.id.as_deref())
        .collect();
    let came: BTreeSet<_> = deliveries.iter().map(|delivery| delivery.id.as_str()).collect();
    let mut faults = Vec::new();
    faults.extend(expected.difference(&came).map(|id| format!("{id} was acknowledged and never came")));
    faults.extend(came.difference(&expected).map(|id| format!("{id} came and should not have")));
    if deliveries.len() != came.len() {
        faults.push(format!("{} deliveries of {} events", deliveries.len(), came.len()));
    }
    faults
}

fn wrong_signatures(deliveries: &[Delivery], secret: &str) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for delivery in deliveries {
        if !is_signed(delivery, secret)? {
            faults.push(format!("the delivery of {} is not signed as it must be", delivery.id));
        }
    }
    Ok(faults)
}

fn personal_data(deliveries: &[Delivery]) -> Vec<String> {
    let text = |delivery: &Delivery| String::from_utf8_lossy(&delivery.body).into_owned();
    let mut faults = Vec::new();
    for delivery in deliveries {
        let body = text(delivery);
        let seen = fixtures::STRIPE_PERSONAL.iter().filter(|personal| body.contains(**personal));
        faults.extend(seen.map(|personal| format!("{personal} was not taken out of {}", delivery.id)));
    }
    faults
}

fn wrong_books(sent: &[Sent], books: &Books) -> Vec<String> {
    let count = |remark| sent.iter().filter(|sent| sent.request.remark == remark).count() as u64;
    let stored = count(Remark::First);
    let duplicate = count(Remark::Repeated) + count(Remark::Elsewhere);
    let filtered = count(Remark::Dropped);
    let events = &books.events;
    let right = events.accepted == stored + duplicate + filtered
        && (events.stored, events.duplicate, events.filtered) == (stored, duplicate, filtered)
        && books.deliveries.delivered == stored;
    if right { Vec::new() } else { vec![format!("the books are off: {books:?}")] }
}
