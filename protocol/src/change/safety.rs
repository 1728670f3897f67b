//! Which electorates may follow each other while both have running nodes (DESIGN §3.8).
//!
//! Every quorum of the old and every quorum of the new electorate must share at least f + 1 voters, f the larger of the
//! two: then an honest one stands between a lease of the old and a lease of the new. Beyond that, one voter at a time is
//! added or removed: some changes of two would share enough by the slack of rounding, but the next one would not, and
//! nobody should have to know.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::statement::Change;
use crate::electorate::Electorate;
use crate::ids::{ClusterId, ElectorateDigest, NodeId};

/// Why one electorate may not follow the other, with what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsafe {
    /// An open cluster has no manifests.
    #[error("an open cluster has no manifest that could be changed; its list follows who is active")]
    Open,
    /// Another cluster.
    #[error("the new manifest is of cluster {new}, the old one of {old}: keep the line `cluster` as it was")]
    OtherCluster {
        /// The cluster of the old one.
        old: ClusterId,
        /// The cluster of the new one.
        new: ClusterId,
    },
    /// Not the next epoch.
    #[error("the new manifest has epoch {found}; the one after epoch {} is {expected}", expected - 1)]
    Epoch {
        /// The old one's epoch and one.
        expected: u64,
        /// The new one's epoch.
        found: u64,
    },
    /// It succeeds another manifest.
    #[error(
        "the new manifest does not name the old one as its predecessor: write previous = \"{expected}\" in it"
    )]
    Previous {
        /// The digest of the old one.
        expected: ElectorateDigest,
        /// What the new one names.
        found: Option<ElectorateDigest>,
    },
    /// A key exchanged for another.
    #[error(
        "voter {removed} goes and voter {added} comes in one step: add the new one first, and remove the old one in the \
         next change (`nitro-elect manifest replace` writes both)"
    )]
    Replaced {
        /// Who goes.
        removed: String,
        /// Who comes.
        added: String,
    },
    /// More than one voter at a time.
    #[error(
        "{} voters come or go at once ({}): one voter a change",
        added.len() + removed.len(), signed_list(added, removed)
    )]
    SeveralVoters {
        /// Who comes.
        added: Vec<String>,
        /// Who goes.
        removed: Vec<String>,
    },
    /// Quorums that share too few.
    #[error(
        "a quorum of the old manifest ({} of {}) and one of the new ({} of {}) may share only {shared} {}, and f = {f} needs \
         {}: {}", old.0, old.1, new.0, new.1, voters(*shared), f + 1, advice
    )]
    Overlap {
        /// Quorum and voters of the old one.
        old: (usize, usize),
        /// Quorum and voters of the new one.
        new: (usize, usize),
        /// The fewest voters that two quorums share.
        shared: usize,
        /// The larger f.
        f: usize,
        /// What to do.
        advice: OverlapAdvice,
    },
}

fn voters(count: usize) -> &'static str {
    if count == 1 { "voter" } else { "voters" }
}

/// What an operator does about quorums that share too few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverlapAdvice {
    /// A voter goes, and f falls with it: as long as f is the old one, the smaller electorate cannot be.
    #[error("lower f in a step of its own before this one")]
    LowerFirst,
    /// A voter comes, and f rises with it.
    #[error("write the old f into this manifest, and raise f in a step of its own after it")]
    RaiseAfter,
    /// Nothing but f changes.
    #[error("change f by one at a time")]
    OneAtATime,
    /// f stays.
    #[error("change less at once")]
    Less,
}

impl OverlapAdvice {
    fn on(old: &Electorate, new: &Electorate) -> Self {
        let same_voters = old.n() == new.n();
        match old.f().cmp(&new.f()) {
            Ordering::Equal => OverlapAdvice::Less,
            _ if same_voters => OverlapAdvice::OneAtATime,
            Ordering::Less => OverlapAdvice::RaiseAfter,
            Ordering::Greater => OverlapAdvice::LowerFirst,
        }
    }
}

