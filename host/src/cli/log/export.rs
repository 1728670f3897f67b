//! `nitro-elect log export`: the log as a file that another machine can verify.

use std::fs::Permissions;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tempfile::NamedTempFile;

use super::super::Failure;
use super::super::failure::FAILED;
use super::super::flags::admin::block_on;
use super::super::output::{Stream, for_stream};
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
    let failed = |error: &io::Error| not_written(args.out.as_deref(), error);
    let mut file = args.out.as_deref().map(begin).transpose().map_err(|error| failed(&error))?;
    let mut source = args.source.open().await?;
    let mut out: BufWriter<Box<dyn Write>> = BufWriter::new(match &mut file {
        Some(file) => Box::new(file),
        None => Box::new(io::stdout().lock()),
    });
    let (mut written, mut whole) = (0, true);
    loop {
        let part = source.part().await?;
        for damage in &part.damaged {
            whole = false;
            eprintln!("{}", for_stream(Stream::Err, damage));
        }
        for proof in part.proofs.iter().filter(|proof| is_since(proof, args.since)) {
            written += 1;
            match writeln!(out, "{}", proof.to_line()) {
                // A reader that left early, as `head` does.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
                result => result.map_err(|error| failed(&error))?,
            }
        }
        if part.is_last {
            break;
        }
    }
    match out.flush() {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(failed(&error)),
        _ => drop(out),
    }
    if let Some((file, path)) = file.zip(args.out.as_deref()) {
        finish(file, path).map_err(|error| failed(&error))?;
    }
    eprintln!("{written} entries of {} exported", source.name);
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The file to be, beside its place until it is whole: half a trail would be taken for one.
fn begin(path: &Path) -> io::Result<NamedTempFile> {
    if path.symlink_metadata().is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(parent)
}

fn finish(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
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
