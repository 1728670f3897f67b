//! `GET /v1/checks`: the newest certificate that the node has, or with `?term=` one of those before it, verified at this
//! moment, check by check, as `nitro-elect verify` does it from files.
//!
//! It is this node's word on itself: whoever does not trust the node takes `/v1/certificate` and verifies it elsewhere.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::certificate::Certificate;
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::ids::{NodeId, Term};
use nitro_elect_protocol::proof::LeaseProof;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::answers::Fault;
use super::json::Json;
use super::limits::CHECKERS;
use super::places::at_a_place;
use crate::clock;
use crate::node::Handle;
use crate::node::happening::reason;
use crate::node::names::{Named, Names};
use crate::node::recent::Adopted;
use crate::proof_file::ProofFile;
use crate::verify::{Accept, Authority, Line, Moment, Question, Report, Status, Step, Verdict, verify};

/// Places for verifications, of all nodes of this process.
static PLACES: Semaphore = Semaphore::const_new(CHECKERS);

/// `GET /v1/checks`: a certificate and what became of each check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// What it says; not to be believed unless the verdict is.
    pub certificate: Certified,
    /// `valid`, `less assurance` (than attested) or `invalid`, as `verify --json` says it.
    pub verdict: String,
    /// What it is worth; none if it is invalid.
    pub assurance: Option<Assurance>,
    /// Every check, in order.
    pub checks: Vec<Check>,
    /// The terms of the certificates that can be asked for.
    pub terms: Vec<Term>,
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certified {
    /// The election's number.
    pub term: Term,
    /// SHA-256 of its bytes.
    pub digest: String,
    /// The electorate that it was made over.
    pub electorate: String,
    /// The enclave that signed it.
    pub enclave: String,
    /// Who was elected.
    pub leader: Named,
    /// Who called the election.
    pub coordinator: Named,
    /// Why this leader.
    pub reason: String,
    /// Voters whose views counted.
    pub signers: Vec<Named>,
    /// Voters that most of them saw alive.
    pub active: Vec<Named>,
    /// Those who could have been elected.
    pub candidates: Vec<Named>,
    /// How many views did not count.
    pub skipped: usize,
    /// The term of the certificate before it.
    pub previous: Option<Term>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its number, as `4.7`.
    pub number: String,
    /// What it establishes.
    pub title: String,
    /// `ok`, `failed`, `expired`, `not asked` or `not made`.
    pub status: String,
    /// What was found.
    pub found: String,
}

/// Verifies a certificate that the node keeps.
pub async fn checks(State(node): State<Handle>, uri: Uri) -> Result<Json<Checks>, Fault> {
    let term = uri.query().map(term_of).transpose()?;
    let adopted = node.recent().of(term).ok_or_else(|| none_kept(&node, term))?;
    let lease = match term.is_none_or(|term| term == node.highest_term()) {
        true => node.status().await?.lease_proof.map(|(proof, _)| proof),
        false => None,
    };
    let terms = node.recent().terms();
    at_a_place(&PLACES, move || examine(adopted, lease, terms)).await?.map(Json)
}

fn term_of(query: &str) -> Result<Term, Fault> {
    let term = query.strip_prefix("term=").and_then(|text| text.parse().ok()).map(Term);
    term.ok_or_else(|| Fault::new(StatusCode::BAD_REQUEST, "ask with term= and a number, or without"))
}

fn none_kept(node: &Handle, term: Option<Term>) -> Fault {
    let text = match term {
        None => "this node has no certificate yet".into(),
        Some(term) => {
            let kept: Vec<String> = node.recent().terms().iter().map(Term::to_string).collect();
            format!("the certificate of term {term} is not at hand; those of {} are", kept.join(", "))
        }
    };
    Fault::new(StatusCode::NOT_FOUND, text)
}

fn examine(adopted: Adopted, lease: Option<LeaseProof>, terms: Vec<Term>) -> Result<Checks, Fault> {
    let Adopted { bundle, electorate, .. } = adopted;
    let unreadable = |error| Fault::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}"));
    let certificate = bundle.certificate.peek().map_err(unreadable)?;
    let digest = bundle.certificate.digest();
    let lease = lease.filter(|proof| proof.certificate == digest);
    let certified = certified(&certificate, digest.to_string(), &electorate);
    let proof = ProofFile { bundle, lease, electorate: None };
    let authority = Authority::Manifest(Box::new(electorate));
    let question = Question { moment: Moment::Now(clock::wall()), nonce: None, accept: Accept::default() };
    let report = verify(&proof, &authority, question);
    let assurance = report.certificate.as_ref().map(|certificate| certificate.assurance());
    let verdict = report.verdict.word().to_owned();
    let checks = lines(report).iter().map(Check::of).collect();
    Ok(Checks { certificate: certified, verdict, assurance, checks, terms })
}

/// The lines of a report. What a certificate is worth is told; whether that is enough, nobody has asked here.
fn lines(report: Report) -> Vec<Line> {
    let mut lines = report.lines;
    let worth = lines.iter_mut().find(|line| line.step == Step::Assurance);
    if let Some(line) = worth.filter(|_| report.verdict == Verdict::LessAssurance) {
        let word = line.found.to_uppercase();
        line.status = Status::NotAsked;
        line.found = format!("{word}: `nitro-elect verify` takes it only with --allow-{}", line.found);
    }
    lines
}

fn certified(certificate: &Certificate, digest: String, electorate: &Electorate) -> Certified {
    let names = Names::of_voters(electorate);
    let named = |nodes: &[NodeId]| nodes.iter().map(|node| names.of(node)).collect();
    Certified {
        term: certificate.term,
        digest,
        electorate: certificate.electorate.to_string(),
        enclave: certificate.enclave.to_string(),
        leader: names.of(&certificate.leader),
        coordinator: names.of(&certificate.coordinator),
        reason: reason(certificate.reason).to_owned(),
        signers: named(&certificate.signers),
        active: named(&certificate.active),
        candidates: named(&certificate.candidates),
        skipped: certificate.skipped.len(),
        previous: certificate.previous.map(|previous| previous.term),
    }
}

impl Check {
    fn of(line: &Line) -> Self {
        Check {
            number: line.step.to_string(),
            title: line.step.title().to_owned(),
            status: line.status.word().to_owned(),
            found: line.found.clone(),
        }
    }
}
