//! A cluster of processes with a gate before a resource, and a local port beside each node.

use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use nitro_elect::http::client::Client;

use crate::operator::{Cluster, Led, until};

/// See the module.
pub struct Fleet {
    pub cluster: Cluster,
    gate_port: u16,
    gate_admin: u16,
    first_local: u16,
    resource: String,
}

impl Fleet {
    /// Four nodes that have a leader, made by `init` with more arguments, a gate before this resource, and a `connect`
    /// beside each node.
    pub async fn led(resource: &str, init: &[&str]) -> (Self, Led) {
        let mut cluster = Cluster::made(4, init).await;
        let led = cluster.start_all().await;
        let ports = &mut cluster.operator.ports;
        let (gate_port, gate_admin) = (ports.some(1).unwrap(), ports.some(1).unwrap());
        let first_local = ports.some(4).unwrap();
        let mut fleet = Fleet { cluster, gate_port, gate_admin, first_local, resource: resource.into() };
        fleet.start_gate(&[]).await;
        for name in fleet.cluster.names() {
            fleet.start_connect(&name);
        }
        (fleet, led)
    }

    /// Starts the gate, with more arguments.
    pub async fn start_gate(&mut self, more: &[&str]) {
        let (listen, admin) =
            (format!("127.0.0.1:{}", self.gate_port), format!("127.0.0.1:{}", self.gate_admin));
        let (manifest, state) = (self.cluster.manifest(), self.cluster.operator.path("gate"));
        let fixed = [
            "gate",
            "--listen",
            &listen,
            "--upstream",
            &self.resource,
            "--manifest",
            &manifest,
            "--state",
            &state,
            "--admin",
            &admin,
            "--allow-simulated",
        ];
        self.cluster.operator.start("the-gate", &[&fixed, more].concat());
        until("the start of the gate", async || self.status().await).await;
    }

    /// Starts the local port beside a node.
    pub fn start_connect(&mut self, node: &str) {
        let (gate, local) =
            (format!("127.0.0.1:{}", self.gate_port), format!("127.0.0.1:{}", self.local(node)));
        let state = self.cluster.operator.path(&format!("cluster/{node}"));
        let admin = self.cluster.admin(node).to_string();
        let arguments = [
            "connect", "--gate", &gate, "--local", &local, "--state", &state, "--admin", &admin, "--wait",
            "2s",
        ];
        self.cluster.operator.start(&format!("connect-{node}"), &arguments);
    }

    /// The local port beside a node.
    pub fn local(&self, node: &str) -> u16 {
        self.first_local + self.cluster.port(node) - self.cluster.first_port
    }

    /// What the gate says of itself.
    pub async fn status(&self) -> Option<Value> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.gate_admin));
        Client::new(address, Duration::from_secs(2)).get_json("/status").await.ok()
    }
}
