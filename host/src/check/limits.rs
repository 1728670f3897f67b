//! The bounds of health checks, each with its reason.

use std::time::Duration;

/// The shortest interval between tries: a command takes some milliseconds to start.
pub const INTERVAL_MIN: Duration = Duration::from_millis(50);
/// The largest head of an answer that is read, in bytes.
pub const ANSWER_HEAD_MAX: usize = 16 << 10;
/// Longest URL, in bytes: what servers take.
pub const URL_MAX: usize = 2048;
