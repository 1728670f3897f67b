//! What changes a node: `POST /v1/resign` and `POST /v1/drain`. The guard has seen the token.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

use super::answers::{Fault, Who};
use super::json::Json;
use super::limits::{BODY_MAX, HANDOVER_DEADLINE, LOOK_AGAIN};
use crate::clock;
use crate::core::event::Command;
use crate::core::status::Status;
use crate::node::Handle;
use crate::node::happening::{Happening, What};
use nitro_elect_protocol::ids::{NodeId, Term};

/// The body of `POST /v1/resign`; an empty body names nobody.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resign {
    /// The successor: a voter's name or key. Without one, whom the policy picks.
    pub to: Option<String>,
}

/// A hand-over that is done: the successor holds the lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedOver {
    /// Who leads now.
    pub leader: Who,
    /// In which term.
    pub term: Term,
    /// How long it took, from the order to the successor's lease as this node knows it.
    pub took_ms: u64,
}

/// The body of `POST /v1/drain`, and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// Whether the node is to be ineligible, stepping down if it leads, until told otherwise or started again.
    pub draining: bool,
}

/// Nobody leads.
const NO_SUCCESSOR: &str =
    "the lease was given up, and no successor has shown in time: see /v1/status for why";
/// Why a lead is not given up while no enclave answers, and how it is all the same.
const NOBODY_ELECTED: &str = "while that is so for all nodes nobody can be elected; if others reach one, stop this \
                              node (SIGTERM), and they elect";
/// This node leads once more.
const LEADS_AGAIN: &str =
    "the lease was given up, and this node was elected again before any other: see /v1/elections for how";
/// This node leads, as its work has not ended.
const WORK_GOES_ON: &str =
    "the work under this lease has not ended yet: the lead is handed over as soon as it has";

/// Steps down, and answers when the successor leads.
pub async fn resign(State(node): State<Handle>, body: Body) -> Result<Json<HandedOver>, Fault> {
    let body = whole(body)?;
    let order: Resign = if body.is_empty() { Resign::default() } else { read(&body)? };
    let status = node.status().await?;
    if status.held.is_none_or(|(_, until)| until <= clock::boot()) {
        return Err(Fault::new(StatusCode::CONFLICT, not_leading(&status)));
    }
    let to = order.to.map(|name| voter(&status, &name)).transpose()?;
    if let Some(why) = status.no_enclave_because() {
        return Err(Fault::new(
            StatusCode::CONFLICT,
            format!("nothing was given up: {why}; {NOBODY_ELECTED}"),
        ));
    }
    let begun = Instant::now();
    let (_, news) = node.happenings().follow(None);
    node.command(Command::StepDown { to })?;
    let Ok(found) = timeout(HANDOVER_DEADLINE, successor(&node, news, status.id)).await else {
        let still_leads = node.status().await?.held.is_some();
        let text = if still_leads { WORK_GOES_ON } else { NO_SUCCESSOR };
        return Err(Fault::new(StatusCode::GATEWAY_TIMEOUT, text));
    };
    let (leader, term) = found?;
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Json(HandedOver { leader, term, took_ms }))
}

/// Makes the node ineligible, or eligible again.
pub async fn drain(State(node): State<Handle>, body: Body) -> Result<Json<Drain>, Fault> {
    let order: Drain = read(&whole(body)?)?;
    if !node.status().await?.voter {
        let text = "this node is an observer: it votes in nothing and never leads";
        return Err(Fault::new(StatusCode::CONFLICT, text));
    }
    node.command(Command::Drain(order.draining))?;
    // The answer follows the order through the same queue: it is carried out.
    node.status().await?;
    Ok(Json(order))
}

/// A body as it came, or why it did not.
type Body = Result<Bytes, BytesRejection>;

fn whole(body: Body) -> Result<Bytes, Fault> {
    body.map_err(|why| match why.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Fault::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body of more than {BODY_MAX} bytes"))
        }
        code => Fault::new(code, "the body did not come whole"),
    })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body)
        .map_err(|error| Fault::new(StatusCode::BAD_REQUEST, format!("the body: {error}")))
}

fn not_leading(status: &Status) -> String {
    match &status.leader {
        Some(leader) => format!("this node does not lead: {} at {} does", leader.name, leader.address),
        None => format!(
            "this node does not lead, nobody does: {}",
            status.no_leader_because().unwrap_or_else(|| "no lease is known".into())
        ),
    }
}

/// The voter of this name or key.
fn voter(status: &Status, name: &str) -> Result<NodeId, Fault> {
    let key = NodeId::from_hex(name).ok();
    let mut voters = status.electorate.voters.iter();
    let found = voters.find(|voter| voter.name == name || Some(voter.key) == key);
    let names: Vec<&str> = status.electorate.voters.iter().map(|voter| voter.name.as_str()).collect();
    let unknown = || {
        let asked: String = name.chars().take(64).collect();
        Fault::new(
            StatusCode::BAD_REQUEST,
            format!("no voter is called {asked:?}; there are {}", names.join(", ")),
        )
    };
    found.map(|voter| voter.key).ok_or_else(unknown)
}

/// Waits until another node leads, or this one again, or this one says why it does not step down. That somebody was elected
/// is news; that it holds the lease is known a renewal later, and nobody tells: so it looks again.
async fn successor(
    node: &Handle,
    mut news: Receiver<Arc<Happening>>,
    me: NodeId,
) -> Result<(Who, Term), Fault> {
    let mut gave_up = false;
    loop {
        if let Ok(Ok(happening)) = timeout(LOOK_AGAIN, news.recv()).await {
            if let What::CannotStepDown { why } = &happening.what {
                return Err(Fault::new(StatusCode::CONFLICT, format!("nothing was given up: {why}")));
            }
            gave_up |= matches!(happening.what, What::LeaseLost { .. });
        }
        let status = node.status().await?;
        if gave_up && status.held.is_some() {
            return Err(Fault::new(StatusCode::GATEWAY_TIMEOUT, LEADS_AGAIN));
        }
        if let Some(leader) = status.leader.filter(|leader| leader.id != me) {
            let who = Who { name: leader.name, address: leader.address, key: leader.id.to_string() };
            return Ok((who, leader.term));
        }
    }
}
