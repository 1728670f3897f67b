//! `nitro-elect manifest replace`: the two next manifests by which a new key takes the place of a lost one.

use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nitro_elect_protocol::change::SafeChange;
use nitro_elect_protocol::electorate::{Electorate, ElectorateFault, Voter};
use nitro_elect_protocol::ids::NodeId;

use super::{KeyFlag, load};
use crate::cli::failure::Failure;
use crate::cli::output::Format;
use crate::help::Help;
use crate::manifest::{MANIFEST_FILE, Manifest};

const AFTER_HELP: &str = "\
For a voter whose disk is lost: its key must never vote again, since nobody knows
what it promised. Two steps follow each other, because a key exchanged in one could
elect two leaders: the first manifest adds a voter with the new key, which takes
over the name, the weight and, without --address, the address of the lost one; the
second removes the lost one. Each step is endorsed, approved and rolled out before
the next, with at least one election in between.

Examples:
  nitro-elect manifest replace node-c \\
    3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29
  nitro-elect manifest replace node-c new-disk --address 10.0.0.9:5000
  nitro-elect manifest replace --manifest cluster.2.toml node-c new-disk

KEY is a public key (64 hexadecimal digits, as keygen prints it) or a state
directory on this machine. The files written are named after the manifest and its
epochs, as in cluster.2.toml and cluster.3.toml; existing ones are not overwritten.

Exit codes: 0 written, 1 refused or failed, 2 wrong usage or an unreadable file";

/// Write the next manifests by which a new key replaces a lost one
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct ReplaceArgs {
    /// The name of the voter whose key is lost
    #[arg(value_name = "NAME")]
    name: String,
    /// The key that takes its place
    #[arg(value_name = "KEY")]
    key: KeyFlag,
    /// The manifest that the nodes run
    #[arg(long, value_name = "FILE", env = "NITRO_ELECT_MANIFEST", hide_env_values = true, default_value = MANIFEST_FILE)]
    manifest: PathBuf,
    /// Where the new voter listens [default: where the lost one did]
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    #[command(flatten)]
    format: Format,
}

/// Why a voter cannot be replaced. Nothing was written.
#[derive(Debug, thiserror::Error)]
enum NotReplaced {
    #[error("no voter is named {name:?}; the voters are {}", .voters.join(", "))]
    NoSuchVoter { name: String, voters: Vec<String> },
    #[error("the key {0} votes already")]
    KeyVotes(NodeId),
    #[error(
        "without {name} there are {left} voters, but {needed} must approve: nobody can change these voters any more"
    )]
    NoQuorumLeft { name: String, left: usize, needed: usize },
    #[error("there is a file already at {0}; nothing was written")]
    Exists(PathBuf),
    #[error("such a manifest cannot be:{}", .0.iter().map(|fault| format!("\n  {fault}")).collect::<String>())]
    Faulty(Vec<ElectorateFault>),
}

impl Help for NotReplaced {
    fn help(&self) -> String {
        match self {
            NotReplaced::NoSuchVoter { .. } => "give the name that the manifest has".into(),
            NotReplaced::KeyVotes(_) => "make a new key: `nitro-elect keygen` with a new directory".into(),
            NotReplaced::NoQuorumLeft { .. } => {
                "make a new cluster: `nitro-elect manifest new`, with a cluster id of its own, once every old node is stopped"
                    .into()
            }
            NotReplaced::Exists(_) => "name the newest manifest with --manifest, or move that file away".into(),
            NotReplaced::Faulty(_) => "change what each line names, or give another --address".into(),
        }
    }
}

