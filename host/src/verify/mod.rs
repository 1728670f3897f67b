//! Verifying a proof offline, check by check, from files alone (DESIGN §5, *live and later*).
//!
//! The order is that of what a reader wants to know first: is this a proof, of my cluster, over my electorate; is the
//! enclave one that I accept; did it sign this; did enough voters take part. The cluster and the electorate are
//! compared before anything is verified, because another cluster's proof should be called that and not a bad
//! attestation; they are compared again by the verification itself, which alone makes a [`VerifiedCertificate`].

pub mod chain;
mod document;
mod evidence;
mod report;
mod step;
pub mod vigil;

use nitro_elect_protocol::attestation::{
    AttestationError, Check, NonceCheck, Outcome, VerifiedEnclave, When, verify_enclave,
};
use nitro_elect_protocol::certificate::{Certificate, CertificateError, VerifiedCertificate, Vouching};
use nitro_elect_protocol::crypto::Ring;
use nitro_elect_protocol::electorate::{Electorate, VERSION};
use nitro_elect_protocol::hash;
use nitro_elect_protocol::ids::{ClusterId, Nonce};
use nitro_elect_protocol::proof::VerifiedLeaseProof;
use nitro_elect_protocol::time::Wall;
use nitro_elect_protocol::trust::Trust;

pub use document::{DocumentReport, examine_document};
pub use evidence::{Acquittal, convict};
pub use report::{Accept, Line, Report, Status, Verdict};
pub use step::Step;

use crate::core::timing::Timing;
use crate::proof_file::ProofFile;
use report::{Believed, Failure, Progress};

/// What the caller brings, and believes.
#[derive(Debug, Clone)]
pub enum Authority {
    /// The electorate of a manifest.
    Manifest(Box<Electorate>),
    /// For an open cluster: which enclaves are accepted.
    Open(Box<Trust>),
}

impl Authority {
    /// The cluster whose proofs count: the manifest's, or that of open ones.
    pub fn cluster(&self) -> ClusterId {
        match self {
            Authority::Manifest(electorate) => electorate.cluster,
            Authority::Open(_) => ClusterId::OPEN,
        }
    }
}

/// The time at which dates are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The present.
    Now(Wall),
    /// A time that the caller states; the answer is as good as the statement.
    Stated(Wall),
}

impl Moment {
    /// How dates are checked at it.
    pub fn when(self) -> When {
        match self {
            Moment::Now(now) => When::Live { now },
            Moment::Stated(time) => When::At { time },
        }
    }

    /// How reports call it.
    fn name(self) -> String {
        match self {
            Moment::Now(now) => format!("now ({now})"),
            Moment::Stated(time) => format!("{time}, as the caller states"),
        }
    }
}

/// What is asked of a proof beside that it is right.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// When dates are checked.
    pub moment: Moment,
    /// The caller's own nonce, which the lease must answer.
    pub nonce: Option<&'a Nonce>,
    /// What is accepted beside `attested`.
    pub accept: Accept,
}

/// Verifies a proof and says what became of every check.
pub fn verify(proof: &ProofFile, authority: &Authority, question: Question<'_>) -> Report {
    verify_followed(proof, authority, question, None)
}

/// Verifies a certificate of a log. A verified `successor` that names it as the one before it vouches for it as promises
/// do: f + 1 counted views carried it, one of them an honest voter's who adopted it, and so verified it live.
fn verify_followed(
    proof: &ProofFile,
    authority: &Authority,
    question: Question<'_>,
    successor: Option<&VerifiedCertificate>,
) -> Report {
    let mut progress = Progress::default();
    let outcome = run(proof, authority, question, successor, &mut progress);
    progress.finish(outcome, question.accept)
}

fn run(
    proof: &ProofFile,
    authority: &Authority,
    question: Question<'_>,
    successor: Option<&VerifiedCertificate>,
    progress: &mut Progress,
) -> Result<Believed, Failure> {
    let moment = question.moment;
    let certificate = check_structure(proof, progress)?;
    let electorate = check_membership(proof, &certificate, authority, progress)?;
    let (enclave, is_expired) = check_document(proof, &certificate, electorate, moment, progress)?;
    let vouched = is_expired.then_some(successor);
    let certificate = check_certificate(proof, electorate, &enclave, vouched)?;
    note_certificate(proof, electorate, &certificate, moment, progress);
    let lease = check_lease(proof, electorate, &certificate, question.nonce, progress)?;
    Ok(Believed { certificate, lease })
}

fn fail(step: Step, why: impl ToString) -> Failure {
    Failure { step, why: why.to_string() }
}

fn certificate_failure(error: CertificateError) -> Failure {
    fail(Step::of_certificate(&error), error)
}

