//! The node's end of the line to its supervisor.
//!
//! **A report counts from the moment that [`Link`] returned `Ok`**: it then lies in the supervisor's queue in the kernel,
//! where nothing that becomes of the node can take it back, and the supervisor reads that queue to its end after it has
//! seen the node die and before it judges. So no answer is waited for: whoever must be sure that the supervisor knows of
//! something before it begins reports it first, and begins when the report was taken.
//!
//! A report that was *not* taken ([`Unsupervised`]) means that the supervisor is gone, and this process about to be
//! killed, or that its queue is full because it stands still: what was to be reported must not begin.
//!
//! There is no guard that reports an end when it is dropped, on purpose: values are dropped also where a process goes to
//! pieces, and then nothing has ended.

use socket2::Socket;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::UnixDatagram;

use super::message::{Command, Report, Voter, WillBytes};
use crate::help::Help;

/// The way to this process's supervisor. Cheap to clone; never waits.
#[derive(Clone, Debug)]
pub struct Link {
    socket: Arc<Socket>,
    runners: Arc<AtomicU64>,
}

/// Which attached runner. Never used again in this life of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunnerId(u64);

/// The supervisor did not take a report.
#[derive(Debug, thiserror::Error)]
#[error("the supervisor of this node cannot be told: {0}")]
pub struct Unsupervised(io::Error);

impl Help for Unsupervised {
    fn help(&self) -> String {
        "it is stopped, or was killed and takes this node with it: start the node again".into()
    }
}

impl Link {
    /// A link over one end of a socket pair that keeps messages apart.
    pub(super) fn over(socket: Socket) -> io::Result<Link> {
        socket.set_nonblocking(true)?;
        Ok(Link { socket: Arc::new(socket), runners: Arc::default() })
    }

    /// Says before a leader-only command starts, or right after its process exists and before it may do anything, that
    /// the group is to be gone before the will is sent.
    ///
    /// Everything that descends from the node is looked for anyhow; this names what can be killed with one stroke, and
    /// the cgroup that must be seen empty.
    pub fn command_started(&self, group: i32, cgroup: Option<PathBuf>) -> Result<(), Unsupervised> {
        self.report(&Report::CommandStarted(Command { group, cgroup }))
    }

    /// Says that no process of the command is left.
    pub fn command_gone(&self, group: i32) -> Result<(), Unsupervised> {
        self.report(&Report::CommandGone { group })
    }

    /// Says, *before* a runner that is no descendant of this node is told that it may begin, that it is there. Until
    /// [`Link::runner_gone`] there is no last will: the supervisor cannot see such a runner end.
    pub fn runner_attached(&self) -> Result<RunnerId, Unsupervised> {
        let id = RunnerId(self.runners.fetch_add(1, Ordering::Relaxed));
        self.report(&Report::RunnerAttached { id: id.0 })?;
        Ok(id)
    }

    /// Says that a runner reported itself that its command is gone. That its connection broke is no such report.
    pub fn runner_gone(&self, id: RunnerId) -> Result<(), Unsupervised> {
        self.report(&Report::RunnerGone { id: id.0 })
    }

    /// Leaves the last will, in place of one left before.
    pub(crate) fn bequeath(&self, will: WillBytes<'_>) -> Result<(), Unsupervised> {
        let mut datagram = will.encode();
        let sent = self.send(&datagram);
        datagram.fill(0);
        std::hint::black_box(&datagram);
        sent
    }

    /// Says who is to be told of this node's death, in place of those said before.
    pub(crate) fn voters(&self, voters: Vec<Voter>) -> Result<(), Unsupervised> {
        self.report(&Report::Voters(voters))
    }

    /// Takes the will back for good.
    pub(crate) fn revoke(&self) -> Result<(), Unsupervised> {
        self.report(&Report::Revoked)
    }

    fn report(&self, report: &Report) -> Result<(), Unsupervised> {
        self.send(&report.encode())
    }

    /// One datagram, whole or not at all.
    fn send(&self, datagram: &[u8]) -> Result<(), Unsupervised> {
        loop {
            match (&*self.socket).write(datagram) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Unsupervised(error)),
            }
        }
    }

    /// The same line, to be read: every reader takes orders from the others.
    pub(super) fn orders(&self) -> io::Result<UnixDatagram> {
        let copy = self.socket.as_fd().try_clone_to_owned()?;
        UnixDatagram::from_std(copy.into())
    }
}
