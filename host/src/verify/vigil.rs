//! Watching a lease through a node that is not trusted: what its proofs show, and when it lies.
//!
//! Whoever watches draws a nonce, notes its own BOOTTIME, and asks for a proof. Only what a proof shows that was verified
//! is ever told, with names of the manifest; of any other answer the check that it failed is told, and nothing it says.
//! A verified lease lasts from when its nonce was drawn, on the watcher's clock (DESIGN §3.4), whatever comes after.
//!
//! # Driving
//! Call [`Vigil::answered`] or [`Vigil::silent`] once for each nonce drawn, in order, with the time read after the answer
//! came; call [`Vigil::ended`] whenever [`Vigil::until`] has passed. Late calls tell late, never wrongly.

use std::time::Duration;

use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::attestation::Check;
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::ids::{NodeId, Nonce, Term};
use nitro_elect_protocol::time::{Boot, Now, Wall};

use super::{Accept, Authority, Moment, Question, Report, Status, Step, Verdict, verify};
use crate::core::timing::Timing;
use crate::proof_file::ProofFile;

/// What a watcher knows.
#[derive(Debug)]
pub struct Vigil {
    authority: Authority,
    accept: Accept,
    usable: Duration,
    /// The highest term that was verified: a lower one is refused from then on.
    highest: Term,
    leads: Option<Leads>,
    /// When the last proof was verified.
    proven: Option<Wall>,
    trouble: Option<Trouble>,
}

/// A verified lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leads {
    /// Who holds it.
    pub leader: NodeId,
    /// In which term.
    pub term: Term,
    /// Until when, on the watcher's clock, unless it is renewed.
    pub until: Boot,
    /// What the proof is worth.
    pub assurance: Assurance,
}

/// What keeps a watcher from knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trouble {
    Silence(String),
    Lie(Lie),
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Somebody is now verified to hold the lease.
    Leads(Leads),
    /// A lease that was verified is over, and none is known.
    Over(Leads),
    /// No proof comes.
    NoProof {
        /// Why, in this program's words.
        why: String,
    },
    /// The node showed something that is not true, or no longer.
    Lied(Lie),
    /// The proof is right, and worth less than was asked for.
    LessAssurance(Assurance),
}

/// What a node showed instead of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lie {
    /// Something else.
    #[error("what it shows is no proof")]
    NoProof,
    /// A proof of another cluster.
    #[error("it shows another cluster's proof")]
    OtherCluster,
    /// A proof over another list of voters.
    #[error(
        "it shows a proof over other voters than this manifest's: it lies, or the manifest is not the present one"
    )]
    OtherElectorate,
    /// An enclave that the manifest does not accept.
    #[error("it shows a certificate of an enclave that this manifest does not accept (check 4.{}: {})", .0.number(), .0.title())]
    Enclave(Check),
    /// A certificate that the enclave did not sign.
    #[error("it shows a forged certificate: the enclave did not sign it")]
    Forged,
    /// A lease that was proven to somebody else, before.
    #[error("it shows an old proof: the leader did not answer the nonce drawn for this one")]
    Replayed,
    /// A term below one that was verified.
    #[error("it shows term {shown}, after term {highest} was verified")]
    LowerTerm {
        /// The term shown.
        shown: Term,
        /// The highest verified.
        highest: Term,
    },
    /// Another check failed.
    #[error("what it shows fails check {step}: {}", .step.title())]
    Fails {
        /// Which.
        step: Step,
    },
}

impl Vigil {
    /// A watcher that knows nothing yet.
    pub fn new(electorate: Electorate, accept: Accept) -> Self {
        let usable = Timing { lease: electorate.lease() }.usable();
        let authority = Authority::Manifest(Box::new(electorate));
        Vigil { authority, accept, usable, highest: Term(0), leads: None, proven: None, trouble: None }
    }

    /// How long a proof is good after its nonce was drawn: an answer that takes longer is worth nothing.
    pub fn usable(&self) -> Duration {
        self.usable
    }

    /// When the lease that is known will be over.
    pub fn until(&self) -> Option<Boot> {
        self.leads.map(|leads| leads.until)
    }

