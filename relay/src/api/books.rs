//! `/v1/books`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use floodgate_api::books::{Books, Cut, Deliveries, Events, FeedCut, LaneCut, LogCut, SourceBooks, Unknown};
use floodgate_api::schema::Problem;
use floodgate_event::ProblemCode;
use floodgate_event::deliveries::Totals;
use floodgate_replicate::books::{self as sheet, BooksError};
use utoipa_axum::routes;

use super::{ApiError, ApiState, Endpoint};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::quick(routes!(take))]
}

/// Both balances, in all and per source, with the cut they were taken at.
#[utoipa::path(
    get,
    path = "/v1/books",
    operation_id = "books",
    tag = "books",
    responses(
        (status = 200, body = Books, description = "The books"),
        (status = 401, response = Problem),
        (status = 503, response = Problem),
    )
)]
async fn take(State(state): State<ApiState>) -> Result<Json<Books>, ApiError> {
    Ok(Json(shown(&*state.books.take().await?)))
}

fn shown(sheet: &sheet::Books) -> Books {
    let sources = sheet.sources.iter().map(|(name, source)| {
        let (events, deliveries) = (events(&source.events), deliveries(&source.deliveries));
        (name.clone(), SourceBooks { events, deliveries })
    });
    let unknown = sheet.unknown.iter().map(|unknown| {
        let sheet::Unknown { region, lane, since_us } = unknown;
        Unknown { region: region.clone(), lane: *lane, since_us: *since_us }
    });
    Books {
        balanced: sheet.balanced,
        events: events(&sheet.events),
        deliveries: deliveries(&sheet.deliveries),
        sources: sources.collect(),
        unknown: unknown.collect(),
        cut: cut(&sheet.cut),
    }
}

fn events(events: &sheet::Events) -> Events {
    Events {
        accepted: events.accepted,
        stored: events.stored,
        duplicate: events.duplicate,
        filtered: events.filtered,
        responded: events.responded,
        quarantined: events.quarantined,
        set_aside: events.set_aside,
        in_transit: events.in_transit,
        difference: events.difference,
        routed: Some(events.routed),
        unmatched: events.unmatched,
        to_match: events.to_match,
        routing_difference: events.routing_difference,
    }
}

fn deliveries(deliveries: &sheet::Deliveries) -> Deliveries {
    let Totals { matched, delivered, dead, discarded, pending } = deliveries.totals;
    Deliveries { matched, delivered, dead, discarded, pending, difference: deliveries.difference }
}

fn cut(cut: &sheet::CutSheet) -> Cut {
    let logs = |cuts: &[sheet::LogCut]| {
        let cuts = cuts.iter().map(|cut| LogCut { shard: cut.shard, sequence: cut.sequence });
        cuts.collect::<Vec<_>>()
    };
    let lanes = cut.lanes.iter().map(|lane| {
        let sheet::LaneCut { shard, lane, routed, to_match } = *lane;
        LaneCut { shard, lane, routed, to_match }
    });
    let feeds = cut.feeds.iter().map(|feed| FeedCut {
        shard: feed.shard,
        region: feed.region.clone(),
        lane: feed.lane,
        incarnation: feed.incarnation.clone(),
        replicated: feed.replicated,
        last: feed.last,
    });
    Cut { log: logs(&cut.log), journal: logs(&cut.journal), lanes: lanes.collect(), feeds: feeds.collect() }
}

impl From<Arc<BooksError>> for ApiError {
    fn from(error: Arc<BooksError>) -> Self {
        let code = match &*error {
            BooksError::Read(_) | BooksError::Purging => ProblemCode::Unavailable,
            BooksError::Deliveries(_) | BooksError::Anew | BooksError::Unknown => ProblemCode::Internal,
        };
        Self::ours(code, &*error)
    }
}
