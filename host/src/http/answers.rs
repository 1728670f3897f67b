//! The JSON of the admin address, one type each.
//!
//! Spans are whole milliseconds, rounded down; identities are hexadecimal digits; what is not known is `null`.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::ids::{Pcr, Term};
use nitro_elect_protocol::time::Boot;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

use super::json::Json;
use crate::core::diagnosis::{self, Cause, CauseName};
use crate::core::known::Basis;
use crate::core::status::{EnclaveStatus, MemberStatus, PromiseStatus, Status};
use crate::node::NoAnswer;
use crate::transport::counters::Count;

/// `GET /v1/leader`: who leads, as this node knows at this moment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Leader {
    /// The leader; none when no lease is known.
    pub leader: Option<Who>,
    /// The highest term known; 0 before the first certificate.
    pub term: Term,
    /// What is left of the lease as this node knows it, counted from `as_of`; 0 when none is known.
    pub lease_ms: u64,
    /// What this node knows the lease from, and how long ago that was.
    pub as_of: Option<AsOf>,
    /// Whether this very node holds the lease.
    #[serde(rename = "self")]
    pub this_node: bool,
    /// What the newest certificate is worth.
    pub assurance: Option<Assurance>,
    /// The path where the proof of it is: `/v1/proof`, or `/v1/certificate` while no lease is proven.
    pub proof: Option<String>,
    /// Why nobody leads, as far as this node can tell, and what to do; empty while somebody does.
    pub diagnosis: Vec<Cause>,
}

/// What a lease is known from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct AsOf {
    /// The kind of knowledge.
    pub basis: Basis,
    /// How long ago it was had; for the leader itself, when it asked for its newest support (t0).
    pub ms_ago: u64,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Who {
    /// What people call it.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// Its public key.
    pub key: String,
}

/// `GET /v1/members`: every node that this one knows of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Members {
    /// Voters first, by name.
    pub members: Vec<Member>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Member {
    /// What people call it.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// Its public key.
    pub key: String,
    /// Whether it is seen alive.
    pub active: bool,
    /// Whether it votes.
    pub voter: bool,
    /// Whether it is the node that answers.
    #[serde(rename = "self")]
    pub this_node: bool,
    /// Whether there is a connection to it.
    pub connected: bool,
    /// Whether it would lead.
    pub eligible: bool,
    /// How long nothing new was heard of it; none if nothing ever was.
    pub silent_ms: Option<u64>,
    /// Its life; none if it was never heard.
    pub generation: Option<u64>,
    /// The highest term that it says it has a certificate of.
    pub highest_term: Term,
}

/// `GET /v1/status`: everything at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Overview {
    /// The node that answers.
    pub node: Who,
    /// Its life.
    pub generation: u64,
    /// Whether it votes.
    pub voter: bool,
    /// Its cluster.
    pub cluster: Cluster,
    /// Who leads.
    #[serde(flatten)]
    pub leader: Leader,
    /// Voters that support this node's own lease now; 0 unless it leads.
    pub supporters: usize,
    /// The promise that this voter has given and that still binds it.
    pub promise: Option<Promised>,
    /// Why nobody leads, in a sentence: the first of `diagnosis`.
    pub no_leader_because: Option<String>,
    /// Whether it can be relied on to vote.
    pub ready: bool,
    /// Why not.
    pub not_ready_because: Option<String>,
    /// Every node that it knows of.
    #[serde(flatten)]
    pub members: Members,
    /// Its enclaves, in the order of its configuration.
    pub enclaves: Vec<Enclave>,
    /// Messages that its rules dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// What its links and its shell count.
    pub counters: BTreeMap<String, u64>,
}

/// A promise that a voter has given: until it ends, it supports nobody else.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Promised {
    /// The name of the node it is to.
    pub to: String,
    /// How long it binds.
    pub left_ms: u64,
}

/// What the voters agree on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Cluster {
    /// What people call it.
    pub name: String,
    /// Whether it is an open one.
    pub open: bool,
    /// The digest of its electorate.
    pub electorate: String,
    /// Voters.
    pub n: usize,
    /// Byzantine voters tolerated.
    pub f: usize,
    /// Voters that it takes.
    pub quorum: usize,
    /// How long one round of support lasts.
    pub lease_ms: u64,
}

/// An enclave, as this node knows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Enclave {
    /// Where it is.
    pub endpoint: String,
    /// Its id, once verified.
    pub id: Option<String>,
    /// Its measurements.
    pub pcr0: Option<String>,
    /// See `pcr0`.
    pub pcr1: Option<String>,
    /// See `pcr0`.
    pub pcr2: Option<String>,
    /// What it is worth.
    pub assurance: Option<Assurance>,
    /// Why it is not in use: refused, or what the network said.
    pub error: Option<String>,
    /// How long ago it answered last.
    pub answered_ms_ago: Option<u64>,
}

/// `GET /readyz`: whether the node can be relied on to vote. Whether somebody leads is not asked of one node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Ready {
    /// Whether it can; the status code says the same.
    pub ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why nobody leads, as far as this node can tell, and what to do; empty while somebody does.
    pub diagnosis: Vec<Cause>,
}

impl Ready {
    /// What the node says at this moment.
    pub fn of(status: &Status, now: Boot) -> Self {
        let error = status.ready.as_ref().err().map(|why| format!("not ready: {why}"));
        Ready { ready: error.is_none(), error, diagnosis: Leader::of(status, now).diagnosis }
    }
}

impl IntoResponse for Ready {
    fn into_response(self) -> Response {
        let code = if self.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (code, Json(self)).into_response()
    }
}

