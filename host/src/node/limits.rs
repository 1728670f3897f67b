//! The bounds of a node's shell, each with its reason.

use std::time::Duration;

/// Happenings kept for watchers that reconnect, and that a slow watcher may lag behind: hours of an ordinary day.
pub const HAPPENINGS_KEPT: usize = 256;
/// A line that repeats as long as its cause lasts is logged this often.
pub const REPEATED_LINE_EVERY: Duration = Duration::from_secs(10);
/// Calls that fail for reasons that take turns are told to watchers no more often than this.
pub const FAILURE_NEWS_EVERY: Duration = Duration::from_secs(1);
/// Dropped messages get one line this often.
pub const DROPPED_LINE_EVERY: Duration = Duration::from_secs(10);
/// An enclave that does not answer gets one line this often.
pub const UNREACHABLE_LINE_EVERY: Duration = Duration::from_secs(30);
/// A peer or an address that cannot be linked to gets one line this often.
pub const UNREACHED_LINE_EVERY: Duration = Duration::from_secs(60);
/// Questions from people and programs that wait for the node at once; one more is refused.
pub const QUESTIONS_WAITING: usize = 64;
/// How long a question waits for the node before it is told that there is no answer: a disk that syncs slowly holds
/// the node up for less.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(1);
/// How long a nonce waits for a leader's next renewal with its quorum: several round trips, and an election.
pub const PROOF_DEADLINE: Duration = Duration::from_secs(3);
/// Certificates kept to be looked at, and elections kept among the happenings however many others follow: those that
/// people remember.
pub const RECENT_CERTIFICATES: usize = 32;
/// Decoded events that wait for the node at once; past it, those of links wait, and connections are read more slowly.
pub const EVENTS_WAITING: usize = 1024;
/// Questions to one enclave under way at once; the rules ask a few at a time.
pub const ENCLAVE_QUESTIONS: usize = 16;
/// The least time an enclave has to answer, however short the lease: counting 128 views takes about 25 ms.
pub const ENCLAVE_DEADLINE_MIN: Duration = Duration::from_millis(100);
/// The least time it has for a document: security modules take tens of milliseconds, one after the other.
pub const ATTEST_DEADLINE_MIN: Duration = Duration::from_secs(2);
/// Answers of enclaves that wait for the node at once.
pub const ANSWERS_WAITING: usize = 64;
/// How long the node sleeps at most when nothing is due: a clock that jumped is noticed within it.
pub const SLEEP_MAX: Duration = Duration::from_secs(1);
/// How long the messages of a node that ends may take to leave.
pub const FLUSH_DEADLINE: Duration = Duration::from_millis(200);
