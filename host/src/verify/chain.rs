//! A log of certificates, verified as a whole: each certificate as *later* (DESIGN §5), and how they hang together.
//!
//! Every certificate names the one before it (`previous`), as at least f + 1 of its voters carried it. So a log shows
//! what is missing from it, and two certificates of one term, which no cluster within its fault model makes, cannot hide.
//! A gap is no forgery: a node that was away has none of the certificates made meanwhile. Logs of several nodes fill each
//! other's gaps.
//! How each is verified is in `judge`; what no log of an honest cluster has is an [`Alarm`].

mod alarm;
mod judge;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::certificate::{Certificate, VerifiedCertificate};
use nitro_elect_protocol::ids::{CertificateDigest, Term};
use nitro_elect_protocol::view::Accepted;

use super::{Accept, Verdict};
use crate::proof_file::ProofFile;

pub use alarm::Alarm;
pub use judge::Judge;

/// Where a certificate was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The file, or whatever else it came from.
    pub source: String,
    /// Its line or place there, from 1.
    pub line: u64,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.source, self.line)
    }
}

/// A certificate of a log with what proves it, not yet believed.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The proof.
    pub proof: ProofFile,
    /// Where it was read.
    pub origin: Origin,
}

/// What is known of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It was not verified.
    Unchecked,
    /// Every check passed.
    Valid {
        /// What it is worth.
        assurance: Assurance,
        /// What stands behind its enclave.
        vouched: Vouched,
    },
    /// A check failed: it proves nothing.
    Invalid {
        /// The check's number.
        step: String,
        /// Why.
        why: String,
    },
}

/// What stands behind the enclave of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vouched {
    /// Its document passes now.
    Live,
    /// f + 1 promises.
    Promises,
    /// The certificate of a later term, which names it.
    Successor,
}

/// How a certificate hangs on those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// It names none: its voters had adopted none in common.
    Nothing,
    /// The one that it names is here.
    Follows(Term),
    /// It is the lowest here, and names one that is not: the log begins after it.
    Begins(Accepted),
    /// The one that it names is not here, though lower ones are.
    Gap(Accepted),
}

/// One certificate in its place.
#[derive(Debug, Clone)]
pub struct Link {
    /// Where it was read.
    pub origin: Origin,
    /// Its contents.
    pub certificate: Certificate,
    /// Its hash.
    pub digest: CertificateDigest,
    /// What is known of it.
    pub standing: Standing,
    /// How it hangs on those before it; nothing is said of one that is invalid.
    pub before: Option<Before>,
    /// Whether a later one passed over it: it was certified and adopted by somebody, and led to nothing.
    pub passed_over: bool,
}

/// A log, put in order.
#[derive(Debug, Default)]
pub struct Chain {
    /// By term.
    pub links: Vec<Link>,
    /// What no log of an honest cluster has.
    pub alarms: Vec<Alarm>,
}

/// The entries of one certificate: the same bytes, read more than once.
struct Group {
    certificate: Certificate,
    entries: Vec<Entry>,
}

/// Puts a log in order, and verifies it if there is a judge; `progress` hears how many of how many are done.
pub fn examine(entries: Vec<Entry>, judge: Option<&Judge>, mut progress: impl FnMut(usize, usize)) -> Chain {
    let mut chain = Chain::default();
    let groups = group(entries, &mut chain.alarms);
    let total = groups.len();
    let mut successors: BTreeMap<CertificateDigest, VerifiedCertificate> = BTreeMap::new();
    for (done, group) in groups.into_iter().rev().enumerate() {
        let digest = group.entries[0].proof.bundle.certificate.digest();
        let standing =
            judge.map_or(Standing::Unchecked, |judge| judge.settle(&group, digest, &mut successors));
        let Group { certificate, mut entries } = group;
        let origin = entries.swap_remove(0).origin;
        let (before, passed_over) = (None, false);
        chain.links.push(Link { origin, certificate, digest, standing, before, passed_over });
        progress(done + 1, total);
    }
    chain.links.reverse();
    chain.relate();
    chain
}

/// Groups by certificate, in the order of terms.
fn group(entries: Vec<Entry>, alarms: &mut Vec<Alarm>) -> Vec<Group> {
    let mut groups: BTreeMap<(Term, CertificateDigest), Group> = BTreeMap::new();
    let mut last: BTreeMap<String, Term> = BTreeMap::new();
    for entry in entries {
        let signed = &entry.proof.bundle.certificate;
        let certificate = match signed.peek() {
            Ok(certificate) => certificate,
            Err(why) => {
                alarms.push(Alarm::Unreadable { origin: entry.origin, why: why.to_string() });
                continue;
            }
        };
        let (term, origin) = (certificate.term, entry.origin.clone());
        match last.insert(origin.source.clone(), term) {
            Some(after) if after > term => alarms.push(Alarm::Disorder { origin, term, after }),
            _ => {}
        }
        let key = (term, signed.digest());
        let group = groups.entry(key).or_insert_with(|| Group { certificate, entries: Vec::new() });
        group.add(entry);
    }
    groups.into_values().collect()
}

