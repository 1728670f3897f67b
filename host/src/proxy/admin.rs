//! What a proxy answers at its admin address: is it alive, is its enclave there, and what was counted.
//!
//! `/readyz` is the enclave as the proxy last heard of it, at most a health interval and its deadline ago: nodes have
//! a proxy that is not ready tell them so, a load balancer turns to another one.

use super::metrics;
use super::shared::Shared;
use super::upstream::EnclaveState;
use crate::http::answers::Fault;
use crate::http::guard::Hosts;
use crate::http::routes::guarded;
use crate::metrics::CONTENT_TYPE as METRICS;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::Arc;

/// The routes, behind the guard.
pub fn routes(shared: Arc<Shared>, hosts: Hosts) -> Router {
    let routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(shared);
    guarded(routes, hosts, "/readyz and /metrics")
}

async fn healthz() -> Json<Value> {
    Json(json!({ "healthy": true }))
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, Fault> {
    let not_ready = |why: &str| Fault::new(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}"));
    if *shared.closing.borrow() {
        return Err(not_ready("the proxy is stopping"));
    }
    match shared.upstream.state() {
        EnclaveState::Up(health) => {
            let (enclave, version) = (health.enclave.to_string(), health.service_version);
            Ok(Json(json!({ "ready": true, "enclave": enclave, "service_version": version })))
        }
        EnclaveState::Unknown => Err(not_ready("the enclave has not answered yet")),
        EnclaveState::Down { why } => Err(not_ready(&format!("the enclave is away: {why}"))),
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, METRICS)], metrics::text(&shared))
}
