//! The gate's numbers for Prometheus. docs/FENCING.md has the same names in a table, which a test compares.

use nitro_elect_protocol::electorate::VERSION;

use super::closed::{NO_PROOF, NOT_DURABLE};
use super::shared::Shared;
use crate::clock;
use crate::metrics::{Exposition, process};
use crate::node::metrics::ASSURANCES;

/// The short names of the reasons for which a gate is closed, as `Closed::reason` gives them.
const REASONS: [&str; 6] = [NO_PROOF, "draining", "fencing", "in_doubt", NOT_DURABLE, "stopping"];

/// All of it, as it is at this moment.
pub fn text(shared: &Shared) -> String {
    let mut out = Exposition::new();
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("protocol", &VERSION.to_string())];
    out.info("nitro_elect_gate_build_info", "Which build this is.", &labels);
    expose_door(&mut out, shared);
    expose_counters(&mut out, shared);
    process::expose(&mut out);
    out.into_text()
}

fn expose_door(out: &mut Exposition, shared: &Shared) {
    let now = shared.gatehouse.now().situation(clock::now());
    let closed = now.closed.map(|(reason, _)| reason);
    let is = |truth: bool| if truth { 1.0 } else { 0.0 };
    out.gauge(
        "nitro_elect_gate_open",
        "Whether the leader gets through: what /readyz says.",
        is(closed.is_none()),
    );
    out.gauges(
        "nitro_elect_gate_closed",
        "Whether the gate is closed for this reason.",
        "reason",
        &REASONS.map(|reason| (reason, is(closed == Some(reason)))),
    );
    out.gauges(
        "nitro_elect_gate_assurance",
        "What the newest proof taken in is worth: 1 for its kind, 0 for the others.",
        "assurance",
        &ASSURANCES.map(|(kind, name)| (name, is(now.assurance == Some(kind)))),
    );
    out.gauge("nitro_elect_gate_term", "The highest term that was admitted.", now.term.0 as f64);
    out.gauge(
        "nitro_elect_gate_proof_seconds",
        "What is left of the proof by which the gate is open.",
        now.left.as_secs_f64(),
    );
    out.gauge(
        "nitro_elect_gate_open_connections",
        "Connections to the resource that have not been seen to end.",
        now.connections as f64,
    );
    let silent = shared.nodes.iter().filter(|node| node.is_silent()).count();
    out.gauge(
        "nitro_elect_gate_silent_nodes",
        "Nodes that are asked for proofs and do not answer.",
        silent as f64,
    );
}

fn expose_counters(out: &mut Exposition, shared: &Shared) {
    for count in shared.counters.snapshot() {
        out.counter(&format!("nitro_elect_gate_{}_total", count.name), count.help, count.value);
    }
}
