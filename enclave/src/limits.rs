//! The service's own bounds, each with its reason; those of the wire are in [`nitro_elect_protocol::limits`].

use nitro_elect_protocol::limits::{
    ENCLAVE_CONNECTIONS_MAX, ENCLAVE_IN_FLIGHT_MAX, MESSAGE_MAX, SEAL_OVERHEAD, VIEW_MAX,
};
use std::time::Duration;

/// The largest sealed view that is opened, in bytes: a view, its signature with the names of both fields, and
/// what sealing adds.
pub const SEALED_VIEW_MAX: usize = VIEW_MAX + 128 + SEAL_OVERHEAD;

/// How long one attestation document serves requests without a nonce: well under every `max_age` in use.
pub const DOCUMENT_RENEWAL: Duration = Duration::from_secs(600);
/// How long a document that could not be renewed goes on serving before the module is asked again.
pub const DOCUMENT_RETRY: Duration = Duration::from_secs(5);
/// Documents over a caller's nonce in any second: one takes the module some milliseconds.
pub const NONCES_PER_SECOND: u32 = 16;

/// The longest command line that a kernel takes, in bytes: 2048 on x86-64 and arm64, and room for others.
pub const KERNEL_LINE_MAX: usize = 4096;
/// Kernel modules in an image: the four or five of vsock and the security module, and some to spare.
pub const MODULES_MAX: usize = 16;
/// The context id of the parent instance, as Nitro has it.
pub const PARENT_CID: u32 = 3;
/// The port on which nitro-cli waits for word that an enclave is up.
pub const HEARTBEAT_PORT: u32 = 9000;
/// How long the parent may take to answer that word; nothing waits for it.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);

/// The vsock port of the service.
pub const VSOCK_PORT: u32 = 5005;
/// How long the listener pauses after it could not accept.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections beyond the limit that are told so; more than these are closed without a word.
pub const REFUSALS_MAX: usize = 64;
/// How long a connection may stay silent between two requests, and take to name the length of the next.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a request may take to arrive once its length is known, and an answer to leave.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that was refused is kept, so that its end can read why.
pub const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);
/// The most one write carries, in bytes: some vsock devices lose larger ones.
pub const WRITE_MAX: usize = 16 << 10;
/// The step in which request bytes are counted as they arrive, so that a length alone reserves nothing. The first step
/// of each connection is its own: every request but the largest elections fits in it.
pub const READ_STEP: usize = 64 << 10;

/// How long a request may wait for its turn.
pub const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
/// `Elect` requests that may wait: half of all connections.
pub const ELECT_QUEUE_MAX: usize = 32;
/// `Attest` requests that may wait: at the module's rate, half a second's worth.
pub const ATTEST_QUEUE_MAX: usize = 8;

const _: () = {
    assert!(ELECT_QUEUE_MAX + ATTEST_QUEUE_MAX < ENCLAVE_CONNECTIONS_MAX);
    assert!(WRITE_MAX <= READ_STEP && READ_STEP <= MESSAGE_MAX);
    assert!(ENCLAVE_CONNECTIONS_MAX * READ_STEP <= ENCLAVE_IN_FLIGHT_MAX / 2);
};
