//! `nitro-elect manifest`: making, checking and succeeding the file that describes an electorate.

mod agree;
mod diff;
mod replace;

use clap::Subcommand;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use crate::keys;
use crate::manifest::{MANIFEST_FILE, Manifest, ManifestError, WEIGHT_DEFAULT, located};
use nitro_elect_protocol::crypto::Signer;
use nitro_elect_protocol::electorate::Voter;
use nitro_elect_protocol::ids::NodeId;

use super::failure::{FAILED, Failure};
use super::flags::electorate::ElectorateFlags;
use super::flags::trust::TrustFlags;
use super::output::{Format, print};

const AFTER_HELP: &str = "\
Examples:
  nitro-elect manifest new --trust trust.json --voter a=10.0.0.1:5000=node-a
  nitro-elect manifest check cluster.toml
  nitro-elect manifest digest cluster.toml
  nitro-elect manifest diff cluster.toml cluster.2.toml

To change the voters: write the next manifest, `diff` it, let a quorum of voters
`endorse` and then `approve` it, and restart the nodes with it.";

const NEW_AFTER_HELP: &str = "\
KEY is a node's public key (64 hexadecimal digits, as keygen prints it) or a
state directory on this machine. The digest is printed; all voters need the same
manifest. An existing file is never overwritten.

Examples:
  nitro-elect manifest new --trust trust.json \\
    --voter a=10.0.0.1:5000=node-a=20 --voter b=10.0.0.2:5000=node-b
  nitro-elect manifest new --measurements measurements.json \\
    --voter a=10.0.0.1:5000=node-a --voter b=10.0.0.2:5000=node-b
  nitro-elect manifest new --trust trust.json --out eu.toml --policy rotate \\
    --lease 500ms --voter a=10.0.0.1:5000=node-a

Exit codes: 0 written, 1 refused or failed, 2 wrong usage or an unreadable file";

const CHECK_AFTER_HELP: &str = "\
Every fault is printed with its line, as in
cluster.toml:14: a lease of 0 ms is outside 200 ms to 60000 ms

Examples:
  nitro-elect manifest check cluster.toml
  nitro-elect manifest check --json cluster.toml

Exit codes: 0 sound, 1 faulty, 2 wrong usage or an unreadable file";

const DIGEST_AFTER_HELP: &str = "\
Examples:
  nitro-elect manifest digest cluster.toml

Exit codes: 0 printed, 1 the manifest is faulty, 2 wrong usage or an unreadable file";

/// Make, check or change the manifest that describes an electorate
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    New(NewArgs),
    Check(CheckArgs),
    Digest(DigestArgs),
    Diff(diff::DiffArgs),
    Endorse(agree::EndorseArgs),
    Approve(agree::ApproveArgs),
    Replace(replace::ReplaceArgs),
}

/// Write the manifest of a new cluster, and print its digest
#[derive(Debug, clap::Args)]
#[command(after_help = NEW_AFTER_HELP)]
struct NewArgs {
    /// A voter; repeat for each
    #[arg(long = "voter", value_name = "NAME=ADDRESS=KEY[=WEIGHT]", required = true)]
    voters: Vec<VoterFlag>,
    #[command(flatten)]
    trust: TrustFlags,
    #[command(flatten)]
    electorate: ElectorateFlags,
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = MANIFEST_FILE)]
    out: PathBuf,
    #[command(flatten)]
    format: Format,
}

/// Explain every fault of a manifest, with line numbers
#[derive(Debug, clap::Args)]
#[command(after_help = CHECK_AFTER_HELP)]
struct CheckArgs {
    /// The manifest
    #[arg(value_name = "FILE", env = "NITRO_ELECT_MANIFEST", hide_env_values = true)]
    file: PathBuf,
    #[command(flatten)]
    format: Format,
}

/// Print the digest of a manifest: what every vote names
#[derive(Debug, clap::Args)]
#[command(after_help = DIGEST_AFTER_HELP)]
struct DigestArgs {
    /// The manifest
    #[arg(value_name = "FILE", env = "NITRO_ELECT_MANIFEST", hide_env_values = true)]
    file: PathBuf,
    #[command(flatten)]
    format: Format,
}

/// Does one of them.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.action {
        Action::New(args) => new(args),
        Action::Check(args) => check(args),
        Action::Digest(args) => digest(args),
        Action::Diff(args) => diff::diff(&args),
        Action::Endorse(args) => agree::endorse(&args),
        Action::Approve(args) => agree::approve(&args),
        Action::Replace(args) => replace::replace(&args),
    }
}

