//! Keeping the memory of a process that holds a key to itself.
//!
//! A core dump would write the key to wherever the system puts dumps, and a debugger of the same user could read it. What
//! the process starts is not concerned: a new program can be dumped as usual. Root reads all memory in any case.

use nix::sys::prctl;
use std::io;

/// No core dump of this process, and no debugger of its user, from here on (prctl(2), `PR_SET_DUMPABLE`).
///
/// # Errors
/// What the system said, which on Linux never refuses.
pub fn keep_memory() -> io::Result<()> {
    Ok(prctl::set_dumpable(false)?)
}
