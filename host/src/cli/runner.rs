//! `nitro-elect runner`: the process in which `node` and `exec` run a command. For them alone, so it is not listed.

use std::ffi::OsString;
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use super::failure::{FAILED, Failure, USAGE};
use crate::run::runner;

const AFTER_HELP: &str = "\
It takes orders over a socket that it inherits, and ends with whoever holds the
other end.

Examples:
  nitro-elect node --manifest cluster.toml --state node-1 -- CMD
  nitro-elect exec --state node-1 --manifest cluster.toml -- CMD";

/// Run a command for a node or an exec, which start this themselves
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, hide = true)]
pub struct Args {
    /// The socket's descriptor
    #[arg(value_name = "FD", value_parser = clap::value_parser!(RawFd).range(3..))]
    channel: RawFd,
    /// The command
    #[arg(last = true, required = true, num_args = 1.., value_name = "CMD")]
    command: Vec<OsString>,
}

/// Runs the command until the owner is gone.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let channel = inherited(args.channel).ok_or_else(not_for_people)?;
    let again = "start the node or the exec again that this runs for";
    runner::run(channel, &args.command).map_err(|error| Failure::new(FAILED, error, again))?;
    Ok(ExitCode::SUCCESS)
}

/// The socket, closed to everything that is started from here on.
fn inherited(channel: RawFd) -> Option<UnixStream> {
    // SAFETY: fcntl with F_SETFD takes numbers, and fails for a descriptor that is not open.
    if unsafe { libc::fcntl(channel, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return None;
    }
    // SAFETY: it is open, our owner handed it to this process alone for this purpose, and nothing else here knows of it.
    let stream = unsafe { UnixStream::from_raw_fd(channel) };
    stream.peer_addr().ok().map(|_| stream)
}

fn not_for_people() -> Failure {
    let instead = "use `nitro-elect node ... -- CMD` or `nitro-elect exec`";
    Failure::new(USAGE, "the descriptor is no open socket", instead)
}
