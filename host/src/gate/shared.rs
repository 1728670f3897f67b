//! What all connections of a gate share.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

use super::closed::NO_PROOF;
use super::counts::Counters;
use super::keeper::Gatehouse;
use super::limits::{PROOF_PACE_MIN, REFUSAL_TOLD, STRANGERS_MAX, STRANGERS_PER_IP_MAX};
use super::rooms::Rooms;
use crate::core::timing::Timing;
use crate::limits::REFUSAL_LINES_PER_SECOND;
use crate::transport::endpoint::Endpoint;
use crate::transport::rate::Rate;
use crate::transport::seats::Seats;

/// See the module.
#[derive(Debug)]
pub struct Shared {
    pub gatehouse: Gatehouse,
    /// The resource.
    pub upstream: Endpoint,
    /// Whether requests are forwarded, not bytes.
    pub is_http: bool,
    pub counters: Counters,
    /// Connections that have not authenticated yet.
    pub strangers: Arc<Seats<IpAddr>>,
    /// Whose connections are taken.
    pub rooms: Rooms,
    /// The time between two proofs of one presenter.
    pub pace: Duration,
    /// The nodes that are asked, and what came of the last question.
    pub nodes: Vec<AskedNode>,
    lines: Mutex<Rate>,
    /// When the last proof was refused, whose it was, and why.
    refused: Mutex<Option<(Instant, String)>>,
}

/// A node that is asked for proofs.
#[derive(Debug)]
pub struct AskedNode {
    /// Its admin address.
    pub address: String,
    /// Why it did not answer, if it did not.
    pub silent_because: Mutex<Option<String>>,
}

impl Shared {
    /// For these rooms; the lease sets the pace.
    pub fn new(
        gatehouse: Gatehouse,
        upstream: Endpoint,
        is_http: bool,
        rooms: Rooms,
        lease: Duration,
        nodes: &[String],
    ) -> Self {
        let unasked = || Mutex::new(Some("it was not asked yet".into()));
        let asked = |address: &String| AskedNode { address: address.clone(), silent_because: unasked() };
        Shared {
            gatehouse,
            upstream,
            is_http,
            counters: Counters::default(),
            strangers: Seats::new(STRANGERS_MAX, STRANGERS_PER_IP_MAX),
            rooms,
            pace: (Timing { lease }.usable() / 3).max(PROOF_PACE_MIN),
            nodes: nodes.iter().map(asked).collect(),
            refused: Mutex::default(),
            lines: Mutex::new(Rate::new(REFUSAL_LINES_PER_SECOND, REFUSAL_LINES_PER_SECOND)),
        }
    }

    /// Whether a line about what strangers do may be logged now.
    pub fn may_log(&self) -> bool {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).allows(Instant::now())
    }

    /// Notes whose proof was refused and why, or that one held.
    pub fn note_refusal(&self, refused: Option<String>) {
        let noted = refused.map(|why| (Instant::now(), why));
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = noted;
    }

    fn refused_just_now(&self) -> Option<String> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.as_ref().filter(|(at, _)| at.elapsed() < REFUSAL_TOLD).map(|(_, why)| why.clone())
    }

    /// Why nothing passes, with what is known of the nodes; nothing while the door is open.
    pub fn why_closed(&self) -> Option<(&'static str, String)> {
        let (reason, why) = self.gatehouse.now().situation(crate::clock::now()).closed?;
        let why = match self.refused_just_now() {
            Some(refused) if reason == NO_PROOF => format!("{why}; refused was that of {refused}"),
            _ => why,
        };
        let silent = self.nodes.iter().filter(|node| node.is_silent()).count();
        let why = match (silent, self.nodes.len()) {
            (0, _) => why,
            (silent, asked) if silent == asked => format!("{why}; none of the {asked} nodes asked answers"),
            (silent, asked) => format!("{why}; {silent} of the {asked} nodes asked do not answer"),
        };
        Some((reason, why))
    }
}

impl AskedNode {
    /// Whether it did not answer the last question.
    pub fn is_silent(&self) -> bool {
        self.why().is_some()
    }

    /// Why it did not.
    pub fn why(&self) -> Option<String> {
        self.silent_because.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers whether it answered; whether that is news.
    pub fn answered(&self, silent_because: Option<String>) -> bool {
        let mut known = self.silent_because.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = known.is_some() != silent_because.is_some();
        *known = silent_because;
        is_news
    }
}