/// Writes both.
pub fn replace(args: &ReplaceArgs) -> Result<ExitCode, Failure> {
    let old = load(&args.manifest)?;
    let key = args.key.id()?;
    let lost = lost(&old.electorate, &args.name)?;
    if old.electorate.contains(&key) {
        return Err(NotReplaced::KeyVotes(key).into());
    }
    let added = added(&old, lost, key, args.address.as_deref())?;
    let removed = removed(&added, lost.key)?;
    let paths = [&added, &removed].map(|manifest| beside(&args.manifest, manifest.electorate.epoch));
    if let Some(path) = paths.iter().find(|path| path.exists()) {
        return Err(NotReplaced::Exists(path.clone()).into());
    }
    added.save(&paths[0])?;
    removed.save(&paths[1])?;
    let [first, second] = paths.each_ref().map(|path| path.display().to_string());
    let text = format!(
        "1. {first} adds the new key as voter {name}; the lost one is called {other} there.\n   \
         Endorse and approve it, start the new node, then restart the others with it.\n\
         2. {second} removes the lost key. Endorse and approve it once a leader was elected under the first.",
        name = args.name,
        other = renamed(&lost.name, &lost.key),
    );
    let steps = [(&first, &added), (&second, &removed)].map(|(file, manifest)| {
        let electorate = &manifest.electorate;
        json!({ "file": file, "epoch": electorate.epoch, "digest": electorate.digest().to_string() })
    });
    args.format
        .print(&text, &json!({ "replaced": lost.key.to_string(), "key": key.to_string(), "steps": steps }))?;
    Ok(ExitCode::SUCCESS)
}

fn lost<'a>(old: &'a Electorate, name: &str) -> Result<&'a Voter, NotReplaced> {
    let lost = old.voters.iter().find(|voter| voter.name == name);
    let lost = lost.ok_or_else(|| {
        let mut voters: Vec<String> = old.voters.iter().map(|voter| voter.name.clone()).collect();
        voters.sort_unstable();
        NotReplaced::NoSuchVoter { name: name.into(), voters }
    })?;
    let (left, needed) = (old.n() - 1, old.quorum());
    if left < needed {
        return Err(NotReplaced::NoQuorumLeft { name: name.into(), left, needed });
    }
    Ok(lost)
}

/// The next manifest, with the new voter in the lost one's place, and that one out of the way.
fn added(old: &Manifest, lost: &Voter, key: NodeId, address: Option<&str>) -> Result<Manifest, NotReplaced> {
    let new = Voter { key, address: address.unwrap_or(&lost.address).into(), ..lost.clone() };
    next(old, |voters| {
        for voter in voters.iter_mut().filter(|voter| voter.key == lost.key) {
            voter.name = renamed(&lost.name, &lost.key);
            if voter.address == new.address {
                // A name that never resolves (RFC 2606): nobody is to be found there.
                voter.address = format!("{}.invalid:1", lost.key.short());
            }
        }
        voters.push(new);
    })
}

fn removed(added: &Manifest, lost: NodeId) -> Result<Manifest, NotReplaced> {
    next(added, |voters| voters.retain(|voter| voter.key != lost))
}

/// What the lost voter is called while both are there.
fn renamed(name: &str, key: &NodeId) -> String {
    let short = key.short();
    let room = nitro_elect_protocol::limits::NAME_MAX - short.len() - 1;
    let kept: String =
        name.char_indices().take_while(|(at, c)| at + c.len_utf8() <= room).map(|(_, c)| c).collect();
    format!("{kept}-{short}")
}

fn next(old: &Manifest, change: impl FnOnce(&mut Vec<Voter>)) -> Result<Manifest, NotReplaced> {
    let mut manifest = old.clone();
    let electorate = &mut manifest.electorate;
    change(&mut electorate.voters);
    electorate.sort();
    electorate.previous = Some(old.electorate.digest());
    electorate.epoch = old.electorate.epoch.saturating_add(1);
    let faults = electorate.faults();
    if !faults.is_empty() {
        return Err(NotReplaced::Faulty(faults));
    }
    debug_assert!(SafeChange::check(&old.electorate, &manifest.electorate).is_ok(), "one voter more or less");
    Ok(manifest)
}

/// `cluster.3.toml` beside `cluster.toml` or `cluster.2.toml`.
fn beside(path: &Path, epoch: u64) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let base = match stem.rsplit_once('.') {
        Some((base, number)) if number.parse::<u64>().is_ok() => base,
        _ => &stem,
    };
    path.with_file_name(format!("{base}.{epoch}.toml"))
}
