//! `nitro-elect manifest endorse` and `approve`: what one voter signs about the next manifest, beside its running node.

use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nitro_elect_protocol::change::{
    Agreed, Approve, Change, Endorse, Ledger, Refused, SafeChange, TooFew, Unsafe, Word,
};
use nitro_elect_protocol::crypto::{NodeKey, Ring, Signer};
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::ids::ElectorateDigest;
use nitro_elect_protocol::statement::Verified;

use super::load;
use crate::change_file::{self, Shown};
use crate::cli::failure::Failure;
use crate::cli::output::{Format, print};
use crate::help::Help;
use crate::keys;
use crate::storage::{LedgerFile, atomic};

const ENDORSE_AFTER_HELP: &str = "\
Run by the operator of each voter of OLD, beside the running node. It prints a few
lines of text to hand to the other operators. A voter endorses one successor an
attempt, which is written to its state directory first; if the endorsements split,
agree on one manifest and endorse it with the next --attempt.

Examples:
  nitro-elect manifest endorse --state node-a cluster.toml cluster.2.toml > a.endorsement
  nitro-elect manifest endorse --state node-a --attempt 2 cluster.toml cluster.2.toml

Exit codes: 0 endorsed, 1 refused or failed, 2 wrong usage or an unreadable file";

const APPROVE_AFTER_HELP: &str = "\
Run by the operator of each voter of OLD once endorsements of one attempt by a
quorum of them are there. It prints the approval, the old electorate and its newest
certificate as text; the texts of a quorum, one after the other, are what nodes
need to move: put them beside the new manifest as NEW with the ending .approvals,
or name them with `nitro-elect node --approvals`.

Examples:
  nitro-elect manifest approve --state node-a cluster.toml cluster.2.toml \\
    --endorsements a.endorsement b.endorsement c.endorsement > a.approval
  cat a.approval b.approval c.approval > cluster.2.approvals

Exit codes: 0 approved, 1 refused or failed, 2 wrong usage or an unreadable file";

/// What both commands need.
#[derive(Debug, clap::Args)]
struct Step {
    /// The state directory of the voter
    #[arg(long, value_name = "DIR", env = "NITRO_ELECT_STATE", hide_env_values = true)]
    state: PathBuf,
    /// The manifest that the node runs
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// Its successor
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// The file to write, in place of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    format: Format,
}

/// Sign that this voter would have NEW succeed OLD
#[derive(Debug, clap::Args)]
#[command(after_help = ENDORSE_AFTER_HELP)]
pub struct EndorseArgs {
    #[command(flatten)]
    step: Step,
    /// Counts the tries to agree, from 1 [default: the first in which this voter is free]
    #[arg(long, value_name = "NUMBER")]
    attempt: Option<u64>,
    /// After approving another successor: a quorum of endorsements of this one, of a later attempt
    #[arg(long, value_name = "FILE", num_args = 1..)]
    endorsements: Vec<PathBuf>,
}

/// Sign that a quorum has endorsed NEW
#[derive(Debug, clap::Args)]
#[command(after_help = APPROVE_AFTER_HELP)]
pub struct ApproveArgs {
    #[command(flatten)]
    step: Step,
    /// Endorsements of one attempt by a quorum of the voters of OLD
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    endorsements: Vec<PathBuf>,
}

/// Why a voter signed nothing.
#[derive(Debug, thiserror::Error)]
enum NotSigned {
    #[error("the step is not allowed:{}", .0.iter().map(|reason| format!("\n  {reason}")).collect::<String>())]
    Unsafe(Vec<Unsafe>),
    #[error("the node of this state directory is at another manifest ({}, epoch {}) than the old one", .digest.short(), .epoch)]
    Elsewhere { epoch: u64, digest: ElectorateDigest },
    #[error("{0}")]
    Refused(#[from] Refused),
    #[error("{0}")]
    TooFew(#[from] TooFew),
    #[error("could not write {path}: {source}")]
    Write { path: PathBuf, source: std::io::Error },
}

impl Help for NotSigned {
    fn help(&self) -> String {
        match self {
            NotSigned::Unsafe(_) => {
                "change what each line names; `nitro-elect manifest diff OLD NEW` says the same".into()
            }
            NotSigned::Elsewhere { .. } => {
                "name the manifest that the node runs as OLD, and its successor as NEW".into()
            }
            NotSigned::Refused(refused) => refused_help(refused).into(),
            NotSigned::TooFew(_) => "ask the operators of the missing voters for theirs".into(),
            NotSigned::Write { .. } => {
                "name a new file with --out; asked again, the voter signs the same again".into()
            }
        }
    }
}

fn refused_help(refused: &Refused) -> &'static str {
    match refused {
        Refused::NotAVoter => "name the state directory of one of the voters of OLD with --state",
        Refused::OtherBase { .. } => "name the manifest that the node runs as OLD, and its successor as NEW",
        Refused::Attempt(_) => "give --attempt 1, or the one that the operators agreed on",
        Refused::EndorsedAnother(_) => {
            "agree with the other operators on one manifest, and endorse it with the next --attempt"
        }
        Refused::EndorsedLater(_) | Refused::ApprovedLater(_) => {
            "go on with that later attempt, or agree on one above it"
        }
        Refused::ApprovedAnother(_) => {
            "let a quorum of the others endorse this one in a later attempt, and give their files with --endorsements"
        }
        Refused::OtherChange => "give endorsements of this very OLD and NEW",
    }
}

/// A voter at its desk: its key and its ledger, for one step.
struct Desk {
    key: NodeKey,
    file: LedgerFile,
    ledger: Ledger,
    old: Electorate,
    change: Change,
    line: String,
}

impl Desk {
    fn open(step: &Step) -> Result<Self, Failure> {
        let (old, new) = (load(&step.old)?.electorate, load(&step.new)?.electorate);
        let key = keys::load(&step.state).map_err(Failure::unreadable)?;
        let file = LedgerFile::open(&step.state, key.id())?;
        let present = file.standing().map(|standing| &standing.present);
        if let Some(present) = present.filter(|present| present.digest() != old.digest()) {
            let (epoch, digest) = (present.epoch, present.digest());
            return Err(NotSigned::Elsewhere { epoch, digest }.into());
        }
        let change = SafeChange::check(&old, &new).map_err(NotSigned::Unsafe)?.change();
        let ledger =
            file.kept().unwrap_or(Ledger::new(key.id(), &old)).about(&old).map_err(NotSigned::Refused)?;
        let voter = old.voter(&key.id()).map_or("", |voter| voter.name.as_str());
        let line = format!("{voter} of cluster {}, epoch {} to {}", old.name, old.epoch, new.epoch);
        Ok(Desk { key, file, ledger, old, change, line })
    }

