//! A node's numbers for Prometheus. docs/METRICS.md has the same names in a table, which a test compares.
//!
//! What the node counts comes first, and is told also while the node does not answer; what it knows at this moment is
//! left out then. No label has a value that a peer could choose.

mod families;
#[cfg(test)]
mod tests;

use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::electorate::VERSION;
use nitro_elect_protocol::time::Boot;
use std::time::Duration;

use super::handle::Handle;
use crate::core::diagnosis::{self, CauseName};
use crate::core::event::{Drop, Unanswered};
use crate::core::status::{EnclaveStatus, Status};
use crate::metrics::{Exposition, process};
use families::{FAMILIES, HTTP_FAMILIES, expose};

/// All of it, as it is at this moment; without a status, as far as it is known without the node.
pub fn text(node: &Handle, status: Option<&Status>, now: Boot) -> String {
    let mut out = Exposition::new();
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("protocol", &VERSION.to_string())];
    out.info("nitro_elect_node_build_info", "Which build this is.", &labels);
    out.gauge(
        "nitro_elect_node_answers",
        "Whether the node answered its own question in time; else what it knows is left out.",
        truth(status.is_some()),
    );
    if let Some(status) = status {
        expose_node(&mut out, status);
        expose_leader(&mut out, status, now);
        expose_members(&mut out, status);
        expose_enclaves(&mut out, status);
        expose_dropped(&mut out, status);
    }
    expose(&mut out, FAMILIES, &node.counters());
    expose_times(&mut out, node);
    expose(&mut out, HTTP_FAMILIES, &node.http().snapshot());
    expose_http(&mut out, node);
    process::expose(&mut out);
    out.into_text()
}

