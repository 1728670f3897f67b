//! `nitro-elect verify`: a proof, checked offline and shown check by check, or evidence against voters.

mod evidence;

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use super::flags::accept::AcceptOpenFlags;
use crate::manifest::Manifest;
use crate::node::happening::reason;
use crate::proof_file::ProofFile;
use crate::verify::{Authority, Line, Moment, Question, Report, Status, Step, Verdict, verify};
use crate::wall_text;
use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::certificate::{VerifiedCertificate, Vouching};
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::ids::{NodeId, Nonce};
use nitro_elect_protocol::proof::VerifiedLeaseProof;
use nitro_elect_protocol::time::Wall;

use super::checklist;
use super::failure::{Failure, USAGE, of_verdict};
use super::flags::trust::trust_of_open;
use super::output::{Format, Stream, paint};

const AFTER_HELP: &str = "\
A proof is what a node's /v1/certificate serves: the certificate, the
attestation document of the enclave that signed it, and the promises of voters
that vouch for both. It says who was elected in which term, not who leads now.

Who leads, /v1/proof?nonce=HEX says: draw 32 random bytes, note the time, ask, and
verify with --nonce. The lease then holds until a lease less its margin after the
time that you noted, whoever handed you the proof.

--evidence takes what /v1/evidence serves: pairs of views that one voter signed for
one term, which no honest voter does.

By default only an enclave attested by AWS counts. --allow-simulated,
--allow-debug and --allow-open accept less; no manifest, trust file or variable
of the environment can say that for you.

Examples:
  curl --silent http://127.0.0.1:15000/v1/certificate > proof.json
  nitro-elect verify --proof proof.json --manifest cluster.toml
  nitro-elect verify --proof proof.json --manifest cluster.toml --allow-simulated
  nitro-elect verify --proof open.json --trust trust.json --allow-open
  nonce=$(openssl rand -hex 32)
  curl --silent \"http://127.0.0.1:15000/v1/proof?nonce=$nonce\" > lease.json
  nitro-elect verify --proof lease.json --manifest cluster.toml --nonce $nonce
  nitro-elect verify --evidence evidence.json --manifest cluster.toml

Exit codes:
  0  valid
  1  invalid: it proves nothing
  2  wrong usage, or a file could not be read
  3  valid, but with less assurance than asked for";

/// Check a proof offline, and say what became of each check
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The proof
    #[arg(long, value_name = "FILE", env = "NITRO_ELECT_PROOF", hide_env_values = true)]
    #[arg(required_unless_present = "evidence")]
    proof: Option<PathBuf>,
    /// Evidence that voters are not honest, instead of a proof
    #[arg(long, value_name = "FILE", requires = "manifest", conflicts_with_all = ["nonce", "at", "trust"])]
    evidence: Option<PathBuf>,
    /// Your own nonce, which the proof's lease must answer
    #[arg(long, value_name = "HEX", value_parser = Nonce::from_hex)]
    nonce: Option<Nonce>,
    /// The cluster's manifest
    #[arg(long, value_name = "FILE", env = "NITRO_ELECT_MANIFEST", hide_env_values = true)]
    manifest: Option<PathBuf>,
    /// For an open cluster, which has no manifest: the enclaves you accept
    #[arg(long, value_name = "FILE", conflicts_with = "manifest")]
    trust: Option<PathBuf>,
    /// Check dates at this time instead of now (RFC 3339); the answer is as good as your word for it
    #[arg(long, value_name = "TIME", value_parser = wall_text::parse)]
    at: Option<Wall>,
    #[command(flatten)]
    accept: AcceptOpenFlags,
    #[command(flatten)]
    format: Format,
}

/// Verifies the proof.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    match (&args.evidence, &args.proof) {
        (Some(file), _) => evidence::run(file, args.manifest.as_deref(), args.format),
        (None, Some(file)) => verify_proof(&args, file),
        (None, None) => Err(Failure::new(USAGE, "there is nothing to verify", "add --proof FILE")),
    }
}

fn verify_proof(args: &Args, file: &Path) -> Result<ExitCode, Failure> {
    let proof = ProofFile::load(file).map_err(Failure::unreadable)?;
    let authority = authority(args, file, &proof)?;
    let moment = args.at.map_or_else(|| Moment::Now(present()), Moment::Stated);
    let accept = args.accept.accept();
    let question = Question { moment, nonce: args.nonce.as_ref(), accept };
    let report = verify(&proof, &authority, question);
    let electorate = match (&authority, &proof.electorate) {
        (Authority::Manifest(electorate), _) => Some(&**electorate),
        (Authority::Open(_), electorate) => electorate.as_ref(),
    };
    let text = text(file, &report, electorate, moment);
    args.format.print(&text, &report_json(&report, electorate, moment))?;
    Ok(of_verdict(report.verdict))
}

