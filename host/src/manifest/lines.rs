//! Which line of a manifest a fault of its electorate is about: the electorate knows nothing of files, its voters
//! and accepted sets are sorted, and the reader of the fault has an editor open.

use std::collections::BTreeMap;

use nitro_elect_protocol::electorate::{ElectorateFault, Voter};
use nitro_elect_protocol::trust::{PcrSet, TrustFault};

use super::table::At;

/// Where a voter's fields stand.
#[derive(Debug)]
pub(super) struct VoterLines {
    pub(super) voter: Voter,
    pub(super) name: usize,
    pub(super) address: usize,
    pub(super) key: usize,
}

/// Where an accepted set stands, and its registers by index.
#[derive(Debug)]
pub(super) struct SetLines {
    pub(super) pcrs: PcrSet,
    pub(super) line: usize,
    pub(super) registers: BTreeMap<u8, usize>,
}

/// Where everything stands that an electorate can find fault with.
#[derive(Debug, Default)]
pub(super) struct Lines {
    keys: BTreeMap<&'static str, usize>,
    /// The voters, in the order of the file.
    pub(super) voters: Vec<VoterLines>,
    /// The accepted sets, in the order of the trust section.
    pub(super) sets: Vec<SetLines>,
    /// The trust section.
    pub(super) trust: usize,
}

impl Lines {
    /// Notes where a key stands, if it is there.
    pub(super) fn note<T>(&mut self, key: &'static str, value: Option<At<T>>) {
        self.keys.extend(value.map(|value| (key, value.line)));
    }

    /// Puts the sets into the order that the trust section has them in; equal ones stay in the order of the file.
    pub(super) fn sort_sets(&mut self) {
        self.sets.sort_by(|a, b| a.pcrs.cmp(&b.pcrs));
    }

    /// The line of a fault; of two things that collide, the later one's.
    pub(super) fn of(&self, fault: &ElectorateFault) -> usize {
        match fault {
            ElectorateFault::Version(_) => self.key("version"),
            ElectorateFault::Lease { .. } => self.key("lease"),
            ElectorateFault::TooFewForF { .. } => self.key("f"),
            ElectorateFault::TooManyVoters { max, .. } => self.voters.get(*max).map_or(1, |voter| voter.name),
            ElectorateFault::Name { of, .. } if of == "the cluster" => self.key("name"),
            ElectorateFault::Name { name, .. } => {
                self.last(|lines| is_cut(&lines.voter.name, name), |lines| lines.name)
            }
            ElectorateFault::Address { address, .. } => {
                self.last(|lines| is_cut(&lines.voter.address, address), |lines| lines.address)
            }
            ElectorateFault::DoubledKey { second, .. } => self.doubled_key(second),
            ElectorateFault::DoubledAddress { address, .. } => {
                self.last(|lines| lines.voter.address == *address, |lines| lines.address)
            }
            ElectorateFault::DoubledName(name) => {
                self.last(|lines| lines.voter.name == *name, |lines| lines.name)
            }
            ElectorateFault::Trust(fault) => self.of_trust(fault),
            ElectorateFault::NoVoters | ElectorateFault::OpenParameters | ElectorateFault::Unsorted => 1,
        }
    }

    fn of_trust(&self, fault: &TrustFault) -> usize {
        match fault {
            TrustFault::Root(_) => self.key("root"),
            TrustFault::ZeroAge | TrustFault::AgeTooLong { .. } => self.key("max_age"),
            TrustFault::ZeroPcr { set, index } => {
                let set = self.sets.get(set.saturating_sub(1));
                set.map_or(self.trust, |set| set.registers.get(index).copied().unwrap_or(set.line))
            }
            TrustFault::Unordered { set } => {
                self.sets.get(set.saturating_sub(1)).map_or(self.trust, |set| set.line)
            }
            TrustFault::TooManySets { max, .. } => self.sets.get(*max).map_or(self.trust, |set| set.line),
            TrustFault::NothingAccepted => self.trust,
        }
    }

    /// The key of the last voter of this name that shares it with an earlier one.
    fn doubled_key(&self, name: &str) -> usize {
        let shared = |lines: &VoterLines| {
            self.voters.iter().filter(|other| other.voter.key == lines.voter.key).count() > 1
        };
        self.last(|lines| lines.voter.name == name && shared(lines), |lines| lines.key)
    }

    fn last(&self, is_it: impl Fn(&VoterLines) -> bool, line: impl Fn(&VoterLines) -> usize) -> usize {
        self.voters.iter().rev().find(|lines| is_it(lines)).map_or(1, line)
    }

    fn key(&self, key: &str) -> usize {
        self.keys.get(key).copied().unwrap_or(1)
    }
}

/// Whether a text is, or begins with, what a fault shows of it.
fn is_cut(text: &str, shown: &str) -> bool {
    text == shown || (shown.chars().count() >= 80 && text.starts_with(shown))
}
