//! Electorates that succeed each other, and words about them.

use nitro_elect::core::config::Predecessor;
use nitro_elect_protocol::electorate::{Electorate, Voter};
use nitro_elect_protocol::statement::{Signed, Statement};

use crate::forgery::sign;
use crate::plan::{Plan, address, electorate, id};
use crate::rig::Rig;

/// The first electorate, of these nodes.
pub fn of(voters: &[usize], f: u32) -> Electorate {
    let voter = |node: &usize| Voter {
        key: id(*node),
        name: format!("node-{node}"),
        address: address(*node),
        weight: u32::try_from(9 - node).expect("a rig has few nodes"),
    };
    Electorate { epoch: 1, f, voters: voters.iter().map(voter).collect(), ..electorate(&Plan::default()) }
}

/// The electorate of these nodes that succeeds another.
pub fn after(old: &Electorate, voters: &[usize], f: u32) -> Electorate {
    Electorate { epoch: old.epoch + 1, previous: Some(old.digest()), ..of(voters, f) }
}

/// A word with its voter's signature.
pub fn signed<T: Statement + Clone>(word: &T) -> Signed<T> {
    sign(word.clone())
}

impl Rig {
    /// Nodes that start from now on have moved to this electorate.
    pub fn change_to(&mut self, new: Electorate) {
        let old = std::mem::replace(&mut self.electorate, new);
        self.predecessor = Some(Predecessor { electorate: Box::new(old), just_left: true });
    }
}
