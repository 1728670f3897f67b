//! What a supervisor knows of its node, and whether the will may be sent: pure, so that every case can be tried.
//!
//! A will sent while anything of the node can still act ends a live lease and makes two leaders. So it is sent only after
//! a death that left nothing behind, and every doubt is an answer: the lease decides then, as without a supervisor.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use super::limits::{COMMANDS_MAX, RUNNERS_MAX};
use super::message::{Command, LinkError, Report, Voter};

/// The exit code of a node that must not go on under its key: it may have another life beside this one.
pub const HALTED: u8 = 4;

/// How the node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With this exit code.
    Code(u8),
    /// By this signal.
    Signal(u8),
}

impl End {
    /// The exit code by which the supervisor passes it on: 128 + signal, as shells do.
    pub fn exit_code(self) -> u8 {
        match self {
            End::Code(code) => code,
            End::Signal(signal) => 128u8.saturating_add(signal),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Code(code) => write!(out, "ended with exit code {code}"),
            End::Signal(signal) => write!(out, "was ended by signal {signal}"),
        }
    }
}

/// Why there is no will to send, though nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// The node ended in order: it has resigned itself.
    InOrder,
    /// It left no will: it never took part.
    NoWill,
    /// It has nobody to tell.
    NoVoters,
}

/// Why a will that was left is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// Its key may have another life.
    #[error("another process may use its key, and the will could end that one's lease")]
    Halted,
    /// Work went on beside the node.
    #[error("{0} runner(s) beside it may still be at work")]
    Runners(usize),
    /// Something that the node started is still there.
    #[error("{0}")]
    Left(String),
    /// What it runs could not be followed.
    #[error("it reported more commands or runners than can be followed ({COMMANDS_MAX}, {RUNNERS_MAX})")]
    TooMany,
    /// It said something that cannot be read.
    #[error("{0}")]
    Unreadable(#[from] LinkError),
    /// The place for the will is not safe.
    #[error(
        "memory for it could not be locked ({0}): raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=) to 64 KiB"
    )]
    NotLocked(String),
}

/// Why no will is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoWill {
    /// Nothing to say.
    Nothing(Nothing),
    /// Something to say.
    Doubt(Doubt),
}

/// What is known of a node. The will itself lies elsewhere, in locked memory.
#[derive(Debug, Default)]
pub struct Estate {
    voters: Vec<Voter>,
    commands: BTreeMap<i32, Option<PathBuf>>,
    runners: BTreeSet<u64>,
    has_will: bool,
    /// The first reason that counts; none is ever taken back.
    doubt: Option<Doubt>,
}

impl Estate {
    /// The will was left.
    pub fn leave(&mut self) {
        self.has_will = true;
    }

    /// Something makes the will unsafe from now on.
    pub fn doubt(&mut self, doubt: Doubt) {
        self.doubt.get_or_insert(doubt);
    }

    /// Takes in a report.
    pub fn hear(&mut self, report: Report) {
        match report {
            Report::Voters(voters) => self.voters = voters,
            Report::CommandStarted(Command { group, cgroup }) => {
                self.commands.insert(group, cgroup);
            }
            Report::CommandGone { group } => {
                self.commands.remove(&group);
            }
            Report::RunnerAttached { id } => {
                self.runners.insert(id);
            }
            Report::RunnerGone { id } => {
                self.runners.remove(&id);
            }
            Report::Revoked => self.doubt(Doubt::Halted),
        }
        let too_many_commands = self.commands.len() > COMMANDS_MAX && self.commands.pop_last().is_some();
        let too_many_runners = self.runners.len() > RUNNERS_MAX && self.runners.pop_last().is_some();
        if too_many_commands || too_many_runners {
            self.doubt(Doubt::TooMany);
        }
    }

    /// Who is to be told.
    pub fn voters(&self) -> &[Voter] {
        &self.voters
    }

    /// The commands that were not reported gone: process group and cgroup.
    pub fn commands(&self) -> impl Iterator<Item = (i32, Option<&PathBuf>)> {
        self.commands.iter().map(|(group, cgroup)| (*group, cgroup.as_ref()))
    }