fn check_structure(proof: &ProofFile, progress: &mut Progress) -> Result<Certificate, Failure> {
    let structure = |error: CertificateError| fail(Step::Structure, error);
    proof.bundle.check_bounds().map_err(|error| structure(error.into()))?;
    let certificate = proof.bundle.certificate.peek().map_err(|error| structure(error.into()))?;
    if certificate.version != VERSION {
        return Err(structure(CertificateError::Version(certificate.version)));
    }
    if !certificate.term.is_in_range() || certificate.term.0 == 0 {
        return Err(structure(CertificateError::TermRange(certificate.term)));
    }
    let bytes = proof.bundle.certificate.bytes.len();
    progress.pass(Step::Structure, format!("a certificate of {bytes} bytes for term {}", certificate.term));
    Ok(certificate)
}

/// Checks 2 and 3; the electorate to verify against.
fn check_membership<'a>(
    proof: &'a ProofFile,
    certificate: &Certificate,
    authority: &'a Authority,
    progress: &mut Progress,
) -> Result<&'a Electorate, Failure> {
    let electorate = match (authority, &proof.electorate) {
        (Authority::Manifest(electorate), None) => &**electorate,
        (Authority::Manifest(_), Some(_)) => {
            return Err(fail(Step::Cluster, "the proof is an open cluster's, which has no manifest"));
        }
        (Authority::Open(_), None) => {
            return Err(fail(Step::Cluster, "the proof is of a cluster with a manifest, and none was given"));
        }
        (Authority::Open(trust), Some(electorate)) if electorate.trust == **trust => electorate,
        (Authority::Open(_), Some(_)) => {
            let why = "the open cluster accepts other enclaves than the trust file given";
            return Err(fail(Step::Electorate, why));
        }
    };
    let (found, expected) = (certificate.cluster, electorate.cluster);
    if found != expected {
        return Err(certificate_failure(CertificateError::Cluster { found, expected }));
    }
    let name = match electorate.is_open() {
        true => "an OPEN cluster: anybody may be a voter of it".into(),
        false => format!("{:?}, {found}", electorate.name),
    };
    progress.pass(Step::Cluster, name);
    let (found, expected) = (certificate.electorate, electorate.digest());
    if found != expected {
        return Err(certificate_failure(CertificateError::Electorate { found, expected }));
    }
    progress.pass(Step::Electorate, format!("epoch {}, {found}", electorate.epoch));
    Ok(electorate)
}

/// Checks 4.1 to 4.19: at the moment if the document still passes there, else all but its dates, and that it is so.
fn check_document(
    proof: &ProofFile,
    certificate: &Certificate,
    electorate: &Electorate,
    moment: Moment,
    progress: &mut Progress,
) -> Result<(VerifiedEnclave, bool), Failure> {
    let verify = |when| {
        let (document, claimed) = (&proof.bundle.document, Some(certificate.enclave));
        verify_enclave(document, &electorate.trust, claimed, NonceCheck::NotAsked, when)
    };
    let refused = |error: AttestationError| fail(Step::of_attestation(&error), error);
    let expired = match verify(moment.when()) {
        Ok(enclave) => {
            note_document(&enclave, electorate, None, progress);
            return Ok((enclave, false));
        }
        Err(error) if error.is_expiry() => error,
        Err(error) => return Err(refused(error)),
    };
    progress.note(Step::of_attestation(&expired), Status::Expired, expired.to_string());
    let enclave = verify(When::Later).map_err(refused)?;
    note_document(&enclave, electorate, Some(&expired), progress);
    Ok((enclave, true))
}

fn note_document(
    enclave: &VerifiedEnclave,
    electorate: &Electorate,
    expired: Option<&AttestationError>,
    progress: &mut Progress,
) {
    for checked in enclave.checks() {
        let step = Step::Attestation(checked.check);
        match checked.outcome {
            Outcome::Passed => progress.pass(step, found_in(enclave, electorate, checked.check)),
            Outcome::DebugAllowed => progress.pass(step, "DEBUG MODE, which the trust section allows"),
            Outcome::NotAsked => progress.note(step, Status::NotAsked, "a proof answers nobody's question"),
            Outcome::Later if expired.and_then(AttestationError::check) == Some(checked.check) => {}
            Outcome::Later => progress.note(step, Status::Expired, "not at its present age"),
        }
    }
}

