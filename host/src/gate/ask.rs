//! Asking nodes for proofs (`--node`): whoever delivers one is not trusted, so any node will do.
//!
//! By this a gate hears of a new leader before he comes, begins to close for him, and says when no node answers. What it
//! lets in is still the leader's own key alone.

use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

use super::closed::Closed;
use super::limits::{MESSAGE_DEADLINE, RETRY};
use super::shared::{AskedNode, Shared};
use crate::fence::Stale;
use crate::http::client::Client;
use crate::http::token::Token;
use crate::transport::connect::resolve;
use crate::transport::endpoint::HostPort;

/// Asks each node, as long as the gate lives.
pub fn ask_all(shared: &Arc<Shared>, nodes: Vec<HostPort>, token: Option<Token>) -> JoinSet<()> {
    let mut asking = JoinSet::new();
    for (index, address) in nodes.into_iter().enumerate() {
        asking.spawn(ask(shared.clone(), index, address, token.clone()));
    }
    asking
}

async fn ask(shared: Arc<Shared>, index: usize, address: HostPort, token: Option<Token>) {
    let mut client = None;
    loop {
        let node = &shared.nodes[index];
        let pause = match proof(&shared, &address, &token, &mut client).await {
            Ok(text) => {
                note(node, None);
                take_in(&shared, node, text).await
            }
            Err(why) => {
                client = None;
                note(node, Some(why));
                RETRY.max(shared.pace)
            }
        };
        tokio::time::sleep(pause).await;
    }
}

fn note(node: &AskedNode, silent_because: Option<String>) {
    let why = silent_because.clone().unwrap_or_default();
    if node.answered(silent_because) {
        match why.is_empty() {
            true => tracing::info!("{} answers", node.address),
            false => tracing::warn!("{} does not answer: {why}", node.address),
        }
    }
}

/// The proof under a nonce of this moment, if the node has one; nothing if nobody leads.
async fn proof(
    shared: &Shared,
    address: &HostPort,
    token: &Option<Token>,
    kept: &mut Option<Client>,
) -> Result<Option<Vec<u8>>, String> {
    let client = match kept {
        Some(client) => client,
        None => {
            let resolved = resolve(address).await.map_err(|error| error.to_string())?;
            kept.insert(Client::new(resolved[0], MESSAGE_DEADLINE).with_token(token.clone()))
        }
    };
    let nonce = shared.gatehouse.now().nonce();
    let answer = client.get(&format!("/v1/proof?nonce={nonce}")).await.map_err(|error| error.to_string())?;
    match answer.code.as_u16() {
        200 => Ok(Some(answer.body.to_vec())),
        401 | 403 => Err("it wants its admin token: name it with --token-file".into()),
        _ => Ok(None),
    }
}

/// Judges what a node delivered; how long to wait before it is asked again.
async fn take_in(shared: &Shared, node: &AskedNode, text: Option<Vec<u8>>) -> Duration {
    let Some(text) = text else { return shared.pace / 2 };
    match shared.gatehouse.present(text, None).await {
        Ok(()) => shared.counters.proofs_held.up(),
        // A node that is behind, or an answer that was long under way, is nothing to tell of.
        Err(Closed::LowerTerm { .. } | Closed::Stale(Stale::TooOld { .. } | Stale::LowerTerm { .. })) => {}
        Err(why @ (Closed::Stale(_) | Closed::Unreadable(_))) => {
            shared.counters.proofs_refused.up();
            if shared.may_log() {
                tracing::warn!("{} delivered a proof that does not hold: {why}", node.address);
            }
        }
        Err(_) => {}
    }
    shared.pace
}
