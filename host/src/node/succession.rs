//! At which manifest a node's life begins, and whether it may move there (DESIGN §3.8).
//!
//! A voter stands at one manifest, durably. It may start under that one, or under a later one that it is shown the way to,
//! step by step; never under an earlier one or a rival. A new voter is shown the one step by which it came in. Nodes that
//! do not vote have nothing to refuse.

use nitro_elect_protocol::certificate::VerifiedCertificate;
use nitro_elect_protocol::change::{Missing, may_pass};
use nitro_elect_protocol::crypto::Ring;
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::ids::{ElectorateDigest, NodeId};
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::time::Wall;

use crate::change_file::Shown;
use crate::core::config::Predecessor;
use crate::core::durable::Record;
use crate::help::Help;
use crate::storage::Standing;

/// What a node knows of itself when it starts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub me: NodeId,
    pub record: &'a Record,
    pub standing: Option<&'a Standing>,
    pub newest: Option<&'a Bundle>,
}

/// Where a node stands in the life that begins.
#[derive(Debug)]
pub(super) struct Place {
    /// What to make durable before anything is signed, if it is news.
    pub standing: Option<Standing>,
    /// The manifest before, if there was one.
    pub predecessor: Option<Predecessor>,
}

/// A manifest by its number and digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Its epoch.
    pub epoch: u64,
    /// Its digest.
    pub digest: ElectorateDigest,
}

impl Named {
    pub(super) fn of(electorate: &Electorate) -> Self {
        Named { epoch: electorate.epoch, digest: electorate.digest() }
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "epoch {} ({})", self.epoch, self.digest.short())
    }
}

/// Why a node does not start under a manifest. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuccessionError {
    /// It left that manifest behind, or never was there.
    #[error(
        "this node is at the manifest of {at}; that of {given} is an earlier one or a rival, and refused for ever"
    )]
    LeftBehind {
        /// Where it stands.
        at: Named,
        /// What it was started with.
        given: Named,
    },
    /// It does not know the electorate that the manifest succeeds.
    #[error("the manifest of {given} succeeds one with digest {previous}, which this node was not shown")]
    NoPredecessor {
        /// The manifest.
        given: Named,
        /// What it succeeds.
        previous: ElectorateDigest,
    },
    /// The succession does not lead through the manifest that it is at.
    #[error(
        "the manifest of {given} does not come after the one with digest {at}, under which this node voted"
    )]
    NotReached {
        /// The manifest.
        given: Named,
        /// Where it stands.
        at: ElectorateDigest,
    },
    /// The step is not allowed, or not yet.
    #[error("this node may not move from the manifest of {from} to that of {to}:{}", lines(.missing))]
    NotAllowed {
        /// What it would leave.
        from: Named,
        /// Where it would move.
        to: Named,
        /// All that is missing; at least one thing.
        missing: Vec<Missing>,
    },
}

fn lines(missing: &[Missing]) -> String {
    missing.iter().map(|missing| format!("\n  {missing}")).collect()
}

impl Help for SuccessionError {
    fn help(&self) -> String {
        match self {
            SuccessionError::LeftBehind { at, .. } => {
                format!("start it with the manifest of {at}, or with a later one that is approved")
            }
            SuccessionError::NoPredecessor { .. } | SuccessionError::NotReached { .. } => {
                "give the files that `nitro-elect manifest approve` wrote with --approvals, for every step from the manifest \
                 that this node is at; they hold each step's former electorate"
                    .into()
            }
            SuccessionError::NotAllowed { missing, .. } => not_allowed_help(missing).into(),
        }
    }
}

fn not_allowed_help(missing: &[Missing]) -> &'static str {
    if missing.iter().any(|missing| matches!(missing, Missing::Safety(_))) {
        "correct the new manifest until `nitro-elect manifest diff OLD NEW` allows the step; until then run the old one"
    } else if missing.iter().any(|missing| matches!(missing, Missing::Approvals(_))) {
        "let operators of voters run `nitro-elect manifest endorse` and then `approve`, put the files that approve wrote \
         together beside the manifest (cluster.approvals), or name them with --approvals; until then run the old manifest"
    } else {
        "run the old manifest until a leader was elected under it, or give a file of `nitro-elect manifest approve` that was \
         written after that"
    }
}

