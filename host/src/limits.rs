//! The bounds that parts of the untrusted side share, each with its reason. What bounds one part alone is in that part's
//! own `limits`, what bounds the wire in [`nitro_elect_protocol::limits`].
//!
//! The relations that code relies on are asserted at compile time at the end.

use nitro_elect_protocol::certificate;
use nitro_elect_protocol::limits::{
    DOCUMENT_MAX, MESSAGE_MAX, NONCES_MAX, OBSERVERS_MAX, RSA_SIGNATURE_MAX, VIEW_MAX, VOTERS_MAX,
};
use nitro_elect_protocol::resign::Resign;
use nitro_elect_protocol::statement::Statement;
use std::time::Duration;

/// Largest single write, in bytes: virtual sockets of some hypervisors lose larger ones without a word.
pub const WRITE_CHUNK: usize = 16 << 10;
/// Largest growth of a frame's buffer at a time, in bytes: a length header alone never allocates more.
pub const READ_CHUNK: usize = 16 << 10;

/// How long a frame may take from its first byte to its last, in either direction: 1 MiB in 5 s is under 2 Mbit/s.
pub const FRAME_DEADLINE: Duration = Duration::from_secs(5);
/// How long a dial may take: name, connection, TLS and the greeting.
pub const DIAL_DEADLINE: Duration = Duration::from_secs(3);
/// How long a stranger may take to authenticate: a slow one is nobody that an election could count on.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(3);
/// Largest answer line of a hybrid-vsock handshake, in bytes: `OK `, a port of ten digits, a line feed.
pub const HYBRID_ANSWER_MAX: usize = 32;
/// Name lookups in flight: each holds a thread for as long as the system's resolver hangs.
pub const LOOKUPS_MAX: usize = 16;
/// Longest path of a Unix socket, in bytes: `sun_path` holds 108 with its final zero.
pub const UNIX_PATH_MAX: usize = 107;

/// Connections of strangers held at once while they authenticate; a further one pushes out another.
pub const STRANGERS_MAX: usize = 128;
/// The same from one IP address: whole clusters live behind one on a developer's machine.
pub const STRANGERS_PER_IP_MAX: usize = 48;
/// Largest frame that a last will is sent as, in bytes: a resignation, its signature, and the envelope.
pub const LAST_WILL_MAX: usize = Resign::BYTES_MAX + 256;
/// A connection silent in both directions for this long is closed: heartbeats flow several times a second.
pub const PEER_SILENCE: Duration = Duration::from_secs(5);
/// Sent bytes unacknowledged for this long end a connection: its peer is behind a black hole.
pub const PEER_UNACKNOWLEDGED: Duration = Duration::from_secs(5);
/// How often the other side of an idle TCP connection is asked whether it is still there.
pub const ABSENT_PROBE: Duration = Duration::from_secs(5);
/// How long it may leave that, or bytes it was sent, unanswered: its machine is gone, or behind a black hole.
pub const ABSENT_AFTER: Duration = Duration::from_secs(15);
/// Frames waiting to be sent to one peer: seconds of gossip, beyond which it is stale anyway.
pub const SEND_QUEUE_FRAMES: usize = 1024;
/// Bytes waiting to be sent to one peer: two of the largest frames.
pub const SEND_QUEUE_BYTES: usize = 2 * MESSAGE_MAX;
/// Frames a second read from one peer; a healthy one sends a few dozen.
pub const PEER_FRAMES_PER_SECOND: u32 = 2000;
/// Frames read from one peer before that rate applies: an election's burst.
pub const PEER_FRAMES_BURST: u32 = 500;
/// Received bytes of one peer that wait for the node at once: two of the largest frames.
pub const PEER_INBOX_BYTES: usize = 2 * MESSAGE_MAX;
/// Received bytes of all peers that wait for the node at once.
pub const INBOX_BYTES: usize = 64 << 20;
/// Events of links that wait at once to be decoded for the node.
pub const LINK_EVENTS_WAITING: usize = 4096;
/// Addresses and peers that a node dials: every voter, the listed observers, and what people typed.
pub const DIALS_MAX: usize = VOTERS_MAX + OBSERVERS_MAX;
/// The wait before the first redial, as a part of the longest wait.
pub const REDIAL_FIRST_PART: u32 = 20;
/// The longest wait between dials of a peer that is no voter.
pub const REDIAL_OTHERS_MAX: Duration = Duration::from_secs(30);
/// The pause after a failed `accept`: out of descriptors, closing some takes a moment.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Log lines a second about refused strangers; the counters know of all.
pub const REFUSAL_LINES_PER_SECOND: u32 = 5;

/// Connections that a node keeps to one enclave: an election, an attestation, a question, one to spare.
pub const ENCLAVE_CONNECTIONS: usize = 4;
/// How long a connection to an enclave may take to open.
pub const ENCLAVE_CONNECT_DEADLINE: Duration = Duration::from_secs(2);

/// How long an enclave may take to answer: a tally takes milliseconds, its security module a few more.
pub const ENCLAVE_ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// Descriptors of a process besides its connections: standard streams, the runtime's own, files, the admin address.
pub const PROCESS_DESCRIPTORS: usize = 128;
/// How long a connection that is being refused may take to read why.
pub const FAREWELL_DEADLINE: Duration = Duration::from_secs(1);

