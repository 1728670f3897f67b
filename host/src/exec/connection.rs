//! The way from an exec to its node.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::config::{ExecConfig, ExecError};
use super::limits::{FROM_NODE_MAX, LINE_DEADLINE, TO_NODE_MAX};
use super::message::{FromNode, ToNode, VERSION};
use super::place;
use crate::run::message::{Lines, line};

/// A connection to the node.
pub struct Connection {
    stream: UnixStream,
    lines: Lines,
}

impl Connection {
    /// Connects, and sees that the right node lets this exec in.
    pub async fn attach(config: &ExecConfig) -> Result<Connection, ExecError> {
        let stream = place::connect(&config.state).await?;
        let mut connection = Connection { stream, lines: Lines::up_to(FROM_NODE_MAX) };
        let not_a_node = || ExecError::NotANode(config.state.clone());
        let hello = ToNode::Attach { version: VERSION, process: std::process::id() };
        if !connection.say(&hello).await {
            return Err(not_a_node());
        }
        let first = timeout(LINE_DEADLINE, connection.first()).await;
        match first.ok().flatten() {
            Some(FromNode::Attached { node }) if node == config.node.to_string() => Ok(connection),
            Some(FromNode::Attached { node }) => {
                Err(ExecError::OtherNode { found: node.chars().take(64).collect(), expected: config.node })
            }
            Some(FromNode::Refused { why }) => Err(ExecError::Refused(why)),
            _ => Err(not_a_node()),
        }
    }

    /// The first message alone: what follows it stays to be read.
    async fn first(&mut self) -> Option<FromNode> {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            line.push(self.stream.read_u8().await.ok()?);
            if line.len() > TO_NODE_MAX {
                return None;
            }
        }
        Lines::default().take(&line).ok()?.pop()
    }

    /// Says something; whether it was taken.
    pub async fn say(&mut self, message: &ToNode) -> bool {
        matches!(timeout(LINE_DEADLINE, self.stream.write_all(&line(message))).await, Ok(Ok(())))
    }
}

/// What the node says next; nothing once it is gone. Without a connection there is nothing to wait for.
pub async fn next(connection: &mut Option<Connection>) -> Option<Vec<FromNode>> {
    let Some(connection) = connection else { return std::future::pending().await };
    let mut bytes = vec![0_u8; 64 << 10];
    let read = connection.stream.read(&mut bytes).await.ok().filter(|read| *read > 0)?;
    let messages = connection.lines.take(&bytes[..read]);
    messages.inspect_err(|error| tracing::error!("the node: {error}")).ok()
}
