//! Counting words, and when a node may move to the next electorate (DESIGN §3.8).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use super::safety::{SafeChange, Unsafe};
use super::statement::{Approve, Change, Word};
use crate::certificate::VerifiedCertificate;
use crate::crypto::Crypto;
use crate::electorate::Electorate;
use crate::ids::NodeId;
use crate::statement::Signed;

/// A quorum of voters has signed the same word in one attempt.
#[derive(Clone, PartialEq, Eq)]
pub struct Agreed<T> {
    change: Change,
    attempt: u64,
    voters: BTreeSet<NodeId>,
    kind: PhantomData<fn() -> T>,
}

/// Words that did not count, by why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Uncounted {
    /// Of nodes that do not vote in the old electorate.
    pub strangers: usize,
    /// About another change.
    pub other_change: usize,
    /// Not signed by the voter they name, or no such word at all.
    pub unsigned: usize,
}

/// Fewer words of one attempt than a quorum. Voters are named as the old electorate names them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct TooFew {
    /// What is counted.
    pub what: &'static str,
    /// The quorum.
    pub needed: usize,
    /// The attempt that comes nearest, if any word counted.
    pub attempt: Option<u64>,
    /// Whose words of it there are.
    pub there: Vec<String>,
    /// Whose there are not.
    pub missing: Vec<String>,
    /// What did not count.
    pub uncounted: Uncounted,
}

impl TooFew {
    fn text(&self) -> String {
        let TooFew { what, needed, there, missing, .. } = self;
        let mut text = match self.attempt {
            None => format!("none of the {needed} {what} needed is there"),
            Some(attempt) => format!(
                "{} of the {needed} {what} needed in one attempt are there (attempt {attempt}: {}); {} missing of {}",
                there.len(),
                there.join(", "),
                needed - there.len(),
                missing.join(", ")
            ),
        };
        let Uncounted { strangers, other_change, unsigned } = self.uncounted;
        let kinds = [
            (other_change, "about another change"),
            (strangers, "of nodes that do not vote in the old manifest"),
            (unsigned, "not signed by the voter they name"),
        ];
        for (count, why) in kinds.into_iter().filter(|(count, _)| *count > 0) {
            text += &format!("; {count} {why} do not count");
        }
        text
    }
}

impl<T: Word> Agreed<T> {
    /// Counts words about a change by voters of `old`: a quorum of one attempt, the latest if there are several.
    pub fn count(
        change: Change,
        old: &Electorate,
        words: &[Signed<T>],
        crypto: &dyn Crypto,
    ) -> Result<Self, TooFew> {
        let mut attempts: BTreeMap<u64, BTreeSet<NodeId>> = BTreeMap::new();
        let mut uncounted = Uncounted::default();
        for signed in words {
            match counted(signed, change, old, crypto) {
                Ok(word) => drop(attempts.entry(word.attempt()).or_default().insert(word.signer())),
                Err(why) => *why(&mut uncounted) += 1,
            }
        }
        let needed = old.quorum();
        let agreed = attempts.iter().rev().find(|(_, voters)| voters.len() >= needed);
        match agreed {
            Some((attempt, voters)) => {
                Ok(Agreed { change, attempt: *attempt, voters: voters.clone(), kind: PhantomData })
            }
            None => Err(too_few::<T>(old, &attempts, uncounted)),
        }
    }

    /// The change.
    pub fn change(&self) -> Change {
        self.change
    }

    /// The attempt.
    pub fn attempt(&self) -> u64 {
        self.attempt
    }

    /// Who signed.
    pub fn voters(&self) -> &BTreeSet<NodeId> {
        &self.voters
    }
}

impl<T> fmt::Debug for Agreed<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Agreed({} voters in attempt {})", self.voters.len(), self.attempt)
    }
}

/// The word, if it counts, or where it is counted as one that does not.
fn counted<T: Word>(
    signed: &Signed<T>,
    change: Change,
    old: &Electorate,
    crypto: &dyn Crypto,
) -> Result<T, fn(&mut Uncounted) -> &mut usize> {
    let word = signed.peek().map_err(|_| unsigned as fn(&mut Uncounted) -> &mut usize)?;
    if word.change() != change {
        return Err(|uncounted| &mut uncounted.other_change);
    }
    if !old.contains(&word.signer()) {
        return Err(|uncounted| &mut uncounted.strangers);
    }
    signed.clone().verify(crypto).map_err(|_| unsigned as fn(&mut Uncounted) -> &mut usize)?;
    Ok(word)
}

fn unsigned(uncounted: &mut Uncounted) -> &mut usize {
    &mut uncounted.unsigned
}

fn too_few<T: Word>(
    old: &Electorate,
    attempts: &BTreeMap<u64, BTreeSet<NodeId>>,
    uncounted: Uncounted,
) -> TooFew {
    let best = attempts.iter().max_by_key(|(attempt, voters)| (voters.len(), **attempt));
    let is_there = |key: &NodeId| best.is_some_and(|(_, voters)| voters.contains(key));
    let (there, missing): (Vec<_>, Vec<_>) = old.voters.iter().partition(|voter| is_there(&voter.key));
    let names = |voters: Vec<&crate::electorate::Voter>| -> Vec<String> {
        let mut names: Vec<String> = voters.into_iter().map(|voter| voter.name.clone()).collect();
        names.sort_unstable();
        names
    };
    TooFew {
        what: T::PLURAL,
        needed: old.quorum(),
        attempt: best.map(|(attempt, _)| *attempt),
        there: names(there),
        missing: names(missing),
        uncounted,
    }
}

/// What keeps a node from the next electorate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The two may not follow each other.
    #[error("{0}")]
    Safety(Unsafe),
    /// Too few voters approved.
    #[error("{0}")]
    Approvals(TooFew),
    /// No certificate shows that a quorum has come to the old electorate.
    #[error(
        "no certificate under the old manifest is there, so nobody knows that a quorum has left the one before: let the \
         cluster elect under it once"
    )]
    Certificate,
}

/// A node may move: the witness of every rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    change: Change,
    approvals: Agreed<Approve>,
}

impl Passage {
    /// The change.
    pub fn change(&self) -> Change {
        self.change
    }

    /// Who approved it, in which attempt.
    pub fn approvals(&self) -> &Agreed<Approve> {
        &self.approvals
    }
}

/// Whether a node may move from `old` to `new`, or everything that is missing.
///
/// `certificate` is one under `old`, verified by whoever hands it in; one under another electorate counts as none.
pub fn may_pass(
    old: &Electorate,
    new: &Electorate,
    approvals: &[Signed<Approve>],
    certificate: Option<&VerifiedCertificate>,
    crypto: &dyn Crypto,
) -> Result<Passage, Vec<Missing>> {
    let mut missing = Vec::new();
    if let Err(reasons) = SafeChange::check(old, new) {
        missing.extend(reasons.into_iter().map(Missing::Safety));
    }
    let change = Change::between(old, new);
    let agreed = Agreed::count(change, old, approvals, crypto);
    if certificate.is_none_or(|certificate| certificate.electorate != change.from) {
        missing.push(Missing::Certificate);
    }
    match agreed {
        Ok(approvals) if missing.is_empty() => Ok(Passage { change, approvals }),
        Ok(_) => Err(missing),
        Err(too_few) => {
            missing.push(Missing::Approvals(too_few));
            Err(missing)
        }
    }
}
