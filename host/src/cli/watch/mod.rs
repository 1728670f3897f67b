//! `nitro-elect watch`: a line for everything that happens at a node, by its own word; with a manifest, a line for every
//! change of the lease that is verified.

mod verified;

use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::Failure;
use super::flags::admin::{AdminFlags, block_on, patiently, unanswered};
use super::output::{Format, print};
use crate::http::follower::{Event, Follower};
use crate::http::token::Token;
use crate::verify::Accept;
use nitro_elect_protocol::time::Wall;

const AFTER_HELP: &str = "\
Without --manifest it tells all that happens at the node, by the node's word. What
happened before is told first, as far as the node keeps it. It goes on until it is
interrupted, and takes up where it was when the node comes back.

With --manifest the node is not trusted: nonces are drawn here, lease proofs are
verified here, the lease is counted on this machine's clock, and nothing is told
that was not verified. A node that shows old, forged or foreign proofs is named.
By default only an enclave attested by AWS counts.

A node answers on loopback unless it was started otherwise. From another machine,
reach it through a tunnel, as in the last example: then it needs no token. Or start
it with --admin ADDRESS:PORT --token-file FILE, and give the same token here; what
passes can be read on the way, the token too, but not forged unnoticed.

Examples:
  nitro-elect watch
  nitro-elect watch --admin 127.0.0.1:15001 --json | jq -r .event
  nitro-elect watch --manifest cluster.toml --admin 10.0.0.1:15000 --token-file token
  nitro-elect watch --manifest cluster.toml --allow-simulated

  ssh -N -L 15000:127.0.0.1:15000 HOST &
  nitro-elect watch --manifest cluster.toml --admin 127.0.0.1:15000

Exit codes:
  1    no node answers, or it wants a token
  2    wrong usage or an unreadable file
  3    with --manifest: a proof is right, with less assurance than asked for
  130  interrupted";

/// How long until a lost node is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Print a line for everything that happens at a node, or for every change of the lease that is verified
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Trust the node with nothing: verify who holds the lease by this manifest, and tell only that
    #[arg(long, value_name = "FILE", env = "NITRO_ELECT_MANIFEST", hide_env_values = true)]
    manifest: Option<PathBuf>,
    /// Accept a simulated enclave
    #[arg(long, requires = "manifest")]
    allow_simulated: bool,
    /// Accept an enclave in debug mode
    #[arg(long, requires = "manifest")]
    allow_debug: bool,
    #[command(flatten)]
    admin: AdminFlags,
    #[command(flatten)]
    format: Format,
}

/// What a line is made of.
#[derive(Deserialize)]
struct Told {
    at_ms: u64,
    text: String,
}

/// Watches until interrupted.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    if let Some(manifest) = &args.manifest {
        let accept = Accept { debug: args.allow_debug, simulated: args.allow_simulated, open: false };
        return block_on(verified::run(manifest, &args.admin, accept, args.format));
    }
    block_on(async {
        let (address, token) = args.admin.resolve().await?;
        let mut last = Some(0);
        let first = patiently(address, Follower::begin(address, token.as_ref(), last)).await;
        let first = first.map_err(unanswered)?;
        follow(first, &mut last, args.format).await?;
        loop {
            tokio::time::sleep(RETRY).await;
            again(address, token.as_ref(), &mut last, args.format).await?;
        }
    })
}

/// One more try. A node that started again counts its happenings from 1.
async fn again(
    address: SocketAddr,
    token: Option<&Token>,
    last: &mut Option<u64>,
    format: Format,
) -> Result<(), Failure> {
    match Follower::begin(address, token, *last).await {
        Ok(follower) => follow(follower, last, format).await,
        Err(_) => {
            *last = Some(0);
            Ok(())
        }
    }
}

/// Prints until the connection ends, and says so.
async fn follow(mut follower: Follower, last: &mut Option<u64>, format: Format) -> Result<(), Failure> {
    loop {
        let why = match follower.next().await {
            Ok(Some(event)) => {
                *last = event.id.or(*last);
                print(&line(&event, format))?;
                continue;
            }
            Ok(None) => "the node ended it".to_owned(),
            Err(error) => error.to_string(),
        };
        eprintln!("the connection is lost ({why}); trying again");
        return Ok(());
    }
}

fn line(event: &Event, format: Format) -> String {
    match serde_json::from_str::<Told>(&event.data) {
        Ok(told) if !format.json => format!("{}  {}", Wall(told.at_ms), told.text),
        _ => event.data.clone(),
    }
}