impl Group {
    /// Adds what was read, unless it is there already: whole, or with promises where this one has none yet.
    fn add(&mut self, entry: Entry) {
        let says = |kept: &Entry, entry: &Entry| {
            let (kept, bundle) = (&kept.proof.bundle, &entry.proof.bundle);
            kept.certificate == bundle.certificate && (kept == bundle || bundle.promises.is_empty())
        };
        if !self.entries.iter().any(|kept| says(kept, &entry)) {
            self.entries.retain(|kept| !says(&entry, kept));
            self.entries.push(entry);
        }
    }
}

impl Chain {
    /// Says of every believed certificate how it hangs on those before it.
    fn relate(&mut self) {
        let believed = |link: &Link| !matches!(link.standing, Standing::Invalid { .. });
        let indexes: Vec<usize> =
            (0..self.links.len()).filter(|index| believed(&self.links[*index])).collect();
        let mut by_term: BTreeMap<Term, usize> = BTreeMap::new();
        let mut named = BTreeSet::new();
        for index in &indexes {
            let link = &self.links[*index];
            let term = link.certificate.term;
            if let Some(first) = by_term.get(&term).map(|first| &self.links[*first]) {
                let (digests, second) = ([first.digest, link.digest], link.origin.clone());
                self.alarms.push(Alarm::Fork { term, digests, first: first.origin.clone(), second });
            }
            let before = self.before(link, &by_term);
            if let Some(alarm) = self.contradiction(link, &by_term) {
                self.alarms.push(alarm);
            }
            named.extend(link.certificate.previous.map(|previous| previous.certificate));
            by_term.entry(term).or_insert(*index);
            self.links[*index].before = Some(before);
        }
        let newest = indexes.last().copied();
        for index in indexes {
            let link = &mut self.links[index];
            link.passed_over = Some(index) != newest && !named.contains(&link.digest);
        }
    }

    fn before(&self, link: &Link, lower: &BTreeMap<Term, usize>) -> Before {
        let Some(previous) = link.certificate.previous else { return Before::Nothing };
        let here = lower.get(&previous.term).map(|index| &self.links[*index]);
        match here {
            Some(found) if found.digest == previous.certificate => Before::Follows(previous.term),
            _ if lower.is_empty() => Before::Begins(previous),
            _ => Before::Gap(previous),
        }
    }

    /// What a certificate says of the one before it, where that cannot be.
    fn contradiction(&self, link: &Link, lower: &BTreeMap<Term, usize>) -> Option<Alarm> {
        let (term, named) = (link.certificate.term, link.certificate.previous?);
        if named.term >= term {
            return Some(Alarm::Impossible { term, named });
        }
        let found = &self.links[*lower.get(&named.term)?];
        if found.digest != named.certificate {
            return Some(Alarm::OtherPrevious { by: term, named, found: found.digest });
        }
        (found.certificate.leader != named.leader).then_some(Alarm::Impossible { term, named })
    }

    /// The gaps: the term after each, and what is missing before it.
    pub fn gaps(&self) -> impl Iterator<Item = (Term, Accepted)> {
        self.links.iter().filter_map(|link| match link.before {
            Some(Before::Gap(missing)) => Some((link.certificate.term, missing)),
            _ => None,
        })
    }

    /// The least assurance of a valid certificate.
    pub fn assurance(&self) -> Option<Assurance> {
        let worths = self.links.iter().filter_map(|link| match link.standing {
            Standing::Valid { assurance, .. } => Some(assurance),
            _ => None,
        });
        worths.reduce(Assurance::and)
    }

    /// What follows for the whole log. Gaps count only if the caller does not allow them.
    pub fn verdict(&self, accept: Accept, allow_gaps: bool) -> Verdict {
        let invalid = self.links.iter().any(|link| !matches!(link.standing, Standing::Valid { .. }));
        let whole = allow_gaps || self.gaps().next().is_none();
        match self.assurance() {
            Some(worth) if !invalid && whole && self.alarms.is_empty() => match accept.is_enough(worth) {
                true => Verdict::Valid,
                false => Verdict::LessAssurance,
            },
            _ => Verdict::Invalid,
        }
    }
}
