//! What admits a leader, as rules over proofs and points in time: no clock is read here, nothing is written.
//!
//! A proof passes in the order of DESIGN §3.4: assurance, manifest and cluster, certificate, promises that name it, a
//! quorum of distinct voters in one renewal, a nonce that was drawn here, the time since then, the presenter's key, and
//! the highest term admitted. All but the last four are [`verify`]'s work.
//!
//! A certificate that was verified once is remembered, so that the proofs of one term cost their promises alone; as a
//! node does with its own disk, the fence trusts what it verified itself when the enclave's document has expired since.
//!
//! # Driving
//! [`Rules::note`] every nonce *with the time before it was handed out*, and give [`Rules::judge`] the time after the
//! proof came. The highest term is the caller's to keep, and to make durable before anything is let through.

use std::collections::VecDeque;

use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::certificate::VerifiedCertificate;
use nitro_elect_protocol::crypto::Ring;
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::ids::{ElectorateDigest, NodeId, Nonce, Term};
use nitro_elect_protocol::proof::{LeaseProof, VerifiedLeaseProof};
use nitro_elect_protocol::time::{Boot, Now};

use super::Stale;
use crate::core::timing::Timing;
use crate::limits::FENCE_NONCES_MAX;
use crate::proof_file::ProofFile;
use crate::verify::{Accept, Authority, Moment, Question, Report, Status, Step, Verdict, verify};

/// Who leads, and until when that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The term.
    pub term: Term,
    /// Who leads in it.
    pub leader: NodeId,
    /// Until when, on this machine's `CLOCK_BOOTTIME`.
    pub until: Boot,
    /// What the proof is worth.
    pub assurance: Assurance,
}

impl Standing {
    /// Refuses it once its time is over.
    pub fn check_clock(&self, now: Boot) -> Result<(), Stale> {
        if now < self.until { Ok(()) } else { Err(Stale::TooOld { over: now.since(self.until) }) }
    }
}

/// The rules, and what they remember.
#[derive(Debug)]
pub struct Rules {
    /// Whose proofs count, by the digest of the electorate where there is a manifest. At least one.
    authorities: Vec<(Option<ElectorateDigest>, Authority)>,
    accept: Accept,
    /// Nonces drawn here and when, oldest first.
    nonces: VecDeque<(Nonce, Boot)>,
    /// The certificate that was believed last.
    known: Option<VerifiedCertificate>,
}

impl Rules {
    /// Rules for the proofs of these authorities: one, or several while a manifest is being replaced.
    pub fn new(authorities: Vec<Authority>, accept: Accept) -> Self {
        let with_digest = |authority: Authority| match &authority {
            Authority::Manifest(electorate) => (Some(electorate.digest()), authority),
            Authority::Open(_) => (None, authority),
        };
        let authorities = authorities.into_iter().map(with_digest).collect();
        Rules { authorities, accept, nonces: VecDeque::new(), known: None }
    }

    /// Remembers a nonce that was drawn here at this time. Of more than [`FENCE_NONCES_MAX`] the oldest is forgotten.
    pub fn note(&mut self, nonce: Nonce, drawn: Boot) {
        if self.nonces.len() >= FENCE_NONCES_MAX {
            self.nonces.pop_front();
        }
        self.nonces.push_back((nonce, drawn));
    }

    /// Judges a proof that `presenter` shows (nobody in particular, if it is only to say who leads), given the highest
    /// term that was admitted.
    pub fn judge(
        &mut self,
        proof: &ProofFile,
        presenter: Option<NodeId>,
        highest: Term,
        now: Now,
    ) -> Result<Standing, Stale> {
        let (lease, assurance) = self.believe(proof, now)?;
        let (_, drawn) = self
            .nonces
            .iter()
            .rev()
            .find(|(nonce, _)| lease.answers(nonce).is_ok())
            .ok_or(Stale::NotMyNonce)?;
        let usable = Timing { lease: self.electorate_of(proof)?.lease() }.usable();
        let standing = Standing { term: lease.term, leader: lease.leader, until: *drawn + usable, assurance };
        standing.check_clock(now.boot)?;
        if let Some(presenter) = presenter.filter(|presenter| *presenter != lease.leader) {
            return Err(Stale::OtherPresenter { leader: lease.leader, presenter });
        }
        if lease.term < highest {
            return Err(Stale::LowerTerm { term: lease.term, highest });
        }
        Ok(standing)
    }

    /// The lease of a proof whose every check passes, the own nonce apart, and what it is worth.
    fn believe(&mut self, proof: &ProofFile, now: Now) -> Result<(VerifiedLeaseProof, Assurance), Stale> {
        let lease = proof.lease.as_ref().ok_or(Stale::NoLease)?;
        if let Some(verified) = self.verify_known(proof, lease) {
            return verified;
        }
        let question = Question { moment: Moment::Now(now.wall), nonce: None, accept: self.accept };
        let report = verify(proof, self.authority_of(proof), question);
        match report.verdict {
            Verdict::Valid => {}
            Verdict::LessAssurance => return Err(less_assurance(&report)),
            Verdict::Invalid => return Err(failed(report)),
        }
        let (lease, certificate) = report.lease.zip(report.certificate).ok_or(Stale::NoLease)?;
        let assurance = certificate.assurance();
        self.known = Some(certificate);
        Ok((lease, assurance))
    }

    /// The same under the certificate that was believed last, if it is that one's.
    fn verify_known(
        &self,
        proof: &ProofFile,
        lease: &LeaseProof,
    ) -> Option<Result<(VerifiedLeaseProof, Assurance), Stale>> {
        let known = self.known.as_ref()?;
        if proof.electorate.is_some() || proof.bundle.certificate.digest() != known.digest() {
            return None;
        }
        let electorate = self.electorate_of(proof).ok()?;
        let verified = lease.verify(&Ring, electorate, known).map(|lease| (lease, known.assurance()));
        Some(verified.map_err(|error| Stale::Proof { step: Step::Lease, why: error.to_string() }))
    }

    /// The authority whose electorate the proof names; the first, which will say what is wrong, if it names none.
    fn authority_of(&self, proof: &ProofFile) -> &Authority {
        let named = proof.bundle.certificate.peek().ok().map(|certificate| certificate.electorate);
        let found = self.authorities.iter().find(|(digest, _)| digest.is_some() && *digest == named);
        &found.unwrap_or(&self.authorities[0]).1
    }

    fn electorate_of<'a>(&'a self, proof: &'a ProofFile) -> Result<&'a Electorate, Stale> {
        match (self.authority_of(proof), &proof.electorate) {
            (Authority::Manifest(electorate), _) => Ok(electorate),
            (Authority::Open(_), Some(electorate)) => Ok(electorate),
            (Authority::Open(_), None) => Err(Stale::NoLease),
        }
    }
}

fn less_assurance(report: &Report) -> Stale {
    match &report.certificate {
        Some(certificate) => Stale::Assurance { found: certificate.assurance() },
        None => Stale::NoLease,
    }
}

fn failed(report: Report) -> Stale {
    let line = report.lines.into_iter().find(|line| line.status == Status::Failed);
    line.map_or(Stale::NoLease, |line| Stale::Proof { step: line.step, why: line.found })
}
