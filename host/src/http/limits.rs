//! The bounds of the admin address, each with its reason.

use std::time::Duration;

/// Connections served at once: a handful of scrapers, probes and people; one more pushes out another.
pub const CONNECTIONS_MAX: usize = 64;
/// Watchers served at once, so that they never take all connections.
pub const WATCHERS_MAX: usize = 32;
/// How long a request's head may take, counted also while a connection is idle.
pub const HEAD_DEADLINE: Duration = Duration::from_secs(5);
/// How long an answer may take to be made and read, watching apart.
pub const EXCHANGE_DEADLINE: Duration = Duration::from_secs(15);
/// Largest head of a request, in bytes, and the room to read it.
pub const HEAD_MAX: usize = 16 << 10;
/// Fields in the head of a request.
pub const FIELDS_MAX: usize = 64;
/// Largest body of a request, in bytes: no route reads more than a short JSON object.
pub const BODY_MAX: usize = 4 << 10;
/// How long a hand-over may take until the successor is known to lead: the default patience with a command that does not
/// end, and two elections, of which the first fails.
pub const HANDOVER_DEADLINE: Duration = Duration::from_secs(13);
/// How often a hand-over that waits looks whether it is done: a fraction of the shortest lease.
pub const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Largest page of the certificate log, in bytes before it is written as text, but for one certificate more.
pub const LOG_PAGE: usize = 256 << 10;
/// Pages of the log that are read at once: each reads a file of some megabytes.
pub const LOG_READERS: usize = 2;
/// Certificates that are verified for show at once: each takes a core for some milliseconds.
pub const CHECKERS: usize = 2;
/// How often a watcher hears something, if only that there is nothing: a dead one is noticed by it.
pub const WATCH_BEAT: Duration = Duration::from_secs(10);
/// Events that wait for one watcher's connection.
pub const WATCH_QUEUE: usize = 16;
/// How long one event may wait for its watcher's connection to take it.
pub const WATCH_STALL: Duration = Duration::from_secs(10);

/// Largest event that a client of this program reads, in bytes: a failed election of 128 voters, each with its reason.
pub const EVENT_MAX: usize = 64 << 10;
/// Largest answer that a client of this program reads, in bytes: a proof of 128 voters and room.
pub const ANSWER_MAX: usize = 1 << 20;

const _: () = {
    assert!(WATCHERS_MAX < CONNECTIONS_MAX);
    assert!((LOG_PAGE + crate::limits::BUNDLE_MAX) / 2 * 3 + (64 << 10) < ANSWER_MAX);
    assert!(HANDOVER_DEADLINE.as_millis() < EXCHANGE_DEADLINE.as_millis());
};
