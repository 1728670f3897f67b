//! What the admin address counts.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;

use crate::transport::counters::{Counter, counters};

counters!(
    /// Connections, answers by their status code, and watchers.
    HttpCounters {
        connections: "Connections accepted at the admin address.",
        connections_closed: "Connections of the admin address that ended.",
        connections_pushed_out: "Connections ended to make room for newer ones.",
        connections_failed: "Connections that ended by a malformed or slow request, or by a client that left.",
        answered: "Requests answered as asked.",
        not_understood: "Requests refused since they, or their body, are not what the route reads.",
        not_allowed: "Requests refused for want of the token, or since they came from a page of another origin.",
        not_found: "Requests for what is not there.",
        not_possible: "Orders refused since the node cannot carry them out now.",
        misdirected: "Requests refused since they asked for another host.",
        unavailable: "Requests without an answer in time, or for which all places were taken.",
        watchers: "Watchers let in.",
        watchers_left: "Watchers that left, or that were let go since they read too slowly.",
    }
);

/// Counts an answer by its status code.
pub async fn count(State(counters): State<Arc<HttpCounters>>, request: Request, next: Next) -> Response {
    let answer = next.run(request).await;
    counters.of(answer.status()).up();
    answer
}

impl HttpCounters {
    fn of(&self, code: StatusCode) -> &Counter {
        match code.as_u16() {
            401 | 403 => &self.not_allowed,
            404 | 405 => &self.not_found,
            409 => &self.not_possible,
            421 => &self.misdirected,
            400..500 => &self.not_understood,
            500.. => &self.unavailable,
            _ => &self.answered,
        }
    }
}