/// Largest key file, in bytes: an Ed25519 key takes 119, and a wrong key should be named, not cut off.
pub const KEY_FILE_MAX: usize = 16 << 10;
/// Largest trust file, in bytes: 16 sets of PCRs and a root certificate take a tenth of it.
pub const TRUST_FILE_MAX: usize = 128 << 10;
/// Largest manifest, in bytes: 128 voters and 1,024 observers with room for comments.
pub const MANIFEST_FILE_MAX: usize = 1 << 20;
/// Largest record of a state directory, in bytes: it takes about 300.
pub const RECORD_MAX: usize = 4 << 10;
/// Largest file that says at which manifest a node is, in bytes: two electorates of 128 voters take 110 KiB.
pub const STANDING_MAX: usize = 256 << 10;
/// Largest file of what a voter endorsed and approved, in bytes: it takes about 250.
pub const LEDGER_MAX: usize = 4 << 10;
/// Largest file of words about a change of voters, in bytes: one of each voter, a few electorates, and certificates that
/// are cut to the promises that they need.
pub const CHANGE_FILE_MAX: usize = 4 << 20;
/// Words, electorates and certificates in the files of one change: what each voter can hand out, in a few attempts.
pub const CHANGE_BLOCKS_MAX: usize = 8 * VOTERS_MAX;
/// Largest encoded bundle, in bytes: certificate, signature, document, a promise of each voter (1 KiB, and
/// 96 bytes around it), and 1 KiB of names.
pub const BUNDLE_MAX: usize =
    certificate::BYTES_MAX + RSA_SIGNATURE_MAX + DOCUMENT_MAX + VOTERS_MAX * (1024 + 96) + 1024;
/// Entries in one log file before it is put aside, two for most certificates: the second has the promises. A calm
/// cluster fills a file in years, one that elects every 10 seconds in three hours.
pub const LOG_CERTIFICATES_MAX: usize = 2048;
/// Largest log file, in bytes: at it, the file is put aside early. It is read whole at start.
pub const LOG_FILE_MAX: u64 = 16 << 20;
/// Log files kept that were put aside: 18,432 entries with the one that grows, and 150 MiB at the very most.
pub const LOG_FILES_ASIDE_MAX: usize = 8;
/// What a node shows of its log until it comes to its end, in bytes: more than any keeps, as text. A reader holds it in
/// memory or writes it to a file.
pub const LOG_SHOWN_MAX: u64 = LOGS_READ_MAX / 4;
/// Exported logs verified at once, in bytes; they are held in memory. Five nodes' logs at their very fullest.
pub const LOGS_READ_MAX: u64 = 1 << 30;
/// Lines of an exported log that may be no proof before it is called no log.
pub const LOG_BAD_LINES_MAX: usize = 100;
/// Largest piece of evidence, in bytes: two views with their signatures and names.
pub const EVIDENCE_MAX: usize = 2 * (VIEW_MAX + 256);
/// Files of evidence kept: one a voter, and some that a manifest before this one had. For one more the oldest goes.
pub const EVIDENCE_FILES_MAX: usize = 2 * VOTERS_MAX;
/// Largest record of a fence, in bytes: it takes about 300.
pub const FENCE_RECORD_MAX: usize = 4 << 10;
/// Nonces that a fence remembers: with more drawn, the oldest are forgotten. A lease proof answers at most 256.
pub const FENCE_NONCES_MAX: usize = 4 * NONCES_MAX;
/// Largest proof file, in bytes: a bundle, a lease's promises and nonces, and an open electorate, in base64.
pub const PROOF_FILE_MAX: usize = 1 << 20;
/// Largest electorate in a proof file, in bytes: 32 members of an open cluster and a trust section.
pub const OPEN_ELECTORATE_MAX: usize = 32 << 10;

const _: () = {
    assert!(ABSENT_PROBE.as_secs() < ABSENT_AFTER.as_secs());
    assert!(SEND_QUEUE_BYTES >= MESSAGE_MAX && PEER_INBOX_BYTES >= MESSAGE_MAX);
    assert!(INBOX_BYTES >= PEER_INBOX_BYTES);
    assert!(STRANGERS_PER_IP_MAX < STRANGERS_MAX);
    assert!(WRITE_CHUNK <= 16 << 10);
    assert!(BUNDLE_MAX < 256 << 10);
    assert!((2 * BUNDLE_MAX + OPEN_ELECTORATE_MAX) / 3 * 4 + NONCES_MAX * 80 + 4096 < PROOF_FILE_MAX);
    assert!(LOG_FILE_MAX > 16 * BUNDLE_MAX as u64);
    assert!(LOG_FILES_ASIDE_MAX >= 2);
    assert!((LOG_FILES_ASIDE_MAX as u64 + 1) * (LOG_FILE_MAX / 2 * 3) < LOG_SHOWN_MAX);
    assert!(5 * (LOG_FILES_ASIDE_MAX as u64 + 1) * (LOG_FILE_MAX / 3 * 4) < LOGS_READ_MAX);
};