fn truth(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

fn seconds(span: Duration) -> f64 {
    span.as_secs_f64()
}

fn expose_node(out: &mut Exposition, status: &Status) {
    let role = if status.voter { "voter" } else { "observer" };
    let labels = [("node", status.name.as_str()), ("cluster", &status.electorate.name), ("role", role)];
    out.info("nitro_elect_node_info", "Which node this is.", &labels);
    out.gauge(
        "nitro_elect_node_generation",
        "How often it was started with this state.",
        status.generation.0 as f64,
    );
    out.gauge(
        "nitro_elect_node_ready",
        "Whether it can be relied on to vote: what /readyz says.",
        truth(status.ready.is_ok()),
    );
    out.gauge(
        "nitro_elect_node_eligible",
        "Whether it would lead: it is not drained, unhealthy, or just stepped down.",
        truth(status.eligible),
    );
    out.gauge(
        "nitro_elect_node_state_writable",
        "Whether its state record could be written the last time it was to be.",
        truth(status.write_error.is_none()),
    );
    out.gauge(
        "nitro_elect_node_clock_offset_seconds",
        "Its wall clock less the voters' median.",
        status.clock_offset_ms as f64 / 1000.0,
    );
}

fn expose_leader(out: &mut Exposition, status: &Status, now: Boot) {
    let leader = status.leader.as_ref().filter(|leader| leader.until > now);
    out.gauge(
        "nitro_elect_node_leader_known",
        "Whether it knows of a lease that runs.",
        truth(leader.is_some()),
    );
    let held = status.held.filter(|(_, until)| *until > now);
    out.gauge("nitro_elect_node_is_leader", "Whether this very node holds the lease.", truth(held.is_some()));
    out.gauge(
        "nitro_elect_node_term",
        "The highest term that it has a certificate of.",
        status.term.0 as f64,
    );
    let left = leader.map_or(Duration::ZERO, |leader| leader.until.since(now));
    out.gauge(
        "nitro_elect_node_lease_remaining_seconds",
        "What is left of the lease as this node knows it; 0 if none is known.",
        seconds(left),
    );
    out.gauge(
        "nitro_elect_node_lease_seconds",
        "How long a lease lasts unless renewed, by the manifest.",
        seconds(status.electorate.lease()),
    );
    out.gauge(
        "nitro_elect_node_promises_held",
        "Voters whose promise supports this node's own lease.",
        status.supporters as f64,
    );
    let worth = status.certificate.as_ref().map(|certificate| certificate.assurance());
    out.gauges(
        "nitro_elect_node_certificate_assurance",
        "What the newest certificate is worth: 1 for its kind, 0 for the others.",
        "assurance",
        &ASSURANCES.map(|(kind, name)| (name, truth(worth == Some(kind)))),
    );
    let names: Vec<CauseName> = match leader {
        Some(_) => Vec::new(),
        None => diagnosis::causes(status).into_iter().map(|cause| cause.name).collect(),
    };
    // A node that is held up does not get here.
    let told = CauseName::ALL.into_iter().filter(|cause| *cause != CauseName::NodeHeldUp);
    let causes: Vec<_> = told.map(|cause| (cause.as_str(), truth(names.contains(&cause)))).collect();
    out.gauges(
        "nitro_elect_node_no_leader",
        "Why nobody leads, as far as this node can tell: 1 for each cause that holds.",
        "cause",
        &causes,
    );
}

/// What a certificate can be worth, and its name.
pub(crate) const ASSURANCES: [(Assurance, &str); 4] = [
    (Assurance::Attested, "attested"),
    (Assurance::Debug, "debug"),
    (Assurance::Simulated, "simulated"),
    (Assurance::Open, "open"),
];

fn expose_members(out: &mut Exposition, status: &Status) {
    let voters = || status.members.iter().filter(|member| member.voter);
    let observers = || status.members.iter().filter(|member| !member.voter);
    out.gauges(
        "nitro_elect_node_members_active",
        "Nodes that it sees alive, itself included.",
        "role",
        &[
            ("voter", voters().filter(|member| member.active).count() as f64),
            ("observer", observers().filter(|member| member.active).count() as f64),
        ],
    );
    out.gauge(
        "nitro_elect_node_members_connected",
        "Other nodes that it has a connection to.",
        status.members.iter().filter(|member| member.connected && member.id != status.id).count() as f64,
    );
    out.gauge("nitro_elect_node_voters", "Voters of the electorate.", status.electorate.n() as f64);
    out.gauge("nitro_elect_node_quorum", "Voters that an election takes.", status.electorate.quorum() as f64);
    out.gauge(
        "nitro_elect_node_equivocators",
        "Voters of which it has proof that they signed twice.",
        status.evidence.len() as f64,
    );
}

fn expose_enclaves(out: &mut Exposition, status: &Status) {
    let unanswered = Unanswered.to_string();
    let state = |enclave: &EnclaveStatus| match (&enclave.verified, &enclave.error) {
        (Some(_), None) => "accepted",
        (_, Some(error)) if *error == unanswered => "unreachable",
        (_, Some(_)) => "refused",
        (None, None) => "unknown",
    };
    let count =
        |wanted: &str| status.enclaves.iter().filter(|enclave| state(enclave) == wanted).count() as f64;
    out.gauges(
        "nitro_elect_node_enclaves",
        "Enclaves of this node, by what it thinks of them.",
        "state",
        &["accepted", "refused", "unreachable", "unknown"].map(|state| (state, count(state))),
    );
}

fn expose_dropped(out: &mut Exposition, status: &Status) {
    let count = |why: Drop| status.drops.iter().find(|(drop, _)| *drop == why).map_or(0, |(_, count)| *count);
    out.counters(
        "nitro_elect_node_messages_dropped_total",
        "Messages of peers that the rules dropped, by the reason.",
        "reason",
        &DROPS.map(|(why, name)| (name, count(why))),
    );
}

/// Why messages are dropped, and the name of each reason.
const DROPS: [(Drop, &str); 9] = [
    (Drop::Bound, "bound"),
    (Drop::Signature, "signature"),
    (Drop::OtherCluster, "other_cluster"),
    (Drop::Stranger, "stranger"),
    (Drop::TooMuch, "too_much"),
    (Drop::Certificate, "certificate"),
    (Drop::Evidence, "evidence"),
    (Drop::LeaseProof, "lease_proof"),
    (Drop::Unasked, "unasked"),
];

fn expose_times(out: &mut Exposition, node: &Handle) {
    let times = node.times();
    let spans = [
        (
            "nitro_elect_node_failover_seconds",
            "From the last renewal known of a lease that ran out to the next lease known.",
            &times.failover,
        ),
        (
            "nitro_elect_node_handover_seconds",
            "From a leader's resignation, or its last will, to the next lease known.",
            &times.handover,
        ),
        (
            "nitro_elect_node_leaderless_seconds",
            "How long no lease was known between two.",
            &times.leaderless,
        ),
        (
            "nitro_elect_node_election_seconds",
            "From this node's call for views to its certificate.",
            &times.election,
        ),
        (
            "nitro_elect_node_record_write_seconds",
            "How long it took to write and sync the state record.",
            &times.record_write,
        ),
    ];
    for (name, help, histogram) in spans {
        out.histogram(name, help, histogram);
    }
}

fn expose_http(out: &mut Exposition, node: &Handle) {
    let http = node.http();
    // What ended first: read the other way round, a difference could be below zero.
    let (closed, left) = (http.connections_closed.get(), http.watchers_left.get());
    out.gauge(
        "nitro_elect_node_http_open_connections",
        "Connections of the admin address that are open.",
        http.connections.get().saturating_sub(closed) as f64,
    );
    out.gauge(
        "nitro_elect_node_http_watchers",
        "Those who follow /v1/watch now.",
        http.watchers.get().saturating_sub(left) as f64,
    );
}
