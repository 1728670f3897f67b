//! What became of each check of a proof, and what follows from all of them.

use std::cmp::Ordering;

use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::certificate::VerifiedCertificate;
use nitro_elect_protocol::proof::VerifiedLeaseProof;

use super::step::Step;

/// What became of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It passed.
    Passed,
    /// It failed: the proof proves nothing.
    Failed,
    /// It could not be made at the present time; check 9 stands in for it.
    Expired,
    /// It has nothing to look at here.
    NotAsked,
    /// A check before it failed.
    NotReached,
}

impl Status {
    /// How programs read it.
    pub fn word(self) -> &'static str {
        match self {
            Status::Passed => "ok",
            Status::Failed => "failed",
            Status::Expired => "expired",
            Status::NotAsked => "not asked",
            Status::NotReached => "not made",
        }
    }
}

/// One check, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which check.
    pub step: Step,
    /// What became of it.
    pub status: Status,
    /// What was found, or why it failed.
    pub found: String,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is what it claims to be, and worth what was asked for.
    Valid,
    /// It is what it claims to be, but worth less than was asked for.
    LessAssurance,
    /// It proves nothing.
    Invalid,
}

impl Verdict {
    /// How programs read it.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Valid => "valid",
            Verdict::LessAssurance => "less assurance",
            Verdict::Invalid => "invalid",
        }
    }
}

/// A verified proof, check by check.
#[derive(Debug)]
pub struct Report {
    /// Every check, in order.
    pub lines: Vec<Line>,
    /// What follows from them.
    pub verdict: Verdict,
    /// The certificate, unless the proof is invalid.
    pub certificate: Option<VerifiedCertificate>,
    /// The lease, if the proof has one and is valid.
    pub lease: Option<VerifiedLeaseProof>,
}

/// What the caller accepts beside `attested`. Neither a manifest nor a trust file can say this for him.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accept {
    /// Enclaves in debug mode.
    pub debug: bool,
    /// Simulated enclaves.
    pub simulated: bool,
    /// Open clusters.
    pub open: bool,
}

impl Accept {
    /// Whether this is enough for the caller.
    pub fn is_enough(self, assurance: Assurance) -> bool {
        match assurance {
            Assurance::Attested => true,
            Assurance::Debug => self.debug,
            Assurance::Simulated => self.simulated,
            Assurance::Open => self.open,
        }
    }
}

/// What a proof that passed every check says.
#[derive(Debug)]
pub(super) struct Believed {
    pub(super) certificate: VerifiedCertificate,
    pub(super) lease: Option<VerifiedLeaseProof>,
}

/// A check that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) step: Step,
    pub(super) why: String,
}

/// The checks made so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    lines: Vec<Line>,
}

impl Progress {
    pub(super) fn pass(&mut self, step: Step, found: impl Into<String>) {
        self.note(step, Status::Passed, found);
    }

    pub(super) fn note(&mut self, step: Step, status: Status, found: impl Into<String>) {
        self.lines.push(Line { step, status, found: found.into() });
    }

    /// The report of a certificate that was verified, or of the check that stopped it.
    pub(super) fn finish(mut self, outcome: Result<Believed, Failure>, accept: Accept) -> Report {
        match outcome {
            Ok(Believed { certificate, lease }) => {
                let assurance = certificate.assurance();
                let enough = accept.is_enough(assurance);
                let (status, verdict) = match enough {
                    true => (Status::Passed, Verdict::Valid),
                    false => (Status::Failed, Verdict::LessAssurance),
                };
                self.note(Step::Assurance, status, assurance.to_string());
                self.lines.sort_by_key(|line| line.step);
                Report { lines: self.lines, verdict, certificate: Some(certificate), lease }
            }
            Err(failure) => {
                self.stop(failure);
                Report { lines: self.lines, verdict: Verdict::Invalid, certificate: None, lease: None }
            }
        }
    }

    /// Puts the failure in its place: what comes before it passed unless noted otherwise, what comes after it was not
    /// reached.
    fn stop(&mut self, failure: Failure) {
        let noted = std::mem::take(&mut self.lines);
        let line = |step: Step| match step.cmp(&failure.step) {
            Ordering::Less => {
                let passed = Line { step, status: Status::Passed, found: String::new() };
                noted.iter().find(|line| line.step == step).cloned().unwrap_or(passed)
            }
            Ordering::Equal => Line { step, status: Status::Failed, found: failure.why.clone() },
            Ordering::Greater => Line { step, status: Status::NotReached, found: String::new() },
        };
        self.lines = Step::all().map(line).collect();
    }
}
