//! Following nodes through their admin addresses, as anybody could.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::http::answers::{Leader, Members, Overview};
use crate::http::client::Client;
use hyper::StatusCode;

/// How long one answer may take.
const DEADLINE: Duration = Duration::from_millis(800);

/// One node, followed.
#[derive(Debug)]
pub struct Eye {
    /// Its name.
    pub name: String,
    client: Client,
}

impl Eye {
    /// Follows the node whose admin address has this port.
    pub fn new(name: &str, port: u16) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Eye { name: name.to_owned(), client: Client::new(address, DEADLINE) }
    }

    /// Whom the node believes to lead.
    pub async fn leader(&mut self) -> Option<Leader> {
        self.client.get_json("/v1/leader").await.ok()
    }

    /// The other nodes that the node sees alive.
    pub async fn sees(&mut self) -> Option<Vec<String>> {
        let members: Members = self.client.get_json("/v1/members").await.ok()?;
        let alive = members.members.into_iter().filter(|member| member.active && !member.this_node);
        Some(alive.map(|member| member.name).collect())
    }

    /// Everything at a glance.
    pub async fn overview(&mut self) -> Option<Overview> {
        self.client.get_json("/v1/status").await.ok()
    }

    /// The proof that the node serves.
    pub async fn proof(&mut self) -> Option<String> {
        let answer = self.client.get("/v1/certificate").await.ok()?;
        (answer.code == StatusCode::OK).then(|| String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Whether the node says that it can be relied on.
    pub async fn is_ready(&mut self) -> bool {
        self.client.get("/readyz").await.is_ok_and(|answer| answer.code == StatusCode::OK)
    }
}
