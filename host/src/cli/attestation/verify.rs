//! `nitro-elect attestation verify`: document, chain, times, signature and registers, check by check.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::checklist;
use crate::cli::failure::{Failure, USAGE, of_verdict};
use crate::cli::output::{Format, Stream, paint};
use crate::cli::verify::present;
use crate::verify::{Accept, DocumentReport, Moment, Verdict, examine_document};
use crate::{document_file, duration, trust_file, wall_text};
use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::attestation::{
    AttestationError, Check, DocumentPolicy, Measurements, MeasurementsError, NonceCheck, Root,
    VerifiedDocument,
};
use nitro_elect_protocol::hash;
use nitro_elect_protocol::ids::Pcr;
use nitro_elect_protocol::time::Wall;

const AFTER_HELP: &str = "\
Checks 1 to 16 of docs/ATTESTATION.md: the document, its certificates up to the
root, their dates, its signature, and the registers that you expect. --pcr0
covers the whole image and is enough, so are --pcr1 and --pcr2 together; --pcr8
alone is not, as every image that one key ever signed has the same. Each one
given must match. A document without --nonce may be an answer to anybody.

A leaf certificate lives three hours. For an older document --at states when it
was fresh; the answer is as good as that statement, and says so.

Examples:
  nitro-elect attestation verify document.cose --pcr0 HEX
  nitro-elect attestation verify document.cose --pcr0 HEX --nonce HEX --max-age 5m
  nitro-elect attestation verify old.cose --pcr0 HEX --at 2026-11-22T13:05:00Z
  nitro-elect attestation verify test.cose --root root.pem --pcr0 HEX --allow-simulated

Exit codes:
  0  valid
  1  invalid: it proves nothing
  2  wrong usage, or a file could not be read
  3  valid, but with less assurance than asked for (debug mode, or not AWS's root)";

/// Verify a document against a root and the registers that you expect
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The document
    file: PathBuf,
    /// AWS's pinned root, or a file with another certificate in PEM or DER
    #[arg(long, value_name = "aws|FILE", default_value = trust_file::AWS)]
    root: String,
    #[command(flatten)]
    expected: Expected,
    /// The nonce that you sent
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    nonce: Option<Nonce>,
    /// How old the document may be [default: as old as its certificates allow]
    #[arg(long, value_name = "SPAN", value_parser = duration::parse)]
    max_age: Option<Duration>,
    /// Check dates at this time instead of now (RFC 3339); the answer is as good as your word for it
    #[arg(long, value_name = "TIME", value_parser = wall_text::parse)]
    at: Option<Wall>,
    /// Accept another root than AWS's
    #[arg(long)]
    allow_simulated: bool,
    /// Accept an enclave in debug mode, whose registers say nothing
    #[arg(long)]
    allow_debug: bool,
    #[command(flatten)]
    format: Format,
}

/// The registers that the document must have.
#[derive(Debug, clap::Args)]
struct Expected {
    /// The whole image
    #[arg(long, value_name = "HEX", value_parser = Pcr::from_hex)]
    pcr0: Option<Pcr>,
    /// Kernel and command line
    #[arg(long, value_name = "HEX", value_parser = Pcr::from_hex)]
    pcr1: Option<Pcr>,
    /// The application
    #[arg(long, value_name = "HEX", value_parser = Pcr::from_hex)]
    pcr2: Option<Pcr>,
    /// The parent instance's IAM role
    #[arg(long, value_name = "HEX", value_parser = Pcr::from_hex)]
    pcr3: Option<Pcr>,
    /// The parent instance's id
    #[arg(long, value_name = "HEX", value_parser = Pcr::from_hex)]
    pcr4: Option<Pcr>,
    /// The certificate that signed the image
    #[arg(long, value_name = "HEX", value_parser = Pcr::from_hex)]
    pcr8: Option<Pcr>,
}

impl Expected {
    fn measurements(&self) -> Result<Measurements, MeasurementsError> {
        let given =
            [(0, self.pcr0), (1, self.pcr1), (2, self.pcr2), (3, self.pcr3), (4, self.pcr4), (8, self.pcr8)];
        Measurements::new(given.into_iter().filter_map(|(index, pcr)| Some((index, pcr?))))
    }
}

/// Bytes that were sent along with a question.
#[derive(Debug, Clone)]
struct Nonce(Vec<u8>);