/// The manifest given; for an open cluster the trust file given, or the default one.
fn authority(args: &Args, file: &Path, proof: &ProofFile) -> Result<Authority, Failure> {
    if let Some(path) = &args.manifest {
        let manifest = Manifest::load(path).map_err(Failure::unreadable)?;
        return Ok(Authority::Manifest(Box::new(manifest.electorate)));
    }
    if proof.electorate.is_none() {
        let what = format!("{} is a proof of a cluster with a manifest", file.display());
        return Err(Failure::new(USAGE, what, "add --manifest FILE with that cluster's manifest"));
    }
    Ok(Authority::Open(Box::new(trust_of_open(args.trust.as_deref())?)))
}

/// The wall clock.
pub fn present() -> Wall {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX))
}

fn text(file: &Path, report: &Report, electorate: Option<&Electorate>, moment: Moment) -> String {
    let mut lines = vec![format!("{}:", file.display())];
    lines.extend(report.lines.iter().map(line_text));
    lines.push(String::new());
    lines.push(conclusion(report, electorate));
    if let Moment::Stated(time) = moment {
        lines.push(format!("Dates were checked at {time}, as you stated with --at, not now."));
    }
    lines.join("\n")
}

fn line_text(line: &Line) -> String {
    checklist::line(&line.step.to_string(), line.step.title(), line.status, &line.found)
}

fn conclusion(report: &Report, electorate: Option<&Electorate>) -> String {
    let Some(certificate) = &report.certificate else {
        return paint(Stream::Out, "31;1", "INVALID: it proves nothing.");
    };
    let (term, leader) = (certificate.term, name(electorate, &certificate.leader));
    let is_answered = |line: &&Line| line.step == Step::Nonce && line.status == Status::Passed;
    let holds = report.lines.iter().find(is_answered).map(|line| format!(", and {}", line.found));
    let elected = format!("{leader} was elected in term {term}{}", holds.unwrap_or_default());
    let worth = match certificate.assurance() {
        Assurance::Attested => String::new(),
        Assurance::Debug => ", DEBUG MODE: the enclave's host can read and change it".into(),
        Assurance::Simulated => ", SIMULATED: no real enclave stands behind it".into(),
        Assurance::Open => ", OPEN: anybody may be a voter".into(),
    };
    match report.verdict {
        Verdict::Valid => paint(Stream::Out, "32;1", &format!("VALID{worth}. {elected}.")),
        _ => {
            let flag = format!("--allow-{}", certificate.assurance());
            let text = format!("LESS ASSURANCE THAN ASKED FOR{worth}. {elected}. Accept that with {flag}.");
            paint(Stream::Out, "33;1", &text)
        }
    }
}

fn name(electorate: Option<&Electorate>, key: &NodeId) -> String {
    let voter = electorate.and_then(|electorate| electorate.voter(key));
    voter.map_or_else(|| key.to_string(), |voter| voter.name.clone())
}

fn report_json(report: &Report, electorate: Option<&Electorate>, moment: Moment) -> Value {
    let (time, stated) = match moment {
        Moment::Now(time) => (time, false),
        Moment::Stated(time) => (time, true),
    };
    json!({
        "verdict": report.verdict.word(),
        "assurance": report.certificate.as_ref().map(|certificate| certificate.assurance()),
        "checked_at": time.to_string(),
        "checked_at_is_callers_word": stated,
        "checks": report.lines.iter().map(line_json).collect::<Vec<_>>(),
        "lease": report.lease.as_ref().map(lease_json),
        "certificate": report.certificate.as_ref().map(|certificate| certificate_json(certificate, electorate)),
    })
}

fn lease_json(lease: &VerifiedLeaseProof) -> Value {
    json!({
        "leader": lease.leader.to_string(),
        "term": lease.term,
        "generation": lease.generation,
        "renewal": lease.seq,
        "signed_at": lease.signed_at.to_string(),
    })
}

fn line_json(line: &Line) -> Value {
    checklist::object(&line.step.to_string(), line.step.title(), line.status, &line.found)
}

fn certificate_json(certificate: &VerifiedCertificate, electorate: Option<&Electorate>) -> Value {
    let named = |key: &NodeId| json!({ "name": name(electorate, key), "key": key.to_string() });
    let all = |keys: &[NodeId]| keys.iter().map(named).collect::<Vec<_>>();
    let previous = certificate.previous.as_ref().map(|previous| {
        json!({
            "term": previous.term,
            "leader": named(&previous.leader),
            "certificate": previous.certificate.to_string(),
        })
    });
    json!({
        "digest": certificate.digest().to_string(),
        "cluster": certificate.cluster.to_string(),
        "electorate": certificate.electorate.to_string(),
        "enclave": certificate.enclave.to_string(),
        "term": certificate.term,
        "leader": named(&certificate.leader),
        "leader_generation": certificate.leader_generation,
        "coordinator": named(&certificate.coordinator),
        "coordinator_generation": certificate.coordinator_generation,
        "active": all(&certificate.active),
        "candidates": all(&certificate.candidates),
        "signers": all(&certificate.signers),
        "reason": reason(certificate.reason),
        "previous": previous,
        "not_after": certificate.not_after.to_string(),
        "vouched_for_by": match certificate.vouching() {
            Vouching::Live => "attestation",
            Vouching::Voters => "voters",
            Vouching::OwnDisk => "own disk",
        },
    })
}
