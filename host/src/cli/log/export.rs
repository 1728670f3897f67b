//! `nitro-elect log export`: the log as a file that another machine can verify.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::super::Failure;
use super::super::admin_flags::block_on;
use super::super::failure::FAILED;
use super::source::SourceFlags;
use crate::proof_file::ProofFile;

const AFTER_HELP: &str = "\
One proof a line, in JSON: certificate, attestation document and the promises that
vouch for both. Nothing in it is secret, and nothing can be changed unnoticed:
`nitro-elect log verify` checks it anywhere, with the manifest alone.

A certificate stands in it twice if the node had it before it had its promises.

Examples:
  nitro-elect log export > audit.jsonl
  nitro-elect log export --admin 127.0.0.1:15001 --out audit.jsonl
  nitro-elect log export --state cluster/node-1 --since 12 --out audit.jsonl

Exit codes: 0 done, 1 no node answers, or the file was not written, 2 wrong usage
or an unreadable file";

/// Write the log as a file that another machine can verify
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(flatten)]
    source: SourceFlags,
    /// Begin with this term
    #[arg(long, value_name = "TERM", default_value = "0")]
    since: u64,
    /// Where to write it; a file that is there is not overwritten [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Exports.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    block_on(export(args))
}

async fn export(args: &Args) -> Result<ExitCode, Failure> {
    let mut source = args.source.open().await?;
    let mut out: BufWriter<Box<dyn Write>> = BufWriter::new(match &args.out {
        Some(path) => Box::new(File::create_new(path).map_err(|error| not_written(Some(path), &error))?),
        None => Box::new(io::stdout().lock()),
    });
    let (mut written, mut whole) = (0, true);
    loop {
        let part = source.part().await?;
        for damage in &part.damaged {
            whole = false;
            eprintln!("{damage}");
        }
        for proof in part.proofs.iter().filter(|proof| is_since(proof, args.since)) {
            written += 1;
            match writeln!(out, "{}", proof.to_line()) {
                // A reader that left early, as `head` does.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
                result => result.map_err(|error| not_written(args.out.as_deref(), &error))?,
            }
        }
        if part.is_last {
            break;
        }
    }
    match out.flush() {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            return Err(not_written(args.out.as_deref(), &error));
        }
        _ => eprintln!("{written} entries of {} exported", source.name),
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn is_since(proof: &ProofFile, since: u64) -> bool {
    proof.bundle.certificate.peek().is_ok_and(|certificate| certificate.term.0 >= since)
}

fn not_written(path: Option<&Path>, error: &io::Error) -> Failure {
    let place = path.map_or_else(|| "standard output".into(), |path| path.display().to_string());
    let help = match error.kind() {
        ErrorKind::AlreadyExists => "name a new file with --out: an audit trail is not overwritten",
        _ => "check where the output goes",
    };
    Failure::new(FAILED, format!("could not write to {place}: {error}"), help)
}
