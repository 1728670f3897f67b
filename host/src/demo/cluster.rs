//! The demo's cluster: where everything is, and how each part is started, by the commands an operator would use.

use nitro_elect_protocol::electorate::Electorate;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};

use super::error::DemoError;
use super::fleet::Fleet;
use super::ports::Ports;
use super::scene::Place;
use crate::manifest::{MANIFEST_FILE, Manifest};

/// Names and addresses of all parts.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    nodes: u16,
    enclave_port: u16,
    proxy_port: u16,
    first_port: u16,
    first_admin: u16,
    /// Kept: its first port keeps the block ours.
    _ports: Ports,
}

impl Cluster {
    /// Finds places for so many nodes.
    pub fn plan(directory: &Path, nodes: u16) -> Result<Self, DemoError> {
        let mut ports = Ports::find()?;
        Ok(Cluster {
            directory: directory.to_path_buf(),
            nodes,
            enclave_port: ports.some(1)?,
            proxy_port: ports.some(1)?,
            first_port: ports.some(nodes)?,
            first_admin: ports.some(nodes)?,
            _ports: ports,
        })
    }

    /// The names of the nodes.
    pub fn names(&self) -> Vec<String> {
        (1..=self.nodes).map(|number| format!("node-{number}")).collect()
    }

    /// Where the enclave is.
    pub fn enclave(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.enclave_port)
    }

    /// Where the proxy is.
    pub fn proxy(&self) -> String {
        format!("tls://127.0.0.1:{}", self.proxy_port)
    }

    /// The admin port of a node.
    pub fn admin_port(&self, name: &str) -> u16 {
        self.first_admin + self.index(name)
    }

    fn index(&self, name: &str) -> u16 {
        let at = self.names().iter().position(|other| other == name);
        u16::try_from(at.unwrap_or_default()).unwrap_or_default()
    }

    fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    fn manifest(&self) -> PathBuf {
        self.directory.join("cluster").join(MANIFEST_FILE)
    }

    /// Starts the simulated enclave. It is up when its trust file is there.
    pub fn start_enclave(&self, fleet: &mut Fleet) -> Result<(), DemoError> {
        let (listen, trust, pki) = (self.enclave(), self.file("trust.json"), self.file("pki.pem"));
        let arguments = ["simulate-enclave", "--listen", &listen, "--trust-out", &trust, "--pki", &pki];
        start(fleet, "enclave", &arguments).map(drop)
    }

    /// Whether the enclave serves.
    pub fn enclave_is_up(&self) -> bool {
        self.directory.join("trust.json").exists()
    }

    /// Makes keys, states and the manifest; returns what the nodes agree on.
    pub fn make(&self, fleet: &Fleet) -> Result<Electorate, DemoError> {
        let (count, port) = (self.nodes.to_string(), self.first_port.to_string());
        let (trust, directory) = (self.file("trust.json"), self.file("cluster"));
        let arguments = ["init", "--local", &count, "--trust", &trust, "--base-port", &port, &directory];
        let made = fleet.run(&arguments.map(str::to_owned)).map_err(DemoError::system("run init"))?;
        made.map_err(|said| DemoError::Command { command: "init".into(), said })?;
        let manifest = Manifest::load(&self.manifest());
        let unreadable = |error: crate::manifest::ManifestError| DemoError::Command {
            command: "init".into(),
            said: error.to_string(),
        };
        Ok(manifest.map_err(unreadable)?.electorate)
    }

    /// Starts the proxy.
    pub fn start_proxy(&self, fleet: &mut Fleet) -> Result<(), DemoError> {
        let (listen, enclave, manifest) =
            (self.proxy(), self.enclave(), self.manifest().display().to_string());
        let arguments = ["proxy", "--listen", &listen, "--enclave", &enclave, "--manifest", &manifest];
        start(fleet, "proxy", &arguments).map(drop)
    }

    /// Whether the proxy listens.
    pub fn proxy_is_up(&self) -> bool {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.proxy_port)).is_ok()
    }

    /// Starts a node; returns where it is.
    pub fn start_node(&self, fleet: &mut Fleet, name: &str) -> Result<Place, DemoError> {
        let (manifest, enclave) = (self.manifest().display().to_string(), self.proxy());
        let state = self.file(&format!("cluster/{name}"));
        let admin = format!("127.0.0.1:{}", self.admin_port(name));
        let arguments = [
            "node",
            "--manifest",
            &manifest,
            "--state",
            &state,
            "--enclave",
            &enclave,
            "--admin",
            &admin,
            "--log-format",
            "human",
        ];
        let process = start(fleet, name, &arguments)?;
        let address = format!("127.0.0.1:{}", self.first_port + self.index(name));
        Ok(Place { node: name.to_owned(), address, admin, process })
    }
}

fn start(fleet: &mut Fleet, name: &str, arguments: &[&str]) -> Result<u32, DemoError> {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    fleet.start(name, &arguments).map_err(DemoError::system(format!("start {name}")))
}
