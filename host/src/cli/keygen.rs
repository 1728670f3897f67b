//! `nitro-elect keygen`: a new node, with its key and the state that belongs to it.

use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::keys;
use crate::storage::give_birth;
use nitro_elect_protocol::crypto::Signer;

use super::failure::Failure;
use super::output::Format;

const AFTER_HELP: &str = "\
The key is the file `key` in the state directory (Ed25519, PKCS#8 PEM, mode
0600). All else there is state that the node must not forget: never copy the
directory, never restore it from a backup. Nothing is ever overwritten.

Examples:
  nitro-elect keygen --state node-1
  KEY=$(nitro-elect keygen --state node-1)

Exit codes: 0 made, 1 refused or failed, 2 wrong usage";

/// Make a new node: its state and its key; prints the public key
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The state directory to make; it may exist, without a key
    #[arg(long, value_name = "DIR", env = "NITRO_ELECT_STATE", hide_env_values = true)]
    state: PathBuf,
    #[command(flatten)]
    format: Format,
}

/// Makes the node.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let key = keys::generate()?;
    let file = give_birth(&args.state, &key)?;
    let id = key.id().to_string();
    if !args.format.json {
        eprintln!("made {} and its state; this is its public key:", file.display());
    }
    args.format.print(&id, &json!({ "key": id, "file": file, "state": args.state }))?;
    Ok(ExitCode::SUCCESS)
}
