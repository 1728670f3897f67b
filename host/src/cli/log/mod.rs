//! `nitro-elect log`: the certificates that a node has adopted, as a list; exported; verified on another machine.

mod export;
mod line;
mod source;
mod verify;

use clap::Subcommand;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::Failure;
use super::flags::admin::{AdminFlags, block_on, patiently, read, unanswered};
use super::output::{Format, Stream, for_stream, print};
use super::verify::present;
use crate::http::answers::Members;
use crate::manifest::Manifest;
use crate::proof_file::ProofFile;
use crate::verify::chain::{Chain, Entry, Judge, Origin, examine};
use crate::verify::{Accept, Moment};
use line::Names;
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::ids::Term;
use source::{Source, SourceFlags};

const AFTER_HELP: &str = "\
A line is one election: term, leader, why it was chosen, a time, who signed, what
it is worth. The time is that of the certificate: when, by the wall clocks of its
voters, the leader's first lease was over. What is missing between two lines is
named. Without --manifest nothing is verified: it is the word of the node or disk.

With --state the log is read beside a node that may be running, and nothing is
changed. --json prints an object a line.

Examples:
  nitro-elect log
  nitro-elect log --manifest cluster.toml --since 12
  nitro-elect log --state cluster/node-1 --json | jq -r .leader.name
  nitro-elect log export > audit.jsonl
  nitro-elect log verify audit.jsonl --manifest cluster.toml

Exit codes: 0 done, 1 no node answers, 2 wrong usage or an unreadable file; log
verify has its own";

/// How often a log that is followed is looked at.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// List the certificates that a node has adopted, export them, or verify them
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    source: SourceFlags,
    /// Verify each by this manifest, and call nodes by its names; those before it may be given too
    #[arg(long = "manifest", value_name = "FILE", env = "NITRO_ELECT_MANIFEST", hide_env_values = true)]
    manifests: Vec<PathBuf>,
    /// Begin with this term
    #[arg(long, value_name = "TERM", default_value = "0")]
    since: u64,
    /// Go on with those that are still to come, until interrupted
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    Export(export::Args),
    Verify(verify::Args),
}

/// Lists, or runs one of the subcommands.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.command {
        Some(Command::Export(args)) => export::run(&args),
        Some(Command::Verify(args)) => verify::run(&args),
        None => block_on(list(&args)),
    }
}

async fn list(args: &Args) -> Result<ExitCode, Failure> {
    let judge = judge(electorates(&args.manifests)?);
    let mut names = judge.as_ref().map_or_else(Names::default, |judge| Names::of(&judge.electorates));
    if args.source.asks() {
        learn(&mut names, &args.source.admin).await?;
    }
    let mut source = args.source.open().await?;
    let mut shown = Shown { entries: Vec::new(), read: 0, next: Term(args.since) };
    loop {
        let (proofs, damaged) = source.all().await?;
        for damage in &damaged {
            eprintln!("{}", for_stream(Stream::Err, damage));
        }
        let chain = shown.take(&source, proofs, judge.as_ref());
        for link in chain.links.iter().filter(|link| link.certificate.term >= shown.next) {
            print(&match args.format.json {
                true => line::object(link, &names).to_string(),
                false => line::text(link, &names),
            })?;
        }
        for alarm in &chain.alarms {
            eprintln!("{}", for_stream(Stream::Err, &alarm.to_string()));
        }
        shown.keep_newest(&chain);
        if !args.follow {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(FOLLOW_EVERY).await;
    }
}

/// What has been shown, and what the next lines hang on.
struct Shown {
    entries: Vec<Entry>,
    read: u64,
    next: Term,
}

impl Shown {
    fn take(&mut self, source: &Source, proofs: Vec<ProofFile>, judge: Option<&Judge>) -> Chain {
        for proof in proofs {
            self.read += 1;
            self.entries
                .push(Entry { proof, origin: Origin { source: source.name.clone(), line: self.read } });
        }
        examine(self.entries.clone(), judge, |_, _| {})
    }

    /// The next certificate will name the newest of these.
    fn keep_newest(&mut self, chain: &Chain) {
        let Some(newest) = chain.links.last().map(|link| link.certificate.term) else { return };
        let is_newest = |entry: &Entry| {
            entry.proof.bundle.certificate.peek().is_ok_and(|certificate| certificate.term == newest)
        };
        self.entries.retain(is_newest);
        self.next = self.next.max(Term(newest.0 + 1));
    }
}

/// Learns what a node calls the others.
async fn learn(names: &mut Names, admin: &AdminFlags) -> Result<(), Failure> {
    let mut client = admin.client().await?;
    let Members { members } =
        read(&patiently(client.address(), client.get("/v1/members")).await.map_err(unanswered)?)?;
    for member in members.iter().filter(|member| !member.name.is_empty()) {
        names.add(member.key.clone(), &member.name);
    }
    Ok(())
}

fn electorates(manifests: &[PathBuf]) -> Result<Vec<Electorate>, Failure> {
    let load = |path: &PathBuf| -> Result<Electorate, Failure> {
        Ok(Manifest::load(Path::new(path)).map_err(Failure::unreadable)?.electorate)
    };
    manifests.iter().map(load).collect()
}

/// Who verifies what is listed: nobody, if no manifest was given. What each is worth is shown, not judged.
fn judge(electorates: Vec<Electorate>) -> Option<Judge> {
    let (moment, accept) = (Moment::Now(present()), Accept::default());
    (!electorates.is_empty()).then_some(Judge { electorates, moment, accept })
}
