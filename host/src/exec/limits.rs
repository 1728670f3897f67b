//! The bounds between a node and the execs beside it, each with its reason.

use std::time::Duration;

use crate::limits::PROOF_FILE_MAX;

/// Execs beside one node at once: more than leader-only commands on one machine.
pub const EXECS_MAX: usize = 16;
/// Largest line to a node, in bytes: a nonce and a word.
pub const TO_NODE_MAX: usize = 1 << 10;
/// Largest line from a node, in bytes: a proof, each of whose line feeds and quotes is written as two bytes.
pub const FROM_NODE_MAX: usize = 2 * PROOF_FILE_MAX;
/// How long a stranger at the socket may take to say who it is.
pub const ATTACH_DEADLINE: Duration = Duration::from_secs(5);
/// How long one line may take to be taken by the other side.
pub const LINE_DEADLINE: Duration = Duration::from_secs(5);
/// The wait before an exec asks a node again that had nothing to say, or is away.
pub const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How often it is told that the node is still away.
pub const AWAY_LINE_EVERY: Duration = Duration::from_secs(10);
