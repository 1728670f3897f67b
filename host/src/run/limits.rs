//! The bounds of leader-only work, each with its reason.

use std::time::Duration;

/// What is kept of a lease for killing: everything that work has started is to be gone when the lease, less its margin,
/// ends. Killing takes under 5 ms on a busy machine, and a process needs its processor once more to die.
pub const KILL_RESERVE: Duration = Duration::from_millis(20);
/// How often what was killed and is still there is killed again: its children may have been born meanwhile.
pub const KILL_AGAIN: Duration = Duration::from_millis(5);
/// The wait before a command that ended by itself is started again.
pub const AGAIN_FIRST: Duration = Duration::from_millis(100);
/// The longest such wait; each is twice the one before.
pub const AGAIN_MAX: Duration = Duration::from_secs(10);
/// A command that ran for this long ran well: the next wait is the first again.
pub const RAN_WELL: Duration = Duration::from_secs(10);

/// Largest line between a runner and who started it, in bytes: a command line of Linux takes 128 KiB a word, and one
/// that long in numbers belongs in a file.
pub const LINE_MAX: usize = 256 << 10;
/// Lines that wait for whoever reads slowly.
pub const LINES_WAITING: usize = 64;
/// How long a runner may take to begin: it is this program once more.
pub const RUNNER_BEGINS: Duration = Duration::from_secs(10);
/// How long whoever started a runner may take to say what it is to run.
pub const SETUP_DEADLINE: Duration = Duration::from_secs(10);
/// How long a runner may leave an order unread: it reads within a millisecond, unless it is stopped.
pub const ORDER_DEADLINE: Duration = Duration::from_secs(1);
/// How long after the lease's end a runner may take to say that the command is gone; then it counts as lost.
pub const RUNNER_LATE: Duration = Duration::from_millis(500);
/// How much longer than its patience the end of a command may take until it is known: to kill, to see it, to tell.
pub const END_OF_WORK: Duration = Duration::from_secs(2);

/// The shortest time that a watchdog may wait: a busy machine keeps a process waiting for a tenth of it.
pub const WATCHDOG_MIN: Duration = Duration::from_millis(100);
/// Datagrams of a command read in one go: whoever floods the watchdog keeps no deadline from being met.
pub const BEATS_AT_ONCE: usize = 32;
/// Largest datagram of a command, in bytes; what is longer is cut. systemd takes 4 KiB as well.
pub const BEAT_MAX: usize = 4 << 10;

const _: () = assert!(KILL_AGAIN.as_millis() < KILL_RESERVE.as_millis());
