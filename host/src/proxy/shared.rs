//! What all connections of a proxy share, and the bounds that they share it under.

use super::counts::Counters;
use super::limits::{LARGE_REQUESTS_MAX, SPARE_CONNECTIONS};
use super::served::{Client, Served};
use super::turns::Turns;
use super::upstream::Upstream;
use super::{ProxyBounds, ProxyConfig};
use crate::limits::REFUSAL_LINES_PER_SECOND;
use crate::metrics::Histogram;
use crate::transport::rate::Rate;
use crate::transport::seats::{Seat, Seats};
use nitro_elect_protocol::ids::NodeId;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// What is counted by spans: from half a millisecond, less than which no enclave takes, to the longest deadline.
const SPANS: [Duration; 11] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// See the module.
pub struct Shared {
    pub served: Served,
    pub upstream: Upstream,
    /// Turns for elections and questions.
    pub turns: Arc<Turns>,
    /// Turns for attestation documents: they wait for the security module, and no election for them.
    pub document_turns: Arc<Turns>,
    pub bounds: ProxyBounds,
    pub counters: Counters,
    pub times: Times,
    /// Connections that nobody vouches for.
    pub strangers: Arc<Seats<Client>>,
    /// Connections of admitted keys.
    pub nodes: Arc<Seats<NodeId>>,
    /// Connections at once; see [`connections_max`].
    pub connections_max: usize,
    /// Whether the proxy takes in nobody and nothing any more.
    pub closing: watch::Sender<bool>,
    /// Those on a plain port who are sending a large request.
    pub large_readers: Arc<Seats<Client>>,
    /// Large requests held for everybody on a plain port.
    pub large_of_all: Arc<Semaphore>,
    /// Large requests held for each admitted key.
    large_of_key: HashMap<NodeId, Arc<Semaphore>>,
    refusal_lines: Mutex<Rate>,
}

/// How long things took.
pub struct Times {
    /// Waiting for a turn at the enclave.
    pub turn: Histogram,
    /// From a request to the enclave's answer to it, waiting included.
    pub answer: Histogram,
}

impl Shared {
    pub fn new(config: &ProxyConfig) -> Self {
        let bounds = config.bounds;
        let served = Served::new(&config.electorates);
        let large = LARGE_REQUESTS_MAX;
        let one_each = served.keys().map(|key| (*key, Arc::new(Semaphore::new(1)))).collect();
        Shared {
            upstream: Upstream::new(config),
            turns: Turns::new(bounds.turns, bounds.waiting),
            document_turns: Turns::new(bounds.document_turns, bounds.waiting),
            bounds,
            counters: Counters::default(),
            times: Times { turn: Histogram::new(&SPANS), answer: Histogram::new(&SPANS) },
            strangers: Seats::new(bounds.strangers, bounds.strangers_per_origin),
            nodes: Seats::new(usize::MAX, bounds.connections_per_key),
            connections_max: connections_max(config),
            closing: watch::Sender::new(false),
            large_readers: Seats::new(large, large - large / 4),
            large_of_all: Arc::new(Semaphore::new(large)),
            large_of_key: one_each,
            refusal_lines: Mutex::new(Rate::new(REFUSAL_LINES_PER_SECOND, REFUSAL_LINES_PER_SECOND)),
            served,
        }
    }

    /// A seat among those nobody vouches for, at the cost of another one if need be.
    pub fn seat(&self, client: Client) -> Seat<Client> {
        let (seat, pushed_out) = self.strangers.take(client);
        if pushed_out {
            self.counters.pushed_out.up();
        }
        seat
    }

    /// What bounds the large requests held for this key.
    pub fn large_of(&self, key: &NodeId) -> Arc<Semaphore> {
        self.large_of_key.get(key).unwrap_or(&self.large_of_all).clone()
    }

    /// Says that somebody was not served, if not too often. The counters know of all.
    pub fn log_refusal(&self, client: &Client, why: &dyn fmt::Display) {
        if self.may_log() {
            tracing::warn!(%client, %why, "not served");
        }
    }

    pub fn may_log(&self) -> bool {
        self.refusal_lines.lock().unwrap_or_else(PoisonError::into_inner).allows(Instant::now())
    }
}

/// The most connections that clients can have: those without a key, those of every key, and on a plain port those
/// whose requests are at the enclave or wait for it.
pub fn connections_max(config: &ProxyConfig) -> usize {
    let bounds = &config.bounds;
    let keys = Served::new(&config.electorates).keys_number();
    let at_the_enclave = bounds.turns + bounds.document_turns + 2 * bounds.waiting;
    bounds.strangers + keys * bounds.connections_per_key + at_the_enclave + SPARE_CONNECTIONS
}
