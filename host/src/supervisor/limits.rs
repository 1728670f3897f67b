//! The bounds between a node and its supervisor, each with its reason.

use nitro_elect_protocol::limits::{ADDRESS_MAX, VOTERS_MAX};
use std::time::Duration;

use crate::limits::LAST_WILL_MAX;

/// Largest message between a node and its supervisor, in bytes: every voter of the largest electorate, with its key and
/// its longest address. It stays under the queue of a Unix socket, 208 KiB by default.
pub const LINK_MESSAGE_MAX: usize = 48 << 10;
/// Largest message from a supervisor to its node, in bytes: the name of a signal.
pub const ORDER_MAX: usize = 256;
/// Longest path of a cgroup in a message, in bytes: what the system takes as a path.
pub const CGROUP_PATH_MAX: usize = 4096;
/// Leader-only commands known at once; a node runs one, and a few checks beside it.
pub const COMMANDS_MAX: usize = 64;
/// Runners attached at once that are told apart: far more than a machine has leader-only commands.
pub const RUNNERS_MAX: usize = 1024;
/// How long the voters may take to be told of a node's death, all in all: well under the default lease of 1 s, and
/// whoever restarts the node is not held up.
pub const WILL_DEADLINE: Duration = Duration::from_millis(200);
/// How long what a node leaves behind may take to be gone after it was killed: a process that the kernel does not let
/// die sooner is stuck in a device, and nobody can say when it ends.
pub const SWEEP_DEADLINE: Duration = Duration::from_secs(2);

const _: () = {
    assert!(VOTERS_MAX * (32 + ADDRESS_MAX + 64) <= LINK_MESSAGE_MAX);
    assert!(CGROUP_PATH_MAX + 256 <= LINK_MESSAGE_MAX);
    assert!(LAST_WILL_MAX + 64 <= LINK_MESSAGE_MAX);
};
