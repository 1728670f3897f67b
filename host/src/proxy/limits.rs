//! The bounds of a proxy, each with its reason.

use nitro_elect_protocol::limits::{ENCLAVE_CONNECTIONS_MAX, UNAUTHENTICATED_MESSAGE_MAX, VOTERS_MAX};
use std::time::Duration;

use crate::limits::ENCLAVE_CONNECTIONS;

/// Connections that nobody vouches for, waiting to authenticate or, on a plain port, for a request.
pub const STRANGERS_MAX: usize = 128;
/// The same from one IP address or virtual machine: all nodes of a developer's machine share one.
pub const STRANGERS_PER_ORIGIN_MAX: usize = 96;
/// Connections of one admitted key: what a node keeps to an enclave, and as many again while it restarts.
pub const CONNECTIONS_PER_KEY: usize = 2 * ENCLAVE_CONNECTIONS;
/// How long an admitted client may pause between requests: nodes ask their enclaves
/// every few seconds whether they answer.
pub const IDLE: Duration = Duration::from_secs(600);
/// How long a client on a plain port may.
pub const PLAIN_IDLE: Duration = Duration::from_secs(60);
/// Requests longer than this count as large: all but elections of many voters are shorter.
pub const LARGE_REQUEST: usize = UNAUTHENTICATED_MESSAGE_MAX;
/// Large requests held at once for all clients of a plain port; of each admitted key, one is.
pub const LARGE_REQUESTS_MAX: usize = 16;
/// Requests at the enclave at once; the enclave serves several proxies.
pub const TURNS: usize = 8;
/// Requests for a document at the enclave at once, besides those: its security module serves one at a time, and
/// elections must not wait for it.
pub const DOCUMENT_TURNS: usize = 4;
/// Requests that wait for a turn at the enclave: every voter's, several times.
pub const WAITING_MAX: usize = 4 * VOTERS_MAX;
/// How long a request waits for its turn before the answer is that the enclave is busy.
pub const TURN_DEADLINE: Duration = Duration::from_secs(2);
/// How often the enclave is asked how it does.
pub const HEALTH_INTERVAL: Duration = Duration::from_secs(1);
/// How long it may take to say so: a cluster whose enclave takes longer cannot use it for elections anyway.
pub const HEALTH_DEADLINE: Duration = Duration::from_secs(2);
/// Connections over what its bounds add up to: those that lost their seat and have not ended yet.
pub const SPARE_CONNECTIONS: usize = 64;
/// How often the attestation document is fetched anew; the enclave renews it every 10 minutes.
pub const DOCUMENT_INTERVAL: Duration = Duration::from_secs(60);
/// The wait before an enclave that is away is tried again.
pub const RETRY: Duration = Duration::from_millis(200);

const _: () = {
    assert!(TURNS + DOCUMENT_TURNS < ENCLAVE_CONNECTIONS_MAX);
    assert!(STRANGERS_PER_ORIGIN_MAX < STRANGERS_MAX);
};