/// Any answer that is an error: `{"error": "..."}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    code: StatusCode,
    text: String,
}

impl Leader {
    /// What the node knows, for a moment `now` that is not before it was asked.
    pub fn of(status: &Status, now: Boot) -> Self {
        let held = status.held.filter(|(_, until)| *until > now);
        let leader = status.leader.as_ref().filter(|leader| leader.until > now);
        let who = leader.map(|leader| Who {
            name: leader.name.clone(),
            address: leader.address.clone(),
            key: leader.id.to_string(),
        });
        let certified = status.certificate.as_ref().map(|certificate| certificate.assurance());
        Leader {
            term: status.term,
            lease_ms: leader.map_or(0, |leader| millis(leader.until.since(now))),
            as_of: leader.map(|leader| AsOf { basis: leader.basis, ms_ago: millis(now.since(leader.as_of)) }),
            this_node: held.is_some() && leader.is_some_and(|leader| leader.id == status.id),
            assurance: leader.map(|leader| leader.assurance).or(certified),
            proof: proof_path(status, now),
            diagnosis: match leader {
                Some(_) => Vec::new(),
                None => diagnosis::causes(status),
            },
            leader: who,
        }
    }

    /// The answer of a node that cannot be asked: it vouches for no leader.
    pub fn unknown(term: Term, why: NoAnswer) -> Self {
        let next = "look at the load of its machine and at its disk, which it waits for while it syncs";
        let diagnosis = vec![Cause::new(CauseName::NodeHeldUp, why.to_string(), next)];
        let (leader, as_of, assurance, proof) = (None, None, None, None);
        Leader { leader, term, lease_ms: 0, as_of, this_node: false, assurance, proof, diagnosis }
    }
}

impl Members {
    /// Those that the node knows.
    pub fn of(status: &Status) -> Self {
        let mut members: Vec<Member> =
            status.members.iter().map(|member| Member::of(member, status)).collect();
        members.sort_by(|a, b| (!a.voter, &a.name, &a.key).cmp(&(!b.voter, &b.name, &b.key)));
        Members { members }
    }
}

impl Member {
    fn of(member: &MemberStatus, status: &Status) -> Self {
        Member {
            name: member.name.clone(),
            address: member.address.clone(),
            key: member.id.to_string(),
            active: member.active,
            voter: member.voter,
            this_node: member.id == status.id,
            connected: member.connected,
            eligible: member.eligible,
            silent_ms: member.silent_for.map(millis),
            generation: member.generation.map(|generation| generation.0),
            highest_term: member.highest_term,
        }
    }
}

impl Overview {
    /// All that the node knows, and what its parts count.
    pub fn of(status: &Status, counts: &[Count], now: Boot) -> Self {
        let leader = Leader::of(status, now);
        Overview {
            node: Who {
                name: status.name.clone(),
                address: status.address.clone(),
                key: status.id.to_string(),
            },
            generation: status.generation.0,
            voter: status.voter,
            cluster: Cluster::of(status),
            no_leader_because: leader.diagnosis.first().map(|cause| cause.text.clone()),
            leader,
            supporters: status.supporters,
            promise: status.promise.as_ref().map(Promised::of),
            ready: status.ready.is_ok(),
            not_ready_because: status.ready.clone().err(),
            members: Members::of(status),
            enclaves: status.enclaves.iter().map(Enclave::of).collect(),
            dropped: status.drops.iter().map(|(why, count)| (why.to_string(), *count)).collect(),
            counters: counts.iter().map(|count| (count.name.to_owned(), count.value)).collect(),
        }
    }
}

impl Promised {
    fn of(promise: &PromiseStatus) -> Self {
        Promised { to: promise.holder.clone(), left_ms: millis(promise.left) }
    }
}

impl Cluster {
    fn of(status: &Status) -> Self {
        let electorate = &status.electorate;
        Cluster {
            name: electorate.name.clone(),
            open: electorate.is_open(),
            electorate: status.digest.to_string(),
            n: electorate.n(),
            f: electorate.f(),
            quorum: electorate.quorum(),
            lease_ms: electorate.lease_ms,
        }
    }
}

impl Enclave {
    fn of(enclave: &EnclaveStatus) -> Self {
        let verified = enclave.verified.as_ref();
        let register = |index| verified?.pcrs().get(&index).map(Pcr::to_string);
        Enclave {
            endpoint: enclave.place.clone(),
            id: verified.map(|verified| verified.id().to_string()),
            pcr0: register(0),
            pcr1: register(1),
            pcr2: register(2),
            assurance: verified.map(|verified| verified.assurance()),
            error: enclave.error.as_ref().map(|error| match &enclave.silent_because {
                Some(why) => format!("{error}: {why}"),
                None => error.clone(),
            }),
            answered_ms_ago: enclave.answered_ago.map(millis),
        }
    }
}

impl Fault {
    /// An error with its status code.
    pub fn new(code: StatusCode, text: impl Into<String>) -> Self {
        Fault { code, text: text.into() }
    }
}

impl From<NoAnswer> for Fault {
    fn from(why: NoAnswer) -> Self {
        Fault::new(StatusCode::SERVICE_UNAVAILABLE, why.to_string())
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.code, Json(serde_json::json!({ "error": self.text }))).into_response()
    }
}

fn proof_path(status: &Status, now: Boot) -> Option<String> {
    let digest = status.bundle.as_ref()?.certificate.digest();
    let is_proven = status.live_proof(now).is_some_and(|proof| proof.certificate == digest);
    Some(if is_proven { "/v1/proof" } else { "/v1/certificate" }.into())
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
