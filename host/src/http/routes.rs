//! The routes of the admin address.

use axum::extract::{DefaultBodyLimit, FromRef, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use nitro_elect_protocol::ids::Nonce;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Semaphore;

use super::answers::{Fault, Leader, Members, Overview, Ready};
use super::checks::checks;
use super::counters::count;
use super::events::watch;
use super::guard::{Access, guard};
use super::json::{Json, as_json};
use super::limits::BODY_MAX;
use super::log::log;
use super::orders;
use super::page;
use crate::clock;
use crate::core::status::Status;
use crate::evidence_file;
use crate::metrics::CONTENT_TYPE as METRICS;
use crate::node::happening::{Happening, What};
use crate::node::{Handle, metrics};
use crate::proof_file::ProofFile;

/// What routes work from.
#[derive(Clone, Debug)]
pub struct Served {
    /// The node.
    pub node: Handle,
    /// Places for watchers.
    pub watchers: Arc<Semaphore>,
}

impl FromRef<Served> for Handle {
    fn from_ref(served: &Served) -> Handle {
        served.node.clone()
    }
}

/// All routes, behind the guard.
pub fn router(node: Handle, access: Access, watchers: usize) -> Router {
    let counters = node.http().clone();
    let served = Served { node, watchers: Arc::new(Semaphore::new(watchers)) };
    let routes = Router::new()
        .route("/v1/leader", get(leader))
        .route("/v1/certificate", get(certificate))
        .route("/v1/checks", get(checks))
        .route("/v1/proof", get(proof))
        .route("/v1/evidence", get(evidence))
        .route("/v1/members", get(members))
        .route("/v1/status", get(status))
        .route("/v1/watch", get(watch))
        .route("/v1/elections", get(elections))
        .route("/v1/log", get(log))
        .route("/v1/resign", post(orders::resign))
        .route("/v1/drain", post(orders::drain))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(openapi))
        .with_state(served)
        .merge(page::routes());
    guarded(routes, access, "/v1/status").layer(middleware::from_fn_with_state(counters, count))
}

/// Routes of any process, behind the guard; whoever asks for something else is told what there is.
pub fn guarded(routes: Router, access: impl Into<Access>, there_is: &'static str) -> Router {
    routes
        .fallback(move |uri: Uri| no_such_route(uri, there_is))
        .method_not_allowed_fallback(other_method)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(access.into(), guard))
}

/// Always answered: a node that is held up vouches for nobody.
async fn leader(State(node): State<Handle>) -> Json<Leader> {
    Json(match node.status().await {
        Ok(status) => Leader::of(&status, clock::boot()),
        Err(why) => Leader::unknown(node.highest_term(), why),
    })
}

/// The proof of the newest certificate, as `verify --proof` takes it. An open cluster's carries its electorate.
async fn certificate(State(node): State<Handle>) -> Result<Response, Fault> {
    let proof = ProofFile { lease: None, ..proof_of(node.status().await?)? };
    Ok(as_json(proof.to_text()))
}

/// The proof of the lease: the newest one known, or with `?nonce=` one that answers it, for which the leader renews.
async fn proof(State(node): State<Handle>, uri: Uri) -> Result<Response, Fault> {
    let status = match uri.query().map(nonce_of).transpose()? {
        None => node.status().await?,
        Some(nonce) => node.prove(nonce).await?,
    };
    let is_live = status.live_proof(clock::boot()).is_some();
    let proof = proof_of(status)?;
    if proof.lease.is_none() || !is_live {
        return Err(Fault::new(StatusCode::NOT_FOUND, "this node knows of no lease that runs"));
    }
    Ok(as_json(proof.to_text()))
}

/// The nonce of a query, which has nothing else.
fn nonce_of(query: &str) -> Result<Nonce, Fault> {
    let nonce = query.strip_prefix("nonce=").and_then(|text| Nonce::from_hex(text).ok());
    nonce.ok_or_else(|| {
        Fault::new(StatusCode::BAD_REQUEST, "ask with nonce= and 64 hexadecimal digits, or without")
    })
}

/// Proof of voters that signed twice, as `verify --evidence` takes it.
async fn evidence(State(node): State<Handle>) -> Result<Response, Fault> {
    Ok(as_json(evidence_file::to_text(&node.status().await?.evidence)))
}

/// Everything that a node can show of its newest certificate.
fn proof_of(status: Status) -> Result<ProofFile, Fault> {
    let none = || Fault::new(StatusCode::NOT_FOUND, "this node has no certificate yet");
    ProofFile::of(&status).ok_or_else(none)
}

async fn members(State(node): State<Handle>) -> Result<Json<Members>, Fault> {
    Ok(Json(Members::of(&node.status().await?)))
}

async fn status(State(node): State<Handle>) -> Result<Json<Overview>, Fault> {
    let status = node.status().await?;
    Ok(Json(Overview::of(&status, &node.counters(), clock::boot())))
}

/// The elections since this process began, as far as they are kept: why each was needed, and why it had its result.
async fn elections(State(node): State<Handle>) -> Json<serde_json::Value> {
    let (kept, _) = node.happenings().follow(Some(0));
    let is_election = |what: &What| matches!(what, What::Elected { .. } | What::CallFailed { .. });
    let elections: Vec<&Happening> =
        kept.iter().map(|kept| &**kept).filter(|happening| is_election(&happening.what)).collect();
    Json(json!({ "elections": elections }))
}

async fn healthz(State(node): State<Handle>) -> Result<Json<serde_json::Value>, Fault> {
    node.status().await?;
    Ok(Json(json!({ "healthy": true })))
}

async fn readyz(State(node): State<Handle>) -> Result<Ready, Fault> {
    Ok(Ready::of(&node.status().await?, clock::boot()))
}

/// Answered also by a node that is held up: it then says so, and what is counted without it.
async fn metrics(State(node): State<Handle>) -> impl IntoResponse {
    let status = node.status().await.ok();
    ([(CONTENT_TYPE, METRICS)], metrics::text(&node, status.as_ref(), clock::boot()))
}

/// What there is, for programs: OpenAPI 3.1.
async fn openapi() -> Response {
    as_json(include_str!("openapi.json").to_owned())
}

async fn no_such_route(uri: Uri, there_is: &'static str) -> Fault {
    let path: String = uri.path().chars().take(80).collect();
    Fault::new(StatusCode::NOT_FOUND, format!("there is no {path}; see {there_is}"))
}

/// The `Allow` header has the methods that there are.
async fn other_method() -> Fault {
    Fault::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not answer that method: see Allow")
}