    /// Whether the will may be sent: the node was seen to end like this, every report of its was heard, and what it left
    /// behind was made an end of, or not.
    pub fn judge(&self, end: End, swept: Result<(), String>) -> Result<(), NoWill> {
        if !self.has_will {
            return Err(NoWill::Nothing(Nothing::NoWill));
        }
        if end == End::Code(0) {
            return Err(NoWill::Nothing(Nothing::InOrder));
        }
        let halted = (end == End::Code(HALTED)).then_some(Doubt::Halted);
        let left = swept.err().map(Doubt::Left);
        let runners = Some(Doubt::Runners(self.runners.len())).filter(|_| !self.runners.is_empty());
        match self.doubt.clone().or(halted).or(left).or(runners) {
            Some(doubt) => Err(NoWill::Doubt(doubt)),
            None if self.voters.is_empty() => Err(NoWill::Nothing(Nothing::NoVoters)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nitro_elect_protocol::ids::NodeId;

    const KILLED: End = End::Signal(9);

    fn estate() -> Estate {
        let mut estate = Estate::default();
        estate.leave();
        estate.hear(Report::Voters(vec![Voter { key: NodeId([1; 32]), address: "a:1".into() }]));
        estate
    }

    fn doubt(estate: &Estate, end: End) -> Doubt {
        match estate.judge(end, Ok(())) {
            Err(NoWill::Doubt(doubt)) => doubt,
            other => panic!("{other:?}"),
        }
    }

    /// PROTOCOL R10
    #[test]
    fn a_node_that_died_with_nothing_left_has_its_will_sent() {
        for end in [KILLED, End::Signal(11), End::Code(1), End::Code(101), End::Code(143)] {
            assert_eq!(estate().judge(end, Ok(())), Ok(()), "{end}");
        }
    }

    #[test]
    fn a_node_that_ended_in_order_or_never_began_has_nothing_to_send() {
        let nothing = |nothing| Err(NoWill::Nothing(nothing));
        assert_eq!(estate().judge(End::Code(0), Ok(())), nothing(Nothing::InOrder));
        assert_eq!(Estate::default().judge(End::Code(2), Ok(())), nothing(Nothing::NoWill));
        let mut alone = estate();
        alone.hear(Report::Voters(vec![]));
        assert_eq!(alone.judge(KILLED, Ok(())), nothing(Nothing::NoVoters));
    }

    /// PROTOCOL R10
    #[test]
    fn a_halted_nodes_will_is_not_sent_whatever_ended_it() {
        assert_eq!(doubt(&estate(), End::Code(HALTED)), Doubt::Halted);
        let mut revoked = estate();
        revoked.hear(Report::Revoked);
        assert_eq!(doubt(&revoked, KILLED), Doubt::Halted);
        revoked.leave();
        assert_eq!(doubt(&revoked, KILLED), Doubt::Halted, "a later will changes nothing");
    }

    /// PROTOCOL R10
    #[test]
    fn a_runner_stands_in_the_way_until_it_said_that_its_work_is_gone() {
        let mut estate = estate();
        estate.hear(Report::RunnerAttached { id: 1 });
        estate.hear(Report::RunnerAttached { id: 2 });
        assert_eq!(doubt(&estate, KILLED), Doubt::Runners(2));
        estate.hear(Report::RunnerGone { id: 1 });
        assert_eq!(doubt(&estate, KILLED), Doubt::Runners(1));
        estate.hear(Report::RunnerGone { id: 2 });
        assert_eq!(estate.judge(KILLED, Ok(())), Ok(()));
    }

    #[test]
    fn what_is_still_there_or_could_not_be_followed_stands_in_the_way() {
        let left = estate().judge(KILLED, Err("process 7 does not end".into()));
        assert_eq!(left, Err(NoWill::Doubt(Doubt::Left("process 7 does not end".into()))));
        let mut many = estate();
        for group in 0..=i32::try_from(COMMANDS_MAX).unwrap() {
            many.hear(Report::CommandStarted(Command { group, cgroup: None }));
        }
        assert_eq!((doubt(&many, KILLED), many.commands().count()), (Doubt::TooMany, COMMANDS_MAX));
        let mut many = estate();
        for id in 0..=RUNNERS_MAX as u64 {
            many.hear(Report::RunnerAttached { id });
        }
        (0..=RUNNERS_MAX as u64).for_each(|id| many.hear(Report::RunnerGone { id }));
        assert_eq!(doubt(&many, KILLED), Doubt::TooMany);
        let mut garbled = estate();
        garbled.doubt(LinkError::Kind(9).into());
        assert_eq!(doubt(&garbled, KILLED), Doubt::Unreadable(LinkError::Kind(9)));
    }
}
