//! Four nodes and a proxy, as processes, for the enclave in a machine. Dropping them kills them all.

use nitro_elect::demo::ports::Ports;
use nitro_elect::http::answers::Leader;
use nitro_elect::http::client::Client;
use nitro_elect::simulated::SimulatedPki;
use nitro_elect::trust_file;
use nitro_elect_emulation::image::Image;
use nitro_elect_protocol::limits::AGE_DEFAULT;
use nitro_elect_protocol::trust::Trust;
use serde_json::Value;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::built;

const NODES: u16 = 4;
/// Long enough for an election on an emulated processor while the host is busy.
const LEASE: &str = "5s";
/// Patience for a busy machine.
const LATE: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(50);
const ANSWER: Duration = Duration::from_secs(5);

/// A leader that the running nodes agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Led {
    pub leader: String,
    pub term: u64,
}

/// What a verified proof says.
pub struct Proof {
    pub enclave: String,
}

/// A process with its name.
struct Process {
    name: String,
    child: Child,
}

pub struct Cluster {
    directory: PathBuf,
    proxy: u16,
    first_admin: u16,
    processes: Vec<Process>,
}

impl Cluster {
    /// A cluster whose manifest accepts exactly this image under this root, and nothing else.
    pub fn new(directory: &Path, image: &Image, pki: &SimulatedPki) -> Cluster {
        let mut ports = Ports::find().unwrap();
        let trust = Trust::new(pki.root(), vec![image.measurements.clone()], false, AGE_DEFAULT);
        fs::write(directory.join("trust.json"), trust_file::to_text(&trust)).unwrap();
        let [proxy, base, first_admin] = [1, NODES, NODES].map(|count| ports.some(count).unwrap());
        let cluster = Cluster { directory: directory.into(), proxy, first_admin, processes: Vec::new() };
        let (trust, count, base) = (cluster.path("trust.json"), NODES.to_string(), base.to_string());
        let (place, lease) = (cluster.path("cluster"), LEASE);
        let init =
            ["init", "--local", &count, "--trust", &trust, "--base-port", &base, "--lease", lease, &place];
        let made = cluster.run(&init);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        cluster
    }

    /// Where the proxy finds the enclave from now on.
    pub fn point_to(&self, socket: &Path) {
        let new = self.directory.join("enclave.new");
        symlink(socket, &new).unwrap();
        fs::rename(new, self.directory.join("enclave.vsock")).unwrap();
    }

    /// Starts the proxy and all nodes.
    pub async fn start(&mut self) {
        let (listen, manifest) = (format!("tls://127.0.0.1:{}", self.proxy), self.manifest());
        let enclave = format!("unix://{}?port=5005", self.path("enclave.vsock"));
        self.spawn("proxy", &["proxy", "--listen", &listen, "--enclave", &enclave, "--manifest", &manifest]);
        for name in names() {
            let (state, admin) = (self.path(&format!("cluster/{name}")), self.admin(&name).to_string());
            let node =
                ["node", "--manifest", &manifest, "--state", &state, "--enclave", &listen, "--admin", &admin];
            self.spawn(&name, &node);
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self, name: &str) {
        let at = self.processes.iter().position(|process| process.name == name).expect("it was started");
        drop(self.processes.remove(at));
    }

    /// Whom all running nodes agree on, in this term or later: the leader among them says so itself.
    pub async fn agreement(&mut self, least: u64) -> Led {
        let last = Instant::now() + LATE;
        loop {
            for process in &mut self.processes {
                let ended = process.child.try_wait().unwrap();
                assert!(ended.is_none(), "{} ended: {ended:?}", process.name);
            }
            if let Some(led) = self.agreed().await.filter(|led| led.term >= least) {
                return led;
            }
            assert!(Instant::now() < last, "no agreement on a leader of term {least} or later");
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn agreed(&self) -> Option<Led> {
        let (mut led, mut of_itself) = (Vec::new(), 0);
        for name in names().filter(|name| self.processes.iter().any(|process| process.name == *name)) {
            let answer: Leader = Client::new(self.admin(&name), ANSWER).get_json("/v1/leader").await.ok()?;
            of_itself += usize::from(answer.this_node);
            led.push(Led { leader: answer.leader?.name, term: answer.term.0 });
        }
        let first = led.first()?.clone();
        (of_itself == 1 && led.iter().all(|one| *one == first)).then_some(first)
    }

    /// The leader's proof, checked by `nitro-elect verify`: worth simulated, and refused by whoever asked for more.
    pub async fn verified_proof(&self, led: &Led) -> Proof {
        let answer = Client::new(self.admin(&led.leader), ANSWER).get("/v1/certificate").await.unwrap();
        fs::write(self.directory.join("proof.json"), &answer.body[..]).unwrap();
        let (proof, manifest) = (self.path("proof.json"), self.manifest());
        let verify = ["verify", "--json", "--proof", &proof, "--manifest", &manifest];
        assert_eq!(self.run(&verify).status.code(), Some(3), "less assurance than asked for");
        let output = self.run(&[&verify[..], &["--allow-simulated"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["assurance"], "simulated", "{text}");
        assert_eq!(report["certificate"]["term"], led.term, "{text}");
        Proof { enclave: report["certificate"]["enclave"].as_str().expect(&text).to_owned() }
    }

    fn admin(&self, name: &str) -> SocketAddr {
        let index = names().position(|other| other == name).expect("a node's name");
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.first_admin + u16::try_from(index).unwrap()))
    }

    fn manifest(&self) -> String {
        self.path("cluster/cluster.toml")
    }

    fn path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    fn spawn(&mut self, name: &str, arguments: &[&str]) {
        let log = File::create(self.directory.join(format!("{name}.log"))).unwrap();
        let mut command = self.command(arguments);
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.processes.push(Process { name: name.into(), child });
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// A command of the program that was built with this test, with no settings of whoever runs it.
    fn command(&self, arguments: &[&str]) -> Command {
        let program = built().join("debug/nitro-elect");
        assert!(program.is_file(), "{} is missing: run make boot", program.display());
        let mut command = Command::new(program);
        command.args(arguments).env_clear().stdin(Stdio::null());
        command.env("HOME", &self.directory).env("XDG_STATE_HOME", &self.directory);
        command
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, which `agreement` tells.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for process in &self.processes {
                let log = fs::read_to_string(self.directory.join(format!("{}.log", process.name)));
                eprintln!("--- {}\n{}", process.name, log.unwrap_or_default());
            }
        }
    }
}

fn names() -> impl Iterator<Item = String> {
    (1..=NODES).map(|number| format!("node-{number}"))
}
