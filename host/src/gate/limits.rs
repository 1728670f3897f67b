//! The bounds of a gate and of `connect`, each with its reason.

use std::time::Duration;

use crate::limits::{PROCESS_DESCRIPTORS, PROOF_FILE_MAX};

/// How long the resource has to end the connections of a term that is over, when nothing else is said.
pub const DRAIN_DEFAULT: &str = "30s";
/// How long the mark stays after the last connection: short ones, one after the other, cost no two writes each.
pub const MARK_IDLE: Duration = Duration::from_secs(1);
/// The wait before a fence command that failed is run again.
pub const FENCE_RETRY: Duration = Duration::from_secs(2);
/// How long a fence command may run.
pub const FENCE_DEADLINE: Duration = Duration::from_secs(60);
/// How often the door looks at the time.
pub const TICK: Duration = Duration::from_millis(100);

/// Descriptors that a gate or `connect` asks for: its connections, as many to the other side, and the process itself.
pub const DESCRIPTORS: usize = 4 * CONNECTIONS_PER_KEY + PROCESS_DESCRIPTORS;
/// Connections that have not authenticated yet.
pub const STRANGERS_MAX: usize = 128;
/// The same from one address.
pub const STRANGERS_PER_IP_MAX: usize = 96;
/// Connections of one key: a program's pool, and its next one.
pub const CONNECTIONS_PER_KEY: usize = 1024;
/// Proofs of one key that are read or judged at once, on connections for proofs, and as many on others: each may take a
/// mebibyte. Connections for proofs have places of their own, as a thousand programs that come too early would else keep
/// out the proof that lets them in.
pub const PROOFS_PER_KEY: usize = 2;
/// How long a place for proofs stays taken after one that was refused, so that a voter that lies has 40 judged a second.
pub const REFUSAL_PAUSE: Duration = Duration::from_millis(100);
/// For how long a proof that was refused is told of as a reason why the gate is closed.
pub const REFUSAL_TOLD: Duration = Duration::from_secs(10);
/// Longest text of an operator's word, in bytes: a term.
pub const WORD_MAX: usize = 64;
/// Largest message of the gate's protocol but for proofs, in bytes: a reason in words is the longest.
pub const MESSAGE_MAX: usize = 4 << 10;
/// Largest message with a proof, in bytes.
pub const PROOF_MESSAGE_MAX: usize = PROOF_FILE_MAX + 64;
/// Longest reason in a message, in characters.
pub const REASON_MAX: usize = 1000;
/// How long the other side may take for its next message: a node takes up to 3 s to have a nonce answered.
pub const MESSAGE_DEADLINE: Duration = Duration::from_secs(10);
/// How long a connection to the resource may take to open.
pub const DIAL_DEADLINE: Duration = Duration::from_secs(5);
/// Bytes read from a connection at once.
pub const COPY_CHUNK: usize = 32 << 10;
/// The least time between two proofs of one presenter, however short the lease.
pub const PROOF_PACE_MIN: Duration = Duration::from_millis(20);

/// Connections of programs that `connect` serves at once.
pub const LOCAL_MAX: usize = CONNECTIONS_PER_KEY - 24;
/// How often `connect` asks its node whether it leads.
pub const LEADER_LOOK: Duration = Duration::from_millis(50);
/// The wait before `connect` turns to a gate or node again that did not answer.
pub const RETRY: Duration = Duration::from_millis(200);
/// How long a program's connection waits for the gate to open, when nothing else is said.
pub const WAIT_DEFAULT: &str = "10s";
/// Largest head of a request in HTTP mode, in bytes.
pub const HEAD_MAX: usize = 64 << 10;
/// Fields in such a head.
pub const FIELDS_MAX: usize = 128;
/// How long such a head may take, counted also while the connection is idle.
pub const HEAD_DEADLINE: Duration = Duration::from_secs(60);

const _: () = assert!(LOCAL_MAX < CONNECTIONS_PER_KEY && STRANGERS_PER_IP_MAX < STRANGERS_MAX);
