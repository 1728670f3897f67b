//! The supervisor: the small process that the user starts, whose one child is the node, and which sends the node's last
//! will when the node is gone (DESIGN §3.4).
//!
//! ```text
//! user -> supervisor -> node (same program, same arguments, same process group)
//!             ^            \-> leader-only commands (groups of their own), and whatever they fork
//!             \--------------- all of it, once the node is gone: killed here until nothing is left
//! ```
//!
//! It has one thread, no runtime, no configuration and no file. It never starts the node again: that is the work of
//! systemd, or of whoever started it. The node dies with it (`PR_SET_PDEATHSIG`), and it learns of the node's death from
//! `wait`, never from a timeout: a node that is stopped, held by a debugger, or slow is alive.
//!
//! # The will
//!
//! At its start the node leaves a `Resign` of its present generation that covers every term, with its key to deliver it.
//! Both lie in locked memory here and in no file, and go to the voters only after [`estate::Estate::judge`] found nothing
//! of the node left that could act. Sent early, the will would end a live lease and make two leaders; not sent, it costs
//! what is left of the lease. So every doubt is decided against it.
//!
//! # Limits
//!
//! Root, and whoever the system lets debug this process, can read the will in its memory; TLS makes copies of the key in
//! ordinary memory for the few milliseconds of a delivery, when the node's life is over. A supervisor that is itself killed
//! takes the node with it and sends nothing.

pub mod birth;
pub mod deliver;
pub mod estate;
pub mod limits;
pub mod link;
pub mod locked;
pub mod message;
pub mod orders;
pub mod sweep;
pub mod watch;

pub use birth::{Birth, birth};
pub use link::{Link, RunnerId, Unsupervised};
pub use sweep::{children_of, sweep};

use nix::sys::prctl;
use std::io;
use std::process::ExitCode;
use std::time::Instant;

use crate::help::Help;
use crate::secrecy;
use deliver::{Delivered, deliver};
use estate::{End, NoWill};
use limits::{SWEEP_DEADLINE, WILL_DEADLINE};
use watch::Watch;

/// A node cannot be supervised here.
#[derive(Debug, thiserror::Error)]
#[error("the node could not be started below its supervisor: {0}")]
pub struct CannotSupervise(#[from] io::Error);

impl Help for CannotSupervise {
    fn help(&self) -> String {
        "check that /proc is there, and the limits of this user: processes, open files".into()
    }
}

/// Starts the node, lives as long as it does, and does what is to be done after it. The exit code is the node's, or
/// 128 + the signal that ended it. `log` is called before the first line, if there is one.
pub fn supervise(log: impl FnOnce()) -> Result<ExitCode, CannotSupervise> {
    prctl::set_child_subreaper(true).map_err(io::Error::from)?;
    let signals = watch::take_signals()?;
    let (node, line) = birth::start()?;
    // From here on its memory can hold the key.
    secrecy::keep_memory()?;
    let mut watch = Watch::new(node, line);
    let end = watch.until_its_end(&signals)?;
    let seen = Instant::now();
    let swept = sweep(watch.estate().commands(), SWEEP_DEADLINE);
    let judged = watch.estate().judge(end, swept);
    let sent =
        judged.map(|()| watch.will().map(|will| deliver(will, watch.estate().voters(), WILL_DEADLINE)));
    if let Some(line) = line_of(sent, seen) {
        log();
        line.tell(end);
    }
    Ok(ExitCode::from(end.exit_code()))
}

/// What is told of a node's death, if anything.
enum Line {
    Sent { delivered: Delivered, took: std::time::Duration },
    NotSent(String),
}

fn line_of(sent: Result<Option<io::Result<Delivered>>, NoWill>, seen: Instant) -> Option<Line> {
    match sent {
        Ok(Some(Ok(delivered))) => Some(Line::Sent { delivered, took: seen.elapsed() }),
        Ok(Some(Err(error))) => Some(Line::NotSent(error.to_string())),
        Ok(None) | Err(NoWill::Nothing(_)) => None,
        Err(NoWill::Doubt(doubt)) => Some(Line::NotSent(doubt.to_string())),
    }
}

impl Line {
    fn tell(&self, end: End) {
        match self {
            Line::Sent { delivered: Delivered { taken, voters }, took } => tracing::info!(
                event = "last_will",
                taken,
                voters,
                took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                "the node {end}; its last will reached {taken} of {voters} voters within {} ms",
                took.as_millis()
            ),
            Line::NotSent(why) => tracing::warn!(
                event = "no_last_will",
                "the node {end}; its last will is not sent, and the lease decides: {why}"
            ),
        }
    }
}
