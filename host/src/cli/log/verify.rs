//! `nitro-elect log verify`: exported logs, checked as a whole and offline.

use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::super::failure::{Failure, USAGE, of_verdict};
use super::super::output::{Format, Stream, paint};
use super::super::verify::present;
use super::electorates;
use super::line::{self, Names};
use crate::cli::flags::accept::AcceptFlags;
use crate::input::InputError;
use crate::limits::{LOG_BAD_LINES_MAX, LOGS_READ_MAX, PROOF_FILE_MAX};
use crate::node::happening::worth;
use crate::proof_file::ProofFile;
use crate::verify::chain::{Alarm, Before, Chain, Entry, Judge, Origin, Standing, examine};
use crate::verify::{Moment, Verdict};
use crate::wall_text;
use nitro_elect_protocol::time::Wall;
use nitro_elect_protocol::view::Accepted;

const AFTER_HELP: &str = "\
Each certificate is checked as `nitro-elect verify` does, and that they hang
together: terms rise, and each follows the one that it names. A certificate whose
document has expired stands by f + 1 promises of voters that name it, or by the
certificate after it, which f + 1 voters let name it.

Two certificates of one term are a FORK: no cluster within its fault model makes
them. A certificate that is named and not there is a gap, as a node leaves one that
was away: give the logs of other nodes too, or accept it with --allow-gaps.

Examples:
  nitro-elect log verify audit.jsonl --manifest cluster.toml
  nitro-elect log verify node-1.jsonl node-2.jsonl --manifest cluster.toml
  nitro-elect log verify audit.jsonl --manifest new.toml --manifest old.toml
  nitro-elect log verify audit.jsonl --manifest cluster.toml --allow-simulated --json | jq .gaps

Exit codes:
  0  valid, each and as a whole
  1  a certificate is invalid, a line is no proof, terms do not rise, a fork or a gap
  2  wrong usage, or a file could not be read
  3  valid, but with less assurance than asked for";

/// How long a log takes before its progress is told, and how often it then is on a terminal.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often elsewhere, where every time is a line.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Check exported logs offline: each certificate, and how they hang together
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Logs that `nitro-elect log export` wrote, of one node or of several
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The cluster's manifest; if it was changed meanwhile, also those before it
    #[arg(long = "manifest", value_name = "FILE", env = "NITRO_ELECT_MANIFEST", hide_env_values = true)]
    #[arg(required = true)]
    manifests: Vec<PathBuf>,
    /// Check dates at this time instead of now (RFC 3339); the answer is as good as your word for it
    #[arg(long, value_name = "TIME", value_parser = wall_text::parse)]
    at: Option<Wall>,
    /// Accept that certificates are missing between those that are there
    #[arg(long)]
    allow_gaps: bool,
    #[command(flatten)]
    accept: AcceptFlags,
    #[command(flatten)]
    format: Format,
}

/// Verifies.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let electorates = electorates(&args.manifests)?;
    let accept = args.accept.accept();
    let moment = args.at.map_or_else(|| Moment::Now(present()), Moment::Stated);
    let judge = Judge { electorates, moment, accept };
    let mut reading = Reading { entries: Vec::new(), alarms: Vec::new(), bytes: 0 };
    for file in &args.files {
        reading.take(file)?;
    }
    let mut chain = examine(reading.entries, Some(&judge), progress());
    chain.alarms.splice(0..0, reading.alarms);
    let (verdict, names) = (chain.verdict(accept, args.allow_gaps), Names::of(&judge.electorates));
    args.format.print(&text(&chain, verdict, &names), &object(&chain, verdict, &names))?;
    Ok(of_verdict(verdict))
}

/// What was read of the files.
struct Reading {
    entries: Vec<Entry>,
    alarms: Vec<Alarm>,
    bytes: u64,
}

impl Reading {
    /// Reads a file's lines. One that is no proof is an alarm, as it was one when it was exported; a file that has no
    /// other lines is no log.
    fn take(&mut self, path: &Path) -> Result<(), Failure> {
        let io = |source| Failure::unreadable(InputError::Io { path: path.into(), source });
        let (entries, alarms) = (self.entries.len(), self.alarms.len());
        let mut reader = BufReader::new(File::open(path).map_err(io)?);
        for line in 1.. {
            let origin = Origin { source: path.display().to_string(), line };
            let mut bytes = Vec::new();
            let mut bounded = reader.by_ref().take(PROOF_FILE_MAX as u64);
            if bounded.read_until(b'\n', &mut bytes).map_err(io)? == 0 {
                break;
            }
            self.bytes += bytes.len() as u64;
            self.entry(&bytes, origin);
            if self.bytes > LOGS_READ_MAX {
                let what = format!("the logs have more than {LOGS_READ_MAX} bytes");
                return Err(Failure::new(USAGE, what, "verify fewer at once, or parts made with --since"));
            }
            if self.alarms.len() - alarms > LOG_BAD_LINES_MAX {
                return Err(no_log(path, &self.alarms[alarms]));
            }
        }
        match self.alarms.get(alarms) {
            Some(alarm) if self.entries.len() == entries => Err(no_log(path, alarm)),
            _ => Ok(()),
        }
    }

