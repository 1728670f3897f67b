//! What a gate answers at its admin address: does it live, is it open and if not why, and what was counted.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::Arc;

use super::metrics;
use super::shared::Shared;
use crate::clock;
use crate::http::answers::Fault;
use crate::http::guard::Hosts;
use crate::http::routes::guarded;
use crate::metrics::CONTENT_TYPE as METRICS;

/// The routes, behind the guard.
pub fn routes(shared: Arc<Shared>, hosts: Hosts) -> Router {
    let routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .with_state(shared);
    guarded(routes, hosts, "/readyz, /status and /metrics")
}

async fn healthz() -> Json<Value> {
    Json(json!({ "healthy": true }))
}

/// Ready is open: whoever leads gets through at this moment.
async fn readyz(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, Fault> {
    match shared.why_closed() {
        None => Ok(Json(json!({ "ready": true }))),
        Some((_, why)) => Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, format!("closed: {why}"))),
    }
}

async fn status(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let now = shared.gatehouse.now().situation(clock::now());
    let closed = shared.why_closed();
    let leader = now.leader.map(|key| json!({ "name": shared.rooms.name(&key), "key": key.to_string() }));
    let nodes =
        shared.nodes.iter().map(|node| json!({ "address": node.address, "silent_because": node.why() }));
    let counters = shared.counters.snapshot();
    let counters = counters.iter().map(|count| (count.name.to_owned(), Value::from(count.value)));
    Json(json!({
        "open": closed.is_none(),
        "reason": closed.as_ref().map(|(reason, _)| *reason),
        "closed_because": closed.as_ref().map(|(_, why)| why),
        "term": now.term,
        "leader": leader,
        "assurance": now.assurance,
        "left_ms": u64::try_from(now.left.as_millis()).unwrap_or(u64::MAX),
        "connections": now.connections,
        "marked": now.marked,
        "resource": shared.upstream.to_string(),
        "http": shared.is_http,
        "nodes": nodes.collect::<Vec<_>>(),
        "counters": counters.collect::<serde_json::Map<_, _>>(),
    }))
}

async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, METRICS)], metrics::text(&shared))
}