fn signed_list(added: &[String], removed: &[String]) -> String {
    let added = added.iter().map(|name| format!("+{name}"));
    added.chain(removed.iter().map(|name| format!("-{name}"))).collect::<Vec<_>>().join(", ")
}

impl Unsafe {
    /// Its name for scripts.
    pub fn name(&self) -> &'static str {
        match self {
            Unsafe::Open => "open",
            Unsafe::OtherCluster { .. } => "other-cluster",
            Unsafe::Epoch { .. } => "epoch",
            Unsafe::Previous { .. } => "previous",
            Unsafe::Replaced { .. } => "replaced",
            Unsafe::SeveralVoters { .. } => "several-voters",
            Unsafe::Overlap { .. } => "overlap",
        }
    }
}

/// A change between electorates that may run side by side. Nobody has agreed to it yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafeChange {
    change: Change,
    shared: usize,
}

impl SafeChange {
    /// Looks at two sound electorates; says everything that speaks against the step.
    pub fn check(old: &Electorate, new: &Electorate) -> Result<Self, Vec<Unsafe>> {
        let found: Vec<Unsafe> =
            identity(old, new).into_iter().chain(voters_at_once(old, new)).chain(overlap(old, new)).collect();
        let (change, shared) = (Change::between(old, new), fewest_shared(old, new));
        if found.is_empty() { Ok(SafeChange { change, shared }) } else { Err(found) }
    }

    /// The change.
    pub fn change(&self) -> Change {
        self.change
    }

    /// The fewest voters that a quorum of the old and one of the new share.
    pub fn shared(&self) -> usize {
        self.shared
    }
}

fn identity(old: &Electorate, new: &Electorate) -> Vec<Unsafe> {
    let mut found = Vec::new();
    if old.is_open() || new.is_open() {
        found.push(Unsafe::Open);
    }
    if old.cluster != new.cluster {
        found.push(Unsafe::OtherCluster { old: old.cluster, new: new.cluster });
    }
    if old.epoch.checked_add(1) != Some(new.epoch) {
        found.push(Unsafe::Epoch { expected: old.epoch.saturating_add(1), found: new.epoch });
    }
    if new.previous != Some(old.digest()) {
        found.push(Unsafe::Previous { expected: old.digest(), found: new.previous });
    }
    found
}

fn voters_at_once(old: &Electorate, new: &Electorate) -> Option<Unsafe> {
    let (added, removed) = (names_only_in(new, old), names_only_in(old, new));
    match (added.as_slice(), removed.as_slice()) {
        ([] | [_], []) | ([], [_]) => None,
        ([added], [removed]) => Some(Unsafe::Replaced { removed: removed.clone(), added: added.clone() }),
        _ => Some(Unsafe::SeveralVoters { added, removed }),
    }
}

fn names_only_in(one: &Electorate, other: &Electorate) -> Vec<String> {
    one.voters.iter().filter(|voter| !other.contains(&voter.key)).map(|voter| voter.name.clone()).collect()
}

fn overlap(old: &Electorate, new: &Electorate) -> Option<Unsafe> {
    let (shared, f) = (fewest_shared(old, new), old.f().max(new.f()));
    (shared <= f).then(|| Unsafe::Overlap {
        old: (old.quorum(), old.n()),
        new: (new.quorum(), new.n()),
        shared,
        f,
        advice: OverlapAdvice::on(old, new),
    })
}

/// The fewest voters that a quorum of one and a quorum of the other electorate share.
///
/// Of the c voters in both, a quorum of q among n must take at least q - (n - c); two such choices among c overlap in at
/// least their sum less c.
pub fn fewest_shared(one: &Electorate, other: &Electorate) -> usize {
    let keys = |electorate: &Electorate| -> BTreeSet<NodeId> {
        electorate.voters.iter().map(|voter| voter.key).collect()
    };
    let common = keys(one).intersection(&keys(other)).count();
    let in_common =
        |electorate: &Electorate| (electorate.quorum() + common).saturating_sub(electorate.n()).min(common);
    (in_common(one) + in_common(other)).saturating_sub(common)
}
