//! The proxy's numbers for Prometheus. docs/OPERATIONS.md has the same names in a table, which a test compares.

use super::counts::Counters;
use super::shared::Shared;
use super::upstream::EnclaveState;
use crate::metrics::{Exposition, process};
use crate::transport::counters::Counter;
use nitro_elect_protocol::electorate::VERSION;

/// All of it, as it is at this moment.
pub fn text(shared: &Shared) -> String {
    let mut out = Exposition::new();
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("protocol", &VERSION.to_string())];
    out.info("nitro_elect_proxy_build_info", "Which build this is.", &labels);
    expose_enclave(&mut out, shared);
    expose_connections(&mut out, shared);
    expose_requests(&mut out, shared);
    process::expose(&mut out);
    out.into_text()
}

fn expose_enclave(out: &mut Exposition, shared: &Shared) {
    let is_up = matches!(shared.upstream.state(), EnclaveState::Up(_));
    out.gauge(
        "nitro_elect_proxy_enclave_up",
        "Whether the enclave answers: what /readyz says.",
        if is_up { 1.0 } else { 0.0 },
    );
    out.gauge(
        "nitro_elect_proxy_enclave_document_cached",
        "Whether its attestation document is at hand.",
        if shared.upstream.document().is_some() { 1.0 } else { 0.0 },
    );
    let lost = shared.counters.enclave_lost.get();
    out.counter("nitro_elect_proxy_enclave_losses_total", "Times that the enclave went away.", lost);
}

fn expose_connections(out: &mut Exposition, shared: &Shared) {
    let Counters { connections, connections_closed, accept_failures, .. } = &shared.counters;
    // Closed first: read the other way round, the difference could be below zero.
    let closed = connections_closed.get();
    out.gauge(
        "nitro_elect_proxy_open_connections",
        "Connections of clients that are open.",
        connections.get().saturating_sub(closed) as f64,
    );
    out.gauge(
        "nitro_elect_proxy_admitted_connections",
        "Connections among them whose client proved a key of the manifest.",
        shared.nodes.taken() as f64,
    );
    out.counter("nitro_elect_proxy_connections_total", "Connections accepted.", connections.get());
    out.counter(
        "nitro_elect_proxy_accept_failures_total",
        "Failures to accept a connection, for want of descriptors or memory.",
        accept_failures.get(),
    );
    let Counters { pushed_out, replaced, handshakes_failed, not_admitted, .. } = &shared.counters;
    let Counters { bad_frames, stalled, answers_lost, .. } = &shared.counters;
    let ended = [
        ("pushed_out", pushed_out),
        ("replaced", replaced),
        ("handshake", handshakes_failed),
        ("not_admitted", not_admitted),
        ("bad_frame", bad_frames),
        ("stalled", stalled),
        ("answer_lost", answers_lost),
    ];
    out.counters(
        "nitro_elect_proxy_connections_ended_total",
        "Connections that the proxy ended, by the reason.",
        "reason",
        &numbers(ended),
    );
}

fn expose_requests(out: &mut Exposition, shared: &Shared) {
    let Counters { requests, forwarded, from_cache, .. } = &shared.counters;
    out.counter("nitro_elect_proxy_requests_total", "Whole requests received.", requests.get());
    let answered = [("enclave", forwarded), ("cache", from_cache)];
    out.counters(
        "nitro_elect_proxy_answers_total",
        "Requests answered, by where the answer came from.",
        "source",
        &numbers(answered),
    );
    let Counters { refused_unreadable, refused_not_served, refused_busy, refused_unreachable, .. } =
        &shared.counters;
    let refused = [
        ("unreadable", refused_unreadable),
        ("not_served", refused_not_served),
        ("busy", refused_busy),
        ("unreachable", refused_unreachable),
    ];
    out.counters(
        "nitro_elect_proxy_refusals_total",
        "Requests that the proxy refused, by the reason.",
        "reason",
        &numbers(refused),
    );
    let lanes = [("elections", &shared.turns), ("documents", &shared.document_turns)];
    out.gauges(
        "nitro_elect_proxy_requests_at_enclave",
        "Requests that the enclave is working on, by their kind of turn.",
        "turn",
        &lanes.map(|(lane, turns)| (lane, turns.under_way() as f64)),
    );
    out.gauges(
        "nitro_elect_proxy_requests_waiting",
        "Requests that wait for their turn at the enclave.",
        "turn",
        &lanes.map(|(lane, turns)| (lane, turns.waiting() as f64)),
    );
    out.histogram(
        "nitro_elect_proxy_turn_wait_seconds",
        "How long requests waited for their turn at the enclave.",
        &shared.times.turn,
    );
    out.histogram(
        "nitro_elect_proxy_answer_seconds",
        "How long requests took to be answered by the enclave, the wait included.",
        &shared.times.answer,
    );
}

fn numbers<const N: usize>(counters: [(&'static str, &Counter); N]) -> [(&'static str, u64); N] {
    counters.map(|(value, counter)| (value, counter.get()))
}
