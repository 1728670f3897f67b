//! `nitro-elect watch`: a line for everything that happens at a node.

use serde::Deserialize;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use super::Failure;
use super::admin_flags::{AdminFlags, block_on, unanswered};
use super::output::{Format, print};
use crate::http::follower::{Event, Follower};
use crate::http::token::Token;
use nitro_elect_protocol::time::Wall;

const AFTER_HELP: &str = "\
What happened before is told first, as far as the node keeps it. It goes on until
it is interrupted, and takes up where it was when the node comes back.

Examples:
  nitro-elect watch
  nitro-elect watch --admin 127.0.0.1:15001 --json | jq -r .event

Exit codes: 1 no node answers, 2 wrong usage or an unreadable file, 130 interrupted";

/// How long until a lost node is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Print a line for everything that happens at a node
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
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
    block_on(async {
        let (address, token) = args.admin.resolve().await?;
        let mut last = Some(0);
        let first = Follower::begin(address, token.as_ref(), last).await.map_err(unanswered)?;
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