fn new(args: NewArgs) -> Result<ExitCode, Failure> {
    let trust = args.trust.trust()?;
    let voters = args.voters.iter().map(VoterFlag::voter).collect::<Result<_, _>>()?;
    let manifest = args.electorate.manifest(trust, voters)?;
    manifest.save(&args.out)?;
    if !args.format.json {
        eprintln!("wrote {}: {}; its digest:", args.out.display(), summary(&manifest));
    }
    let digest = manifest.electorate.digest().to_string();
    args.format.print(&digest, &described(&args.out, &manifest))?;
    Ok(ExitCode::SUCCESS)
}

fn check(args: CheckArgs) -> Result<ExitCode, Failure> {
    match Manifest::load(&args.file) {
        Ok(manifest) => {
            let text = format!("{}: sound: {}", args.file.display(), summary(&manifest));
            let mut json = described(&args.file, &manifest);
            (json["valid"], json["faults"]) = (true.into(), json!([]));
            args.format.print(&text, &json)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(ManifestError::Faulty { path, faults }) => {
            let lines: Vec<String> = faults.iter().map(|fault| located(&path, fault)).collect();
            let faults: Vec<Value> = faults
                .iter()
                .map(|fault| json!({ "line": fault.line, "fault": fault.what.to_string() }))
                .collect();
            args.format
                .print(&lines.join("\n"), &json!({ "file": path, "valid": false, "faults": faults }))?;
            Ok(ExitCode::from(FAILED))
        }
        Err(error) => Err(Failure::unreadable(error)),
    }
}

fn digest(args: DigestArgs) -> Result<ExitCode, Failure> {
    let manifest = match Manifest::load(&args.file) {
        Err(error @ ManifestError::Read(_)) => return Err(Failure::unreadable(error)),
        loaded => loaded?,
    };
    let digest = manifest.electorate.digest().to_string();
    if args.format.json {
        args.format.print(&digest, &described(&args.file, &manifest))?;
    } else {
        print(&digest)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a manifest that has to be sound before anything is said about it.
fn load(path: &Path) -> Result<Manifest, Failure> {
    Manifest::load(path).map_err(Failure::unreadable)
}

/// A manifest in a line.
pub fn summary(manifest: &Manifest) -> String {
    let electorate = &manifest.electorate;
    let simulated = if electorate.trust.root.is_aws() { "" } else { ", SIMULATED enclaves" };
    let (n, f, q) = (electorate.n(), electorate.f, electorate.quorum());
    format!("{n} voters, f = {f}, a quorum is {q}{simulated}")
}

/// A manifest as `--json` describes it.
pub fn described(file: &Path, manifest: &Manifest) -> Value {
    let electorate = &manifest.electorate;
    json!({
        "file": file,
        "digest": electorate.digest().to_string(),
        "cluster": electorate.cluster.to_string(),
        "name": electorate.name,
        "epoch": electorate.epoch,
        "voters": electorate.n(),
        "f": electorate.f,
        "quorum": electorate.quorum(),
        "simulated": !electorate.trust.root.is_aws(),
    })
}

/// A voter as it stands on the line.
#[derive(Debug, Clone)]
struct VoterFlag {
    name: String,
    address: String,
    key: KeyFlag,
    weight: u32,
}

/// A node's public key: its digits, or the state directory that has it.
#[derive(Debug, Clone)]
enum KeyFlag {
    Public(NodeId),
    State(PathBuf),
}

impl FromStr for KeyFlag {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(NodeId::from_hex(text).map_or_else(|_| KeyFlag::State(text.into()), KeyFlag::Public))
    }
}

impl KeyFlag {
    fn id(&self) -> Result<NodeId, Failure> {
        match self {
            KeyFlag::Public(key) => Ok(*key),
            KeyFlag::State(dir) => Ok(keys::load(dir).map_err(Failure::unreadable)?.id()),
        }
    }
}

impl FromStr for VoterFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(4, '=').map(str::to_owned);
        let (Some(name), Some(address), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("write NAME=ADDRESS=KEY, or NAME=ADDRESS=KEY=WEIGHT".into());
        };
        let weight = match parts.next() {
            None => WEIGHT_DEFAULT,
            Some(weight) => {
                weight.parse().map_err(|_| format!("the weight {weight:?} is not a whole number"))?
            }
        };
        let Ok(key) = key.parse();
        Ok(VoterFlag { name, address, key, weight })
    }
}

impl VoterFlag {
    fn voter(&self) -> Result<Voter, Failure> {
        let key = self.key.id()?;
        Ok(Voter { key, name: self.name.clone(), address: self.address.clone(), weight: self.weight })
    }
}