/// Where a node stands that is started with `manifest`.
pub(super) fn place(
    known: Known<'_>,
    manifest: &Electorate,
    shown: &Shown,
    now: Wall,
) -> Result<Place, SuccessionError> {
    let digest = manifest.digest();
    if manifest.is_open() || !manifest.contains(&known.me) {
        return Ok(Place { standing: None, predecessor: None });
    }
    if let Some(standing) = known.standing {
        let at = Named::of(&standing.present);
        if at.digest == digest {
            let electorate = standing.previous.clone().map(Box::new);
            let predecessor = electorate.map(|electorate| Predecessor { electorate, just_left: false });
            return Ok(Place { standing: None, predecessor });
        }
        if manifest.epoch <= at.epoch {
            return Err(SuccessionError::LeftBehind { at, given: Named::of(manifest) });
        }
    }
    let voted_under = known.record.support.map(|support| support.electorate);
    let at = known.standing.map(|standing| standing.present.digest()).or(voted_under);
    if at == Some(digest) || (at.is_none() && manifest.previous.is_none()) {
        let standing = Standing { present: manifest.clone(), previous: None };
        return Ok(Place { standing: Some(standing), predecessor: None });
    }
    let way = way(known, manifest, shown, at)?;
    for step in way.windows(2) {
        let [new, old] = step else { unreachable!("windows of two") };
        check_step(old, new, known, shown, now)?;
    }
    let electorate = Box::new(way[1].clone());
    let standing = Standing { present: manifest.clone(), previous: Some(way[1].clone()) };
    Ok(Place { standing: Some(standing), predecessor: Some(Predecessor { electorate, just_left: true }) })
}

/// The electorates from `manifest` back to the one that the node is at; for a new voter, one step back.
fn way(
    known: Known<'_>,
    manifest: &Electorate,
    shown: &Shown,
    at: Option<ElectorateDigest>,
) -> Result<Vec<Electorate>, SuccessionError> {
    let present = known.standing.map(|standing| &standing.present);
    let mut way = vec![manifest.clone()];
    let mut next = manifest;
    loop {
        let given = Named::of(next);
        let Some(previous) = next.previous else {
            let at = at.unwrap_or(given.digest);
            return Err(SuccessionError::NotReached { given: Named::of(manifest), at });
        };
        let found = present.into_iter().chain(&shown.electorates).find(|known| known.digest() == previous);
        next = found.ok_or(SuccessionError::NoPredecessor { given, previous })?;
        way.push(next.clone());
        if at.is_none_or(|at| at == previous) {
            return Ok(way);
        }
    }
}

fn check_step(
    old: &Electorate,
    new: &Electorate,
    known: Known<'_>,
    shown: &Shown,
    now: Wall,
) -> Result<(), SuccessionError> {
    let certificate = certificate_under(old, known.newest, shown, now);
    let passed = may_pass(old, new, &shown.approvals, certificate.as_ref(), &Ring);
    passed.map(|_| ()).map_err(|missing| SuccessionError::NotAllowed {
        from: Named::of(old),
        to: Named::of(new),
        missing,
    })
}

/// A certificate over this electorate: the node's own newest, or one that it was shown and that verifies now.
fn certificate_under(
    electorate: &Electorate,
    own: Option<&Bundle>,
    shown: &Shown,
    now: Wall,
) -> Option<VerifiedCertificate> {
    let own = own.and_then(|bundle| bundle.verify_own(&Ring, electorate).ok());
    own.or_else(|| {
        let digest = electorate.digest();
        let of_it = |bundle: &&Bundle| {
            bundle.certificate.peek().is_ok_and(|certificate| certificate.electorate == digest)
        };
        shown.certificates.iter().filter(of_it).find_map(|bundle| bundle.verify(&Ring, electorate, now).ok())
    })
}

#[cfg(test)]
mod tests;
