//! Every bound on what crosses a socket, with its reason.
//!
//! The relations between bounds that the code relies on are asserted at compile time below.

use std::time::Duration;

/// Largest frame on any connection, in bytes: an `Elect` with 128 views and their electorate fits with room.
pub const MESSAGE_MAX: usize = 1 << 20;
/// Largest frame taken from a peer that has not authenticated yet, in bytes.
pub const UNAUTHENTICATED_MESSAGE_MAX: usize = 64 << 10;

/// Voters in an electorate: 128 views of 128 keys each still fit in one message.
pub const VOTERS_MAX: usize = 128;
/// Members of an open cluster: its quorum is all of them, so more would rarely agree.
pub const OPEN_MEMBERS_MAX: usize = 32;
/// Observers a manifest may list or admit.
pub const OBSERVERS_MAX: usize = 1024;

/// A cluster's or a node's name, in bytes: fits a DNS label.
pub const NAME_MAX: usize = 63;
/// An address `host:port`, in bytes: a DNS name of 253, a colon, five digits.
pub const ADDRESS_MAX: usize = 259;

/// Shortest lease: its margin and step must stay well above scheduling noise.
pub const LEASE_MIN: Duration = Duration::from_millis(200);
/// Longest lease: nobody waits longer for a dead leader.
pub const LEASE_MAX: Duration = Duration::from_secs(60);
/// The lease when nothing else is said.
pub const LEASE_DEFAULT: Duration = Duration::from_secs(1);

/// Terms stay below 2^53, so that every JSON reader can hold them.
pub const TERM_MAX: u64 = (1 << 53) - 1;
/// Attempts to agree on a change of voters stay below 2^53 too.
pub const ATTEMPT_MAX: u64 = (1 << 53) - 1;
/// How far above its base (the certificate or the cluster clock) a term may be, besides elapsed milliseconds.
pub const TERM_WINDOW: u64 = 1024;

/// An attestation document, in bytes: the NSM answers with at most 16 KiB.
pub const DOCUMENT_MAX: usize = 16 << 10;
/// A signed view in the clear, in bytes: 128 keys of 34 bytes and 1 KiB of other fields.
pub const VIEW_MAX: usize = 6 << 10;
/// What sealing adds: a 32-byte encapsulated key and a 16-byte tag.
pub const SEAL_OVERHEAD: usize = 48;
/// An RSA signature, in bytes: keys of 2048 to 4096 bits.
pub const RSA_SIGNATURE_MAX: usize = 512;
/// Nonces that one challenge may cover.
pub const NONCES_MAX: usize = 256;
/// A nonce in an `Attest` request, in bytes: the NSM's own limit.
pub const ATTEST_NONCE_MAX: usize = 512;

/// Digest entries in one gossip message: every voter and as many observers as are ever admitted.
pub const DIGEST_ENTRIES_MAX: usize = VOTERS_MAX + OBSERVERS_MAX;
/// Heartbeats in one gossip message: at about 400 bytes each they fit in half a message.
pub const HEARTBEATS_MAX: usize = 1024;
/// Pieces of equivocation evidence in one message.
pub const EVIDENCE_MAX: usize = 8;

/// Electorates whose last certified term an enclave keeps for ever, 40 bytes each.
pub const ENCLAVE_ELECTORATES_MAX: usize = 65_536;
/// Certificates an enclave keeps for `Latest`.
pub const ENCLAVE_CERTIFICATES_MAX: usize = 256;
/// Connections an enclave serves at once.
pub const ENCLAVE_CONNECTIONS_MAX: usize = 64;
/// Request bytes an enclave holds at once, over all connections.
pub const ENCLAVE_IN_FLIGHT_MAX: usize = 16 << 20;

/// The longest `max_age` of an attestation document that a trust section may ask for: its leaf lives as long.
pub const AGE_MAX: Duration = Duration::from_secs(3 * 3600);
/// The `max_age` when nothing else is said.
pub const AGE_DEFAULT: Duration = Duration::from_secs(3600);
/// How far in the future a document's timestamp may lie: clocks differ.
pub const FUTURE_MAX: Duration = Duration::from_secs(60);
/// Sets of measurements a trust section may accept: an old and a new image, with room for regions.
pub const PCR_SETS_MAX: usize = 16;
/// A root certificate in DER, in bytes.
pub const ROOT_MAX: usize = 4 << 10;

const _: () = {
    assert!(VOTERS_MAX * (VIEW_MAX + SEAL_OVERHEAD + 8) + (192 << 10) <= MESSAGE_MAX);
    assert!(OPEN_MEMBERS_MAX <= VOTERS_MAX);
    assert!(ENCLAVE_IN_FLIGHT_MAX >= MESSAGE_MAX);
    assert!(VOTERS_MAX * 34 + 1024 <= VIEW_MAX);
};