    fn agreed(&self, files: &[PathBuf]) -> Result<Agreed<Endorse>, Failure> {
        let shown = Shown::load(files).map_err(Failure::unreadable)?;
        let agreed = Agreed::count(self.change, &self.old, &shown.endorsements, &Ring);
        Ok(agreed.map_err(NotSigned::TooFew)?)
    }

    /// Makes the ledger durable, then signs what it allowed.
    fn sign<T: Word>(&mut self, word: T) -> Result<Verified<T>, Failure> {
        self.file.save(self.ledger)?;
        Ok(Verified::sign(word, &self.key))
    }
}

/// Endorses.
pub fn endorse(args: &EndorseArgs) -> Result<ExitCode, Failure> {
    let mut desk = Desk::open(&args.step)?;
    let shown = if args.endorsements.is_empty() { None } else { Some(desk.agreed(&args.endorsements)?) };
    let attempt = args.attempt.unwrap_or(desk.ledger.next_attempt(desk.change.to));
    let word = desk.ledger.endorse(desk.change, attempt, shown.as_ref()).map_err(NotSigned::Refused)?;
    let signed = desk.sign(word)?;
    let line = format!("Endorsement by {}, attempt {attempt}", desk.line);
    let text = change_file::endorsement(&line, signed.signed());
    let needed = desk.old.quorum();
    hand_out(
        &args.step,
        &signed,
        &text,
        &format!(
            "endorsed in attempt {attempt}; when {needed} voters have, each runs `nitro-elect manifest approve`"
        ),
    )
}

/// Approves.
pub fn approve(args: &ApproveArgs) -> Result<ExitCode, Failure> {
    let mut desk = Desk::open(&args.step)?;
    let agreed = desk.agreed(&args.endorsements)?;
    let word = desk.ledger.approve(desk.change, &agreed).map_err(NotSigned::Refused)?;
    let signed = desk.sign(word)?;
    let text = approval_text(&desk, &signed)?;
    let needed = desk.old.quorum();
    hand_out(
        &args.step,
        &signed,
        &text,
        &format!("approved; nodes may move when they are shown approvals of {needed} voters"),
    )
}

/// The approval, and what a node needs that was not there.
fn approval_text(desk: &Desk, signed: &Verified<Approve>) -> Result<String, Failure> {
    let line = format!("Approval by {}, attempt {}", desk.line, signed.attempt);
    let old = format!("The electorate of epoch {}, {}", desk.old.epoch, desk.change.from);
    let mut text = change_file::approval(&line, signed.signed()) + &change_file::electorate(&old, &desk.old);
    let newest = desk.file.newest_certificate()?;
    match newest.filter(|bundle| bundle.verify_own(&Ring, &desk.old).is_ok()) {
        Some(mut bundle) => {
            // Enough to vouch for it when its document has expired.
            bundle.promises.truncate(desk.old.f() + 1);
            let line = format!("A certificate under epoch {}", desk.old.epoch);
            text += &change_file::certificate(&line, &bundle);
        }
        None => eprintln!(
            "note: this node has no certificate under the old manifest; nodes move only after a leader was elected under it"
        ),
    }
    Ok(text)
}

fn hand_out<T: Word>(step: &Step, word: &Verified<T>, text: &str, done: &str) -> Result<ExitCode, Failure> {
    if let Some(path) = &step.out {
        write(path, text)?;
    }
    if step.format.json {
        let change = word.change();
        let json = json!({
            "voter": word.signer().to_string(),
            "cluster": change.cluster.to_string(),
            "from": change.from.to_string(),
            "to": change.to.to_string(),
            "attempt": word.attempt(),
            "text": text,
        });
        step.format.print(text, &json)?;
    } else {
        if step.out.is_none() {
            print(text.trim_end())?;
        }
        eprintln!("{done}");
    }
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let written = atomic::create(path, text.as_bytes(), 0o644);
    Ok(written.map_err(|source| NotSigned::Write { path: path.into(), source })?)
}
