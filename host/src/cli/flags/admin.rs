//! The flags of commands that ask a running node, and the client that they give.

use serde::de::DeserializeOwned;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;
use tokio::time::sleep;

use crate::cli::failure::{FAILED, Failure};
use crate::http::client::{Answer, AskError, Client};
use crate::http::token::{self, Token};
use crate::transport::connect::resolve;
use crate::transport::endpoint::HostPort;

/// How long a node may take to answer; a hand-over has as long as the node gives it.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);
/// After so long without an answer it is said that one is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Which node is asked, and by what right.
#[derive(Debug, Clone, clap::Args)]
pub struct AdminFlags {
    /// The node's admin address
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "NITRO_ELECT_ADMIN",
        hide_env_values = true,
        default_value = "127.0.0.1:15000"
    )]
    pub admin: HostPort,
    /// The node's admin token [default: the one that a node of this user left on this machine]
    #[arg(long, value_name = "FILE", env = "NITRO_ELECT_TOKEN_FILE", hide_env_values = true)]
    pub token_file: Option<PathBuf>,
}

impl AdminFlags {
    /// The address, and the token if there is one.
    pub async fn resolve(&self) -> Result<(SocketAddr, Option<Token>), Failure> {
        let address = resolve(&self.admin).await.map_err(|error| {
            Failure::new(FAILED, format!("the admin address: {error}"), "give --admin as HOST:PORT")
        })?[0];
        let token = match &self.token_file {
            Some(file) => Some(Token::read(file).map_err(Failure::unreadable)?),
            None => address.ip().is_loopback().then(|| token::left(address)).flatten(),
        };
        Ok((address, token))
    }

    /// A client of the node.
    pub async fn client(&self) -> Result<Client, Failure> {
        let (address, token) = self.resolve().await?;
        Ok(Client::new(address, ANSWER_DEADLINE).with_token(token))
    }
}

/// Waits for an answer of this address, and says so when it takes long.
pub async fn patiently<T>(address: SocketAddr, asked: impl Future<Output = T>) -> T {
    let mut asked = pin!(asked);
    tokio::select! {
        answer = &mut asked => answer,
        () = sleep(PATIENCE) => {
            eprintln!("waiting for an answer from {address}");
            asked.await
        }
    }
}

/// Nobody answered, or not as a node does.
pub fn unanswered(error: AskError) -> Failure {
    let help = next_after(&error);
    Failure::new(FAILED, error, help)
}

/// The same for an order, of which nobody knows now whether it is carried out.
pub fn order_unanswered(error: AskError) -> Failure {
    let is_under_way = matches!(error, AskError::Late { .. } | AskError::Exchange { .. });
    let doubt =
        "; the order may be carried out all the same, so see `nitro-elect status` before repeating it";
    let help = format!("{}{}", next_after(&error), if is_under_way { doubt } else { "" });
    Failure::new(FAILED, error, help)
}

fn next_after(error: &AskError) -> &'static str {
    match error {
        AskError::Connect { .. } => {
            "is the node running? It prints its admin address at start; name it with --admin"
        }
        AskError::Late { .. } => {
            "something listens there: see whether that process is stopped or its machine held up, \
             and ask another node with --admin"
        }
        AskError::Exchange { .. } | AskError::NotANode { .. } => {
            "name a node's admin address with --admin: it prints it at start, by default its port + 10000"
        }
    }
}

/// What an answer says, or why the node refused.
pub fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, Failure> {
    if !answer.code.is_success() {
        return Err(refused(answer));
    }
    serde_json::from_slice(&answer.body).map_err(|error| {
        Failure::new(
            FAILED,
            format!("the answer is not a node's: {error}"),
            "run the node's version of nitro-elect",
        )
    })
}

fn refused(answer: &Answer) -> Failure {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let why = body["error"].as_str().map_or_else(|| answer.code.to_string(), str::to_owned);
    let help = match answer.code.as_u16() {
        401 | 403 => {
            "give --token-file with the file that the node was started with, or run as the node's user"
        }
        404 => "wait for the first election, or ask a node of this version",
        409 => "see `nitro-elect status`",
        _ => "see `nitro-elect status`, and the node's log",
    };
    Failure::new(FAILED, why, help)
}

/// Runs a command that asks over the network.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(crate::signals::NoProcess)?.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_without_an_answer_is_in_doubt_unless_nobody_could_hear_it() {
        let address: SocketAddr = "127.0.0.1:15000".parse().unwrap();
        let doubt = |error| order_unanswered(error).help().contains("may be carried out all the same");
        assert!(doubt(AskError::Late { address, waited: ANSWER_DEADLINE }));
        assert!(doubt(AskError::Exchange { address, cause: "it broke off".into() }));
        let refused = std::io::ErrorKind::ConnectionRefused;
        assert!(!doubt(AskError::Connect { address, source: refused.into() }));
    }
}