/// What there is to show of a check that passed.
fn found_in(enclave: &VerifiedEnclave, electorate: &Electorate, check: Check) -> String {
    match check {
        Check::Root if electorate.trust.root.is_aws() => "AWS's Nitro root".into(),
        Check::Root => {
            format!("SIMULATED: root {}", hash::to_hex(&electorate.trust.root.fingerprint()))
        }
        Check::Measurements => enclave.pcrs().get(&0).map(|pcr| format!("PCR0 {pcr}")).unwrap_or_default(),
        Check::Age => format!("made {}", enclave.timestamp()),
        Check::Signature => format!("module {:?}", enclave.document().module_id()),
        Check::Binding => format!("service version {:?}", enclave.service_version()),
        Check::EnclaveId => enclave.id().to_string(),
        _ => String::new(),
    }
}

/// Checks 5 to 9; `expired` where the document is, with the certificate after this one if that is known.
fn check_certificate(
    proof: &ProofFile,
    electorate: &Electorate,
    enclave: &VerifiedEnclave,
    expired: Option<Option<&VerifiedCertificate>>,
) -> Result<VerifiedCertificate, Failure> {
    let (certificate, promises) = (proof.bundle.certificate.clone(), &proof.bundle.promises);
    let digest = certificate.digest();
    let named = |successor: &&VerifiedCertificate| {
        let previous = successor.previous.filter(|previous| previous.certificate == digest);
        let same = successor.electorate == electorate.digest();
        previous.is_some() && same && promises.len() <= electorate.f()
    };
    let verified = match expired {
        None => certificate.verify_live(&Ring, electorate, enclave),
        Some(successor) if successor.as_ref().is_some_and(named) => {
            certificate.verify_own(&Ring, electorate, enclave)
        }
        Some(_) => certificate.verify_vouched(&Ring, electorate, enclave, promises),
    };
    let verified = verified.map_err(certificate_failure)?;
    verified.check_promises(&Ring, electorate, promises).map_err(certificate_failure)?;
    Ok(verified)
}

fn note_certificate(
    proof: &ProofFile,
    electorate: &Electorate,
    verified: &VerifiedCertificate,
    moment: Moment,
    progress: &mut Progress,
) {
    let name = |key| electorate.voter(key).map_or_else(String::new, |voter| voter.name.clone());
    let signers: Vec<String> = verified.signers.iter().map(name).collect();
    let (n, quorum) = (electorate.n(), electorate.quorum());
    let promises = proof.bundle.promises.len();
    progress.pass(Step::Signature, format!("certificate {}", hash::to_hex(&verified.digest().0)));
    progress.pass(
        Step::Quorum,
        format!("{} of {n} voters, {quorum} are needed: {}", signers.len(), signers.join(", ")),
    );
    let (leader, generation) = (&verified.leader, verified.leader_generation);
    progress.pass(Step::Leader, format!("{}, life {generation}, {leader}", name(leader)));
    progress.pass(Step::Promises, format!("{promises} by distinct voters"));
    let vouching = match verified.vouching() {
        Vouching::Voters => {
            format!("VOUCHED FOR by {promises} voters, {} are needed", electorate.f() + 1)
        }
        Vouching::Live => format!("attested {}", moment.name()),
        Vouching::OwnDisk => "VOUCHED FOR by the certificate after it, which names it".into(),
    };
    progress.pass(Step::Vouching, vouching);
}

/// Checks 10 and 11: who leads, beyond who was elected.
fn check_lease(
    proof: &ProofFile,
    electorate: &Electorate,
    certificate: &VerifiedCertificate,
    nonce: Option<&Nonce>,
    progress: &mut Progress,
) -> Result<Option<VerifiedLeaseProof>, Failure> {
    let Some(lease) = &proof.lease else {
        if nonce.is_some() {
            return Err(fail(
                Step::Lease,
                "the proof has no lease, so it answers no nonce: ask /v1/proof?nonce=",
            ));
        }
        progress.note(Step::Lease, Status::NotAsked, "the proof says who was elected, not who leads");
        progress.note(Step::Nonce, Status::NotAsked, "there is no lease to answer one");
        return Ok(None);
    };
    let verified = lease.verify(&Ring, electorate, certificate).map_err(|error| fail(Step::Lease, error))?;
    let until = verified.signed_at + electorate.lease();
    let found = format!(
        "{} voters in renewal {}; by their wall clocks until {until}, as advice",
        lease.promises.len(),
        verified.seq
    );
    progress.pass(Step::Lease, found);
    match nonce {
        None => {
            progress.note(Step::Nonce, Status::NotAsked, "no nonce was given, so the lease may be long over")
        }
        Some(nonce) => {
            verified.answers(nonce).map_err(|error| fail(Step::Nonce, error))?;
            let usable = Timing { lease: electorate.lease() }.usable();
            progress.pass(
                Step::Nonce,
                format!("the lease holds until {} ms after you drew the nonce", usable.as_millis()),
            );
        }
    }
    Ok(Some(verified))
}
