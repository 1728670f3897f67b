//! `GET /v1/log`: the certificates that the node adopted, as proofs, a line each, page by page.
//!
//! The last line says where the next page begins: `{"next": "1.4242", "is_last": true, "damaged": []}`. It is asked for with
//! `?from=1.4242`, also later: the place stays the same when the file is put aside.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::answers::Fault;
use super::limits::{LOG_PAGE, LOG_READERS};
use super::places::at_a_place;
use crate::node::Handle;
use crate::proof_file::ProofFile;
use crate::storage::{Page, Place, read_page};

/// Places for readers, of all nodes of this process.
static READERS: Semaphore = Semaphore::const_new(LOG_READERS);

/// The last line of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// Where the next page begins.
    pub next: String,
    /// Whether there is nothing more for now.
    pub is_last: bool,
    /// What could not be read.
    pub damaged: Vec<String>,
}

/// A page of the log.
pub async fn log(State(node): State<Handle>, uri: Uri) -> Result<Response, Fault> {
    let from = uri.query().map(place_of).transpose()?.unwrap_or_default();
    let page = at_a_place(&READERS, move || read_page(node.state(), from, LOG_PAGE).map(text)).await?;
    let unread = |error| Fault::new(StatusCode::INTERNAL_SERVER_ERROR, format!("certificate log: {error}"));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], page.map_err(unread)?).into_response())
}

fn place_of(query: &str) -> Result<Place, Fault> {
    let place = query.strip_prefix("from=").and_then(|text| text.parse().ok());
    let help = "ask with from= and the place that the page before ended with, or without";
    place.ok_or_else(|| Fault::new(StatusCode::BAD_REQUEST, help))
}

fn text(page: Page) -> String {
    let line = |bundle| ProofFile { bundle, lease: None, electorate: None }.to_line() + "\n";
    let mut text: String = page.bundles.into_iter().map(line).collect();
    let damaged = page.damages.iter().map(ToString::to_string).collect();
    let end = End { next: page.next.to_string(), is_last: page.is_last, damaged };
    text.push_str(&serde_json::to_string(&end).expect("texts make JSON"));
    text + "\n"
}
