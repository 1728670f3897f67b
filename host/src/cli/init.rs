//! `nitro-elect init`: a cluster on this machine, ready to run.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::local_cluster::{self, LocalNode};
use crate::manifest::MANIFEST_FILE;
use nitro_elect_protocol::crypto::Signer;
use nitro_elect_protocol::limits::VOTERS_MAX;

use super::failure::Failure;
use super::flags::electorate::ElectorateFlags;
use super::flags::trust::TrustFlags;
use super::manifest::{described, summary};
use super::output::Format;
use super::shell_words::quote;

/// Where a simulated enclave listens when nothing else is said.
const ENCLAVE: &str = "tcp://127.0.0.1:5900";

const AFTER_HELP: &str = "\
Writes DIR/cluster.toml and a state directory with a key for each node,
DIR/node-1 and so on, and prints the lines to run next. DIR must be new or
empty. If anything fails, nothing is left behind.

Examples:
  nitro-elect simulate-enclave --trust-out trust.json    # in another terminal
  nitro-elect init --local 4 --trust trust.json cluster
  nitro-elect init --local 7 --trust trust.json --base-port 6000 clusters/seven

Exit codes: 0 made, 1 refused or failed, 2 wrong usage or an unreadable trust file";

/// Make a cluster of several nodes on this machine, ready to run
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// How many nodes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=VOTERS_MAX as i64))]
    local: u32,
    #[command(flatten)]
    trust: TrustFlags,
    /// The port of node-1; each next node has the next one
    #[arg(long, value_name = "PORT", default_value_t = 5000, value_parser = clap::value_parser!(u16).range(1..))]
    base_port: u16,
    #[command(flatten)]
    electorate: ElectorateFlags,
    #[command(flatten)]
    format: Format,
    /// The directory to make
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Makes the cluster.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let trust = args.trust.trust()?;
    let nodes = local_cluster::draw_nodes(args.local, args.base_port)?;
    let voters = nodes.iter().map(LocalNode::voter).collect();
    let manifest = args.electorate.manifest(trust, voters)?;
    local_cluster::write(&args.dir, &manifest, &nodes)?;
    let file = args.dir.join(MANIFEST_FILE);
    let lines: Vec<String> = nodes.iter().map(|node| line_to_run(&args.dir, node)).collect();
    if !args.format.json {
        eprintln!("made {}: {}", args.dir.display(), summary(&manifest));
        eprintln!("digest {}", manifest.electorate.digest());
        eprintln!(
            "run each of these in a terminal of its own, beside an enclave that the trust file accepts:"
        );
    }
    let mut json = described(&file, &manifest);
    json["nodes"] = nodes.iter().map(|node| described_node(&args.dir, node)).collect();
    json["run"] = lines.clone().into();
    args.format.print(&lines.join("\n"), &json)?;
    Ok(ExitCode::SUCCESS)
}

fn line_to_run(dir: &Path, node: &LocalNode) -> String {
    let (manifest, state) = (quote(&dir.join(MANIFEST_FILE)), quote(&dir.join(&node.name)));
    format!("nitro-elect node --manifest {manifest} --state {state} --enclave {ENCLAVE}")
}

fn described_node(dir: &Path, node: &LocalNode) -> Value {
    json!({
        "name": node.name,
        "address": node.address,
        "key": node.key.id().to_string(),
        "state": dir.join(&node.name),
    })
}
