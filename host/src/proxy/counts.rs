//! What the proxy counts.

use crate::transport::counters::counters;

counters!(
    /// What the proxy did, and every reason for which it did not.
    Counters {
        connections: "Connections accepted.",
        connections_closed: "Connections that ended.",
        pushed_out: "Connections ended to make room for newer ones of strangers.",
        replaced: "Connections ended since their key opened more than it may have.",
        handshakes_failed: "Connections that did not authenticate.",
        not_admitted: "Connections refused since their key is in no manifest.",
        accept_failures: "Failures to accept a connection, for want of descriptors or memory.",
        requests: "Whole requests received.",
        forwarded: "Requests that the enclave answered.",
        from_cache: "Requests for an attestation document answered from the cache.",
        refused_unreadable: "Requests refused since they are no message of a known version.",
        refused_not_served: "Requests refused since their electorate is none that is served to this client.",
        refused_busy: "Requests refused since too many waited for the enclave.",
        refused_unreachable: "Requests refused since the enclave could not be reached.",
        answers_lost: "Elections whose answer from the enclave got lost; the client's connection was ended.",
        bad_frames: "Connections ended since what they sent was no frame.",
        stalled: "Connections ended since a frame did not pass in time.",
        enclave_lost: "Times that the enclave went away.",
    }
);
