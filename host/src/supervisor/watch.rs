//! The supervisor's loop: one thread that waits for signals and for the node's reports, and does nothing else.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use socket2::Socket;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;

use super::estate::{Doubt, End, Estate};
use super::limits::LINK_MESSAGE_MAX;
use super::locked::Locked;
use super::message::{Heard, Order, WillBytes, hear};
use super::sweep::{Reaped, reap};
use crate::limits::LAST_WILL_MAX;
use crate::signals::EndSignal;

/// Signals by which a node is asked to end; they are passed on as orders.
const ENDING: [(Signal, EndSignal); 3] = [
    (Signal::SIGTERM, EndSignal::Terminate),
    (Signal::SIGINT, EndSignal::Interrupt),
    (Signal::SIGHUP, EndSignal::HangUp),
];
/// Signals that the node is sent as they are: it hands all but the first on to its command, if it has one.
const PASSED_ON: [Signal; 4] = [Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGWINCH];
/// Bytes of a node key's seed.
const SEED: usize = 32;

/// The signals of this process: taken before the node is started, so that none is lost or ends the supervisor alone.
pub fn take_signals() -> io::Result<SignalFd> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    ENDING.iter().for_each(|(signal, _)| mask.add(*signal));
    PASSED_ON.iter().for_each(|signal| mask.add(*signal));
    mask.thread_block()?;
    Ok(SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
}

/// The will and the place where messages are read, since one of them is the will: both locked.
struct Vault {
    inbox: Locked,
    will: Locked,
    /// Bytes of the will's frame; none while there is no will.
    frame: Option<usize>,
}

/// A node that is watched.
pub struct Watch {
    node: Pid,
    line: Socket,
    /// Whether the node may still say something.
    line_open: bool,
    vault: Result<Vault, String>,
    estate: Estate,
}

impl Watch {
    /// Watches a node that was just started.
    pub fn new(node: Pid, line: Socket) -> Watch {
        let vault = Vault::new().map_err(|error| error.to_string());
        Watch { node, line, line_open: true, vault, estate: Estate::default() }
    }

    /// What is known of the node.
    pub fn estate(&self) -> &Estate {
        &self.estate
    }

    /// The will, if one was left.
    pub fn will(&self) -> Option<WillBytes<'_>> {
        self.vault.as_ref().ok()?.will()
    }

    /// Waits for the node to end, passing on signals and hearing its reports meanwhile.
    pub fn until_its_end(&mut self, signals: &SignalFd) -> io::Result<End> {
        loop {
            if let Some(end) = self.take_signals(signals)? {
                // It can say nothing any more; what it said before lies here.
                self.hear_all();
                return Ok(end);
            }
            self.hear_all();
            self.wait(signals)?;
        }
    }

    fn wait(&self, signals: &SignalFd) -> io::Result<()> {
        let both = [signals.as_fd(), self.line.as_fd()];
        let mut both = both.map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
        let open = if self.line_open { &mut both[..] } else { &mut both[..1] };
        match poll(open, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Deals with every signal that is here; how the node ended, if it has.
    fn take_signals(&mut self, signals: &SignalFd) -> io::Result<Option<End>> {
        while let Some(signal) = signals.read_signal()? {
            let signal =
                i32::try_from(signal.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
            match signal {
                Some(Signal::SIGCHLD) => {
                    if let Some(end) = self.reap_until_node() {
                        return Ok(Some(end));
                    }
                }
                Some(signal) => self.pass_on(signal),
                None => {}
            }
        }
        Ok(None)
    }

    /// Takes the ends of all that ended: the node, or orphans of what it runs.
    fn reap_until_node(&self) -> Option<End> {
        while let Reaped::One(child, end) = reap() {
            if child == self.node {
                return Some(end);
            }
        }
        None
    }

    /// Hands a signal to the node: one that asks to end as an order, which the node can tell from one that it was sent
    /// itself at the same time, as by Ctrl-C.
    fn pass_on(&self, signal: Signal) {
        let order = ENDING.iter().find(|(ending, _)| *ending == signal).map(|(_, order)| Order::End(*order));
        let told = order.is_some_and(|order| (&self.line).write(&order.encode()).is_ok());
        // An order is heard by a node that is stopped only when it goes on.
        let signal = if told { Signal::SIGCONT } else { signal };
        // The node is not reaped, so the number is its own.
        let _gone = kill(self.node, signal);
    }

    /// Reads every report that lies here.
    fn hear_all(&mut self) {
        let mut unlocked = Vec::new();
        loop {
            let inbox: &mut [u8] = match &mut self.vault {
                Ok(vault) => &mut vault.inbox,
                Err(_) => {
                    unlocked.resize(LINK_MESSAGE_MAX + 1, 0);
                    &mut unlocked
                }
            };
            match (&self.line).read(inbox) {
                Ok(len) if len > 0 => self.hear(len, &mut unlocked),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                _ => {
                    self.line_open = false;
                    return;
                }
            }
        }
    }

    fn hear(&mut self, len: usize, unlocked: &mut [u8]) {
        let (inbox, keep): (&mut [u8], _) = match &mut self.vault {
            Ok(vault) => (&mut vault.inbox[..len], Ok((&mut vault.will, &mut vault.frame))),
            Err(why) => (&mut unlocked[..len], Err(why.clone())),
        };
        match (hear(inbox), keep) {
            (Ok(Heard::Report(report)), _) => self.estate.hear(report),
            (Ok(Heard::Will(will)), Ok((place, frame))) => {
                place[..SEED].copy_from_slice(will.seed);
                place[SEED..SEED + will.frame.len()].copy_from_slice(will.frame);
                *frame = Some(will.frame.len());
                self.estate.leave();
            }
            (Ok(Heard::Will(_)), Err(why)) => {
                self.estate.leave();
                self.estate.doubt(Doubt::NotLocked(why));
            }
            (Err(error), _) => self.estate.doubt(error.into()),
        }
        inbox.fill(0);
    }
}

impl Vault {
    fn new() -> io::Result<Vault> {
        let inbox = Locked::new(LINK_MESSAGE_MAX + 1)?;
        Ok(Vault { inbox, will: Locked::new(SEED + LAST_WILL_MAX)?, frame: None })
    }

    fn will(&self) -> Option<WillBytes<'_>> {
        let (seed, rest) = self.will.split_first_chunk()?;
        Some(WillBytes { seed, frame: &rest[..self.frame?] })
    }
}