    /// When the last proof was verified.
    pub fn proven(&self) -> Option<Wall> {
        self.proven
    }

    /// The node answered a nonce that was drawn at a time.
    pub fn answered(&mut self, text: &str, nonce: &Nonce, drawn: Boot, now: Now) -> Vec<Change> {
        let mut changes: Vec<Change> = self.ended(now.boot).into_iter().collect();
        let shown = self.judge(text, nonce, drawn, now);
        changes.extend(match shown {
            Ok(leads) if leads.until > now.boot => self.learn(leads, now.wall),
            // It came too late to say anything about now.
            Ok(leads) => {
                self.highest = self.highest.max(leads.term);
                None
            }
            Err(Shown::Lie(lie)) => self.trouble(Trouble::Lie(lie)),
            Err(Shown::Less(assurance)) => Some(Change::LessAssurance(assurance)),
        });
        changes
    }

    /// The node gave no answer.
    pub fn silent(&mut self, why: impl Into<String>, now: Boot) -> Vec<Change> {
        let over = self.ended(now);
        over.into_iter().chain(self.trouble(Trouble::Silence(why.into()))).collect()
    }

    /// Tells once that the lease that was known is over.
    pub fn ended(&mut self, now: Boot) -> Option<Change> {
        self.leads.take_if(|leads| leads.until <= now).map(Change::Over)
    }

    fn learn(&mut self, leads: Leads, now: Wall) -> Option<Change> {
        self.proven = Some(now);
        let known = self.leads.map(|known| (known.term, known.leader));
        let until = self
            .leads
            .filter(|known| known.term == leads.term)
            .map_or(leads.until, |known| known.until.max(leads.until));
        let recovered = self.trouble.take().is_some();
        self.highest = self.highest.max(leads.term);
        self.leads = Some(Leads { until, ..leads });
        (recovered || known != Some((leads.term, leads.leader))).then_some(Change::Leads(leads))
    }

    fn trouble(&mut self, trouble: Trouble) -> Option<Change> {
        if self.trouble.as_ref() == Some(&trouble) {
            return None;
        }
        self.trouble = Some(trouble.clone());
        Some(match trouble {
            Trouble::Silence(why) => Change::NoProof { why },
            Trouble::Lie(lie) => Change::Lied(lie),
        })
    }

    fn judge(&self, text: &str, nonce: &Nonce, drawn: Boot, now: Now) -> Result<Leads, Shown> {
        let proof = ProofFile::parse(text).map_err(|_| Lie::NoProof)?;
        let question = Question { moment: Moment::Now(now.wall), nonce: Some(nonce), accept: self.accept };
        let report = verify(&proof, &self.authority, question);
        let lease = report.lease.as_ref();
        let (Some(certificate), Some(lease)) = (&report.certificate, lease) else {
            return Err(lie_of(&report).into());
        };
        let (term, assurance) = (lease.term, certificate.assurance());
        if report.verdict != Verdict::Valid {
            return Err(Shown::Less(assurance));
        }
        if term < self.highest {
            return Err(Lie::LowerTerm { shown: term, highest: self.highest }.into());
        }
        Ok(Leads { leader: lease.leader, term, until: drawn + self.usable, assurance })
    }
}

/// What an answer is that shows no lease.
enum Shown {
    Lie(Lie),
    Less(Assurance),
}

impl From<Lie> for Shown {
    fn from(lie: Lie) -> Self {
        Shown::Lie(lie)
    }
}

fn lie_of(report: &Report) -> Lie {
    let failed = report.lines.iter().find(|line| line.status == Status::Failed).map(|line| line.step);
    match failed {
        Some(Step::Cluster) => Lie::OtherCluster,
        Some(Step::Electorate) => Lie::OtherElectorate,
        Some(Step::Attestation(check)) => Lie::Enclave(check),
        Some(Step::Signature) => Lie::Forged,
        Some(Step::Nonce) => Lie::Replayed,
        Some(step) => Lie::Fails { step },
        None => Lie::NoProof,
    }
}
