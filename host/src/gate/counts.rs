//! What a gate counts.

use crate::transport::counters::counters;

counters!(
    /// What a gate counts since its start.
    Counters {
        connections: "Connections accepted.",
        handshakes_failed: "Connections that did not authenticate.",
        strangers_pushed_out: "Connections that lost their place before they authenticated.",
        not_admitted: "Connections with a key of no voter.",
        accept_failures: "Failures to accept a connection, for want of descriptors or memory.",
        proofs_held: "Proofs that opened the door or kept it open.",
        proofs_refused: "Proofs that did not.",
        forwarded: "Connections that were forwarded to the resource.",
        turned_away: "Connections and requests that were turned away.",
        resource_away: "Connections for which the resource could not be reached.",
        requests: "Requests forwarded in HTTP mode.",
        fence_commands: "Runs of the fence command.",
        fence_commands_failed: "Runs of it that failed.",
        not_durable: "Records that could not be written.",
    }
);
