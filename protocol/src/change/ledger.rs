//! One voter's own words about a successor: what it may still sign (DESIGN §3.8).
//!
//! The argument that two successors never both get a quorum of approvals: let S be approved by q voters in attempt a, and
//! look at the first moment at which another S' has q endorsements of a later attempt. An honest voter is among both
//! quorums. It endorsed S' after it approved S, because it approves nothing below an attempt that it endorsed in; and
//! after approving S it endorses another only when shown q endorsements of that one in a later attempt: an earlier such
//! moment. So there is no first one.

use serde::{Deserialize, Serialize};

use super::passage::Agreed;
use super::statement::{Approve, Change, Endorse, Word};
use crate::electorate::Electorate;
use crate::ids::{ClusterId, ElectorateDigest, NodeId};
use crate::limits::ATTEMPT_MAX;

/// A successor and the attempt in which something was said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// The attempt.
    pub attempt: u64,
    /// The successor.
    pub to: ElectorateDigest,
}

/// What a voter has signed about the successor of one electorate. Whoever keeps it makes it durable before the word that
/// it allowed leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// Whose ledger it is.
    pub voter: NodeId,
    /// The cluster.
    pub cluster: ClusterId,
    /// The electorate whose successor it is about.
    pub from: ElectorateDigest,
    /// The epoch of that electorate.
    pub epoch: u64,
    /// The last endorsement.
    pub endorsed: Option<Said>,
    /// The last approval.
    pub approved: Option<Said>,
}

/// Why a voter does not sign. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The signer does not vote in the old electorate.
    #[error("this key is no voter of the old manifest: its voters alone have a say")]
    NotAVoter,
    /// Words about a successor of another electorate.
    #[error(
        "this voter has signed about the successor of epoch {} ({}), so it signs nothing about that of epoch {} ({})",
        .kept.0, .kept.1.short(), .asked.0, .asked.1.short()
    )]
    OtherBase {
        /// Epoch and digest that were signed about.
        kept: (u64, ElectorateDigest),
        /// What was asked for.
        asked: (u64, ElectorateDigest),
    },
    /// No such attempt.
    #[error("attempt {0} is out of range: count them from 1")]
    Attempt(u64),
    /// It endorsed another successor in that attempt.
    #[error("this voter has endorsed another successor ({}) in attempt {}", .0.to.short(), .0.attempt)]
    EndorsedAnother(Said),
    /// It endorsed in a later attempt.
    #[error("this voter has endorsed in attempt {} already, which is later", .0.attempt)]
    EndorsedLater(Said),
    /// It approved another, and was not shown that a quorum has turned to this one.
    #[error(
        "this voter has approved another successor ({}) in attempt {}: it endorses this one only when it is shown a quorum of \
         endorsements for it, of a later attempt", .0.to.short(), .0.attempt
    )]
    ApprovedAnother(Said),
    /// It approved in a later attempt.
    #[error("this voter has approved in attempt {} already, which is later", .0.attempt)]
    ApprovedLater(Said),
    /// The endorsements are for another change.
    #[error("the endorsements are for another change than the one to be signed")]
    OtherChange,
}

impl Ledger {
    /// The ledger of a voter that has said nothing about the successor of `old`.
    pub fn new(voter: NodeId, old: &Electorate) -> Self {
        let (cluster, from, epoch) = (old.cluster, old.digest(), old.epoch);
        Ledger { voter, cluster, from, epoch, endorsed: None, approved: None }
    }

    /// The ledger for the successor of `old`: this one, or a new one if it is about an earlier electorate of the cluster.
    pub fn about(self, old: &Electorate) -> Result<Self, Refused> {
        if !old.contains(&self.voter) {
            return Err(Refused::NotAVoter);
        }
        let digest = old.digest();
        if (self.cluster, self.from) == (old.cluster, digest) {
            return Ok(self);
        }
        if self.cluster == old.cluster && self.epoch < old.epoch {
            return Ok(Ledger::new(self.voter, old));
        }
        Err(Refused::OtherBase { kept: (self.epoch, self.from), asked: (old.epoch, digest) })
    }

    /// The attempt to endorse this successor in when none is named: that in which it was endorsed already, or else the
    /// first one in which this voter is free.
    pub fn next_attempt(&self, to: ElectorateDigest) -> u64 {
        match self.endorsed {
            Some(said) if said.to == to => said.attempt,
            Some(said) => said.attempt.saturating_add(1),
            None => 1,
        }
    }

    /// Endorses a successor; asked again for the same, says the same. `shown` are endorsements of others, needed only
    /// after the approval of another successor.
    pub fn endorse(
        &mut self,
        change: Change,
        attempt: u64,
        shown: Option<&Agreed<Endorse>>,
    ) -> Result<Endorse, Refused> {
        self.is_about(change)?;
        if attempt == 0 || attempt > ATTEMPT_MAX {
            return Err(Refused::Attempt(attempt));
        }
        let said = Said { attempt, to: change.to };
        match self.endorsed {
            Some(last) if last == said => return Ok(Endorse::word(change, attempt, self.voter)),
            Some(last) if last.attempt == attempt => return Err(Refused::EndorsedAnother(last)),
            Some(last) if last.attempt > attempt => return Err(Refused::EndorsedLater(last)),
            _ => {}
        }
        if let Some(approved) = self.approved.filter(|approved| approved.to != change.to) {
            let turned = |shown: &&Agreed<Endorse>| {
                shown.change() == change && (approved.attempt + 1..=attempt).contains(&shown.attempt())
            };
            shown.filter(turned).ok_or(Refused::ApprovedAnother(approved))?;
        }
        self.endorsed = Some(said);
        Ok(Endorse::word(change, attempt, self.voter))
    }

    /// Approves the successor that a quorum has endorsed in one attempt; asked again for the same, says the same.
    pub fn approve(&mut self, change: Change, shown: &Agreed<Endorse>) -> Result<Approve, Refused> {
        self.is_about(change)?;
        if shown.change() != change {
            return Err(Refused::OtherChange);
        }
        let attempt = shown.attempt();
        if let Some(later) = self.endorsed.filter(|endorsed| endorsed.attempt > attempt) {
            return Err(Refused::EndorsedLater(later));
        }
        if let Some(later) = self.approved.filter(|approved| approved.attempt > attempt) {
            return Err(Refused::ApprovedLater(later));
        }
        self.approved = Some(Said { attempt, to: change.to });
        Ok(Approve::word(change, attempt, self.voter))
    }

    fn is_about(&self, change: Change) -> Result<(), Refused> {
        let same = (self.cluster, self.from) == (change.cluster, change.from);
        if same { Ok(()) } else { Err(Refused::OtherChange) }
    }
}
