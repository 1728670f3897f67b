//! Open clusters (DESIGN §3.7): the electorate is the list of active nodes itself, and changes with it.

use nitro_elect_protocol::electorate::{Electorate, Voter};
use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::time::{Boot, Now};
use std::collections::BTreeMap;

use super::Core;
use super::event::{Action, LeaseLoss, Notice};

/// What makes a cluster open.
#[derive(Clone, Debug)]
pub struct Open {
    /// Whether to lead a list of this node alone.
    pub alone: bool,
    /// Addresses that were asked to be dialled.
    dialled: BTreeMap<NodeId, String>,
}

impl Open {
    /// An open cluster of nobody else so far.
    pub fn new(alone: bool) -> Self {
        Open { alone, dialled: BTreeMap::new() }
    }
}

/// The electorate of one node alone.
pub fn list_of_one(template: &Electorate, me: NodeId, address: &str) -> Electorate {
    let mut electorate = template.clone();
    electorate.voters = vec![entry(me, address)];
    electorate
}

/// One node of an open cluster: its name is its key's, so that two lists of the same nodes are equal.
fn entry(key: NodeId, address: &str) -> Voter {
    Voter { key, name: key.short(), address: address.into(), weight: 0 }
}

impl Core {
    /// Whether an election over the present list makes sense: after a lease of discovery, and for a list of this
    /// node alone only if that was asked for.
    pub(super) fn may_call_over_list(&self, now: Boot) -> bool {
        self.open.as_ref().is_none_or(|open| {
            now >= self.started + self.timing.lease && (self.electorate.n() > 1 || open.alone)
        })
    }

    /// Makes the electorate the list of active nodes, and draws the consequences if it changed.
    pub(super) fn settle_list(&mut self, now: Now) {
        if self.open.is_none() {
            return;
        }
        self.dial_new_members();
        let mut voters: Vec<Voter> = self
            .members
            .iter()
            .filter(|(_, member)| member.active_since.is_some())
            .filter(|(_, member)| member.reached_at.as_deref() == Some(member.address()))
            .map(|(key, member)| entry(*key, member.address()))
            .collect();
        voters.push(entry(self.me, &self.address));
        voters.sort_by_key(|voter| voter.key);
        if voters == self.electorate.voters {
            return;
        }
        if self.lead.is_some() {
            self.stop_leading(LeaseLoss::ListChanged);
        }
        // Frees the voters of an election under way or of the lease just given up.
        self.campaign.phase = Default::default();
        self.resign(None, now);
        self.electorate.voters = voters;
        self.digest = self.electorate.digest();
        self.forget_waits();
        self.out.push(Action::Notice(Notice::ListChanged { members: self.electorate.n() }));
    }

    fn dial_new_members(&mut self) {
        let Some(open) = &mut self.open else { return };
        for (node, member) in self.members.iter() {
            let address = member.address();
            let known = open.dialled.get(node).is_some_and(|dialled| dialled == address);
            if !address.is_empty() && !known {
                open.dialled.insert(*node, address.to_owned());
                self.out.push(Action::Dial { peer: *node, address: address.to_owned() });
            }
        }
        let members = &self.members;
        open.dialled.retain(|node, _| members.get(node).is_some());
    }

    /// Whether a node may be believed to be at this address: it is this node's own, or no other key was heard
    /// there lately.
    pub(super) fn address_is_free(&self, node: &NodeId, address: &str) -> bool {
        self.open.is_none()
            || *node == self.me
            || (address != self.address && {
                self.members.iter().all(|(other, member)| other == node || member.address() != address)
            })
    }
}