    fn entry(&mut self, bytes: &[u8], origin: Origin) {
        let line = std::str::from_utf8(bytes.strip_suffix(b"\n").unwrap_or(bytes))
            .map_err(|error| error.to_string());
        match line.and_then(|line| ProofFile::parse_line(line).map_err(|error| error.to_string())) {
            Ok(proof) => self.entries.push(Entry { proof, origin }),
            Err(why) => self.alarms.push(Alarm::Unreadable { origin, why: format!("it is no proof: {why}") }),
        }
    }
}

fn no_log(path: &Path, first: &Alarm) -> Failure {
    let what = format!("{} is no exported log: {first}", path.display());
    Failure::new(USAGE, what, "name a file that `nitro-elect log export` wrote, one proof a line")
}

/// Tells people how far it is, once it takes long.
fn progress() -> impl FnMut(usize, usize) {
    let (begun, mut told) = (Instant::now(), Instant::now());
    let to_people = std::io::stderr().is_terminal();
    let every = if to_people { PATIENCE } else { LINE_EVERY };
    move |done, total| {
        let is_last = done == total && begun.elapsed() > PATIENCE;
        if is_last || told.elapsed() > every {
            told = Instant::now();
            let end = if to_people && done < total { "\r" } else { "\n" };
            eprint!("{done} of {total} certificates verified{end}");
        }
    }
}

fn text(chain: &Chain, verdict: Verdict, names: &Names) -> String {
    let notable = |before: &Option<Before>, standing: &Standing| {
        matches!(before, Some(Before::Gap(_) | Before::Begins(_)))
            || matches!(standing, Standing::Invalid { .. })
    };
    let links = chain.links.iter().filter(|link| notable(&link.before, &link.standing));
    let mut lines: Vec<String> = links.map(|link| line::text(link, names)).collect();
    lines.extend(chain.alarms.iter().map(|alarm| paint(Stream::Out, "31;1", &alarm.to_string())));
    lines.push(conclusion(chain, verdict));
    lines.join("\n")
}

fn conclusion(chain: &Chain, verdict: Verdict) -> String {
    let (Some(first), Some(last)) = (chain.links.first(), chain.links.last()) else {
        return paint(Stream::Out, "31;1", "INVALID: there is no certificate in it.");
    };
    let (first, last) = (first.certificate.term, last.certificate.term);
    let range = format!("{} of terms {first} to {last}", counted(chain.links.len(), "certificate"));
    let gaps = chain.gaps().count();
    let worth = chain.assurance().map(worth).unwrap_or_default();
    match verdict {
        Verdict::Valid => {
            let gaps = if gaps == 0 { "no gap".into() } else { counted(gaps, "gap") };
            paint(Stream::Out, "32;1", &format!("VALID: {range}, {gaps}, {worth}."))
        }
        Verdict::LessAssurance => paint(
            Stream::Out,
            "33;1",
            &format!("VALID, BUT ONLY {worth}: {range}. --allow-{} accepts it.", worth.to_lowercase()),
        ),
        Verdict::Invalid => {
            let invalid =
                chain.links.iter().filter(|link| matches!(link.standing, Standing::Invalid { .. })).count();
            let alarms = chain.alarms.len();
            let what = format!(
                "NOT VALID: {range}; {invalid} invalid, {}, {}.",
                counted(gaps, "gap"),
                counted(alarms, "alarm")
            );
            let help = match (invalid, alarms) {
                (0, 0) => " The logs of other nodes may fill the gaps; --allow-gaps accepts them.",
                _ => "",
            };
            paint(Stream::Out, "31;1", &(what + help))
        }
    }
}

fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

fn object(chain: &Chain, verdict: Verdict, names: &Names) -> Value {
    let gap = |(after, missing): (_, Accepted)| json!({ "before": after, "missing": missing.term, "certificate": missing.certificate.to_string() });
    json!({
        "verdict": verdict.word(),
        "assurance": chain.assurance(),
        "certificates": chain.links.iter().map(|link| line::object(link, names)).collect::<Vec<_>>(),
        "gaps": chain.gaps().map(gap).collect::<Vec<_>>(),
        "alarms": chain.alarms.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