fn nonce(text: &str) -> Result<Nonce, &'static str> {
    let bytes = hash::from_hex(text).filter(|bytes| !bytes.is_empty());
    bytes.map(Nonce).ok_or("write the bytes in hexadecimal")
}

/// Verifies the document.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let unusable = |error: AttestationError| {
        Failure::new(USAGE, error, "give --pcr0 with the PCR0 that the build of the image printed")
    };
    let accepted = [args.expected.measurements().map_err(|error| unusable(error.into()))?];
    let root = root(&args.root)?;
    let bytes = document_file::load(&args.file).map_err(Failure::unreadable)?;
    let moment = args.at.map_or_else(|| Moment::Now(present()), Moment::Stated);
    let accept = Accept { debug: args.allow_debug, simulated: args.allow_simulated, open: false };
    let policy = DocumentPolicy {
        root: &root,
        accepted: &accepted,
        allow_debug: args.allow_debug,
        max_age: args.max_age,
        nonce: args.nonce.as_ref().map_or(NonceCheck::NotAsked, |nonce| NonceCheck::Sent(&nonce.0)),
        when: moment.when(),
    };
    let report = examine_document(&bytes, &policy, accept).map_err(unusable)?;
    args.format.print(&text(&args.file, &report, moment), &value(&report, moment))?;
    Ok(of_verdict(report.verdict))
}

/// AWS's root, or the one certificate of a file.
fn root(text: &str) -> Result<Root, Failure> {
    if text == trust_file::AWS {
        return Ok(Root::Aws);
    }
    trust_file::load_root(Path::new(text)).map_err(Failure::unreadable)
}

fn text(file: &Path, report: &DocumentReport, moment: Moment) -> String {
    let mut lines = vec![format!("{}:", file.display())];
    lines.extend(report.lines.iter().map(|(check, status, found)| {
        checklist::line(&check.number().to_string(), check.title(), *status, found)
    }));
    lines.push(String::new());
    lines.push(conclusion(report));
    if let Moment::Stated(time) = moment {
        lines.push(format!("Dates were checked at {time}, as you stated with --at, not now."));
    }
    lines.join("\n")
}

fn conclusion(report: &DocumentReport) -> String {
    let Some(document) = &report.document else {
        return paint(Stream::Out, "31;1", "INVALID: it proves nothing.");
    };
    let worth = match document.assurance() {
        Assurance::Debug => ", DEBUG MODE: the enclave's host can read and change it",
        Assurance::Simulated => ", SIMULATED: not AWS's root",
        Assurance::Attested | Assurance::Open => "",
    };
    match report.verdict {
        Verdict::Valid => {
            let text = format!("VALID{worth}. Live, it would pass until {}.", document.good_until());
            paint(Stream::Out, "32;1", &text)
        }
        _ => {
            let flag = format!("--allow-{}", document.assurance());
            let text = format!("LESS ASSURANCE THAN ASKED FOR{worth}. Accept that with {flag}.");
            paint(Stream::Out, "33;1", &text)
        }
    }
}

fn value(report: &DocumentReport, moment: Moment) -> Value {
    let (time, stated) = match moment {
        Moment::Now(time) => (time, false),
        Moment::Stated(time) => (time, true),
    };
    let check = |(check, status, found): &(Check, _, String)| {
        checklist::object(&check.number().to_string(), check.title(), *status, found)
    };
    json!({
        "verdict": report.verdict.word(),
        "assurance": report.document.as_ref().map(VerifiedDocument::assurance),
        "checked_at": time.to_string(),
        "checked_at_is_callers_word": stated,
        "checks": report.lines.iter().map(check).collect::<Vec<_>>(),
        "document": report.document.as_ref().map(document_value),
    })
}

fn document_value(document: &VerifiedDocument) -> Value {
    let pcrs = document.pcrs().iter().map(|(index, pcr)| (index.to_string(), pcr.to_string().into()));
    json!({
        "sha256": hash::to_hex(document.digest()),
        "module_id": document.module_id(),
        "timestamp": document.timestamp().to_string(),
        "good_until": document.good_until().to_string(),
        "pcrs": pcrs.collect::<serde_json::Map<_, _>>(),
        "public_key": document.public_key().map(hash::to_hex),
        "user_data": document.user_data().map(hash::to_hex),
        "nonce": document.nonce().map(hash::to_hex),
    })
}
