//! Somebody who starts, asks and kills processes. Dropping it kills them all.

use nitro_elect::demo::ports::Ports;
use nitro_elect::http::answers::{Leader, Overview};
use nitro_elect::http::client::Client;
use nitro_elect::supervisor::children_of;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_nitro-elect");
/// Patience for a busy machine.
pub const LATE: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(10);
const ANSWER: Duration = Duration::from_secs(2);

/// A command of the program, with no settings of whoever runs the tests.
pub fn nitro_elect(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
        .env("HOME", home)
        .env("XDG_STATE_HOME", home)
        .env("TMPDIR", home)
        .env("NITRO_ELECT_LOG_FORMAT", "human");
    command
}

/// Runs a command to its end.
pub fn run(home: &Path, arguments: &[&str]) -> Output {
    nitro_elect(home, arguments).output().unwrap()
}

/// Standard error of a command that must fail with this code.
pub fn refusal(home: &Path, code: i32, arguments: &[&str]) -> String {
    let output = run(home, arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    text
}

/// Looks until there is something.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let last = Instant::now() + LATE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < last, "{what} did not happen in time");
        tokio::time::sleep(LOOK).await;
    }
}

/// Sends a signal to a process.
pub fn signal(process: u32, signal: libc::c_int) {
    // SAFETY: kill takes two numbers; the process is one that the test started and has not waited for.
    let sent = unsafe { libc::kill(libc::pid_t::try_from(process).unwrap(), signal) };
    assert_eq!(sent, 0, "process {process} is there");
}

/// The children of a process that runs.
pub fn children(process: u32) -> Vec<u32> {
    children_of(process).unwrap_or_default()
}

/// Whether a process runs: one that has ended and was not waited for does not.
pub fn is_running(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = status.rsplit(')').next().unwrap_or_default().trim_start().chars().next();
    state.is_some_and(|state| state != 'Z')
}

/// A process, and where it writes.
struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// Processes in one temporary directory.
pub struct Operator {
    pub directory: TempDir,
    pub ports: Ports,
    processes: Vec<Process>,
}

impl Operator {
    pub fn new() -> Self {
        Operator {
            directory: tempfile::tempdir().unwrap(),
            ports: Ports::find().unwrap(),
            processes: Vec::new(),
        }
    }

    pub fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// Starts a process under a name.
    pub fn start(&mut self, name: &str, arguments: &[&str]) {
        let log = self.directory.path().join(format!("{name}.log"));
        let lines = File::options().create(true).append(true).open(&log).unwrap();
        let mut command = nitro_elect(self.directory.path(), arguments);
        let child = command.stdout(lines.try_clone().unwrap()).stderr(lines).spawn().unwrap();
        self.processes.push(Process { name: name.into(), child, log });
    }

    /// Starts a process that writes elsewhere.
    pub fn adopt(&mut self, name: &str, mut command: Command) {
        let (child, log) = (command.spawn().unwrap(), self.directory.path().join(format!("{name}.log")));
        self.processes.push(Process { name: name.into(), child, log });
    }

    /// What a process wrote so far.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(format!("{name}.log"))).unwrap_or_default()
    }

    /// The id of a process.
    pub fn pid(&self, name: &str) -> u32 {
        let found = self.processes.iter().find(|process| process.name == name);
        found.expect("it was started").child.id()
    }

    /// The id of a node below its supervisor.
    pub fn node(&self, name: &str) -> u32 {
        *children(self.pid(name)).first().expect("a supervisor has its node")
    }

    /// SIGKILL of the process that was started, as the loss of a machine: a node and its supervisor are gone with it, and
    /// no will is sent.
    pub fn kill(&mut self, name: &str) {
        let mut process = self.take(name);
        let below = children(process.child.id());
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        for child in below {
            let last = Instant::now() + LATE;
            while is_running(child) {
                assert!(Instant::now() < last, "process {child} outlives {name}");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// SIGKILL of a node alone: its supervisor does what is to be done, and ends with this status.
    pub async fn kill_node(&mut self, name: &str) -> ExitStatus {
        let node = self.node(name);
        signal(node, libc::SIGKILL);
        self.end_of(name).await
    }

    /// Waits for a process to end, and takes it off the list.
    pub async fn end_of(&mut self, name: &str) -> ExitStatus {
        let mut process = self.take(name);
        until(&format!("the end of {name}"), async || process.child.try_wait().unwrap()).await
    }

    /// SIGTERM, and how the process ended by it.
    pub async fn terminate(&mut self, name: &str) -> ExitStatus {
        let mut process = self.take(name);
        signal(process.child.id(), libc::SIGTERM);
        until(&format!("the end of {name}"), async || process.child.try_wait().unwrap()).await
    }

    fn take(&mut self, name: &str) -> Process {
        let at = self.processes.iter().position(|process| process.name == name).expect("it was started");
        self.processes.remove(at)
    }

    /// Fails if a process has ended though nobody ended it.
    pub fn all_live(&mut self) {
        for process in &mut self.processes {
            let ended = process.child.try_wait().unwrap();
            let log = std::fs::read_to_string(&process.log).unwrap_or_default();
            assert!(ended.is_none(), "{} ended: {ended:?}\n{log}", process.name);
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _gone = process.child.kill();
            let _gone = process.child.wait();
            if std::thread::panicking() {
                let log = std::fs::read_to_string(&process.log).unwrap_or_default();
                eprintln!("--- {}\n{log}", process.name);
            }
        }
    }
}

/// A cluster of nodes with a manifest and a simulated enclave.
pub struct Cluster {
    pub operator: Operator,
    pub enclave: String,
    pub first_port: u16,
    pub first_admin: u16,
    pub nodes: u16,
}

/// A leader that its cluster agrees on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Led {
    pub leader: String,
    pub term: u64,
}

impl Cluster {
    /// An enclave and so many nodes, none started yet.
    pub async fn new(nodes: u16) -> Self {
        Cluster::made(nodes, &[]).await
    }

    /// The same, made by `init` with more arguments.
    pub async fn made(nodes: u16, more: &[&str]) -> Self {
        let mut operator = Operator::new();
        let enclave = format!("tcp://127.0.0.1:{}", operator.ports.some(1).unwrap());
        let (first_port, first_admin) =
            (operator.ports.some(nodes).unwrap(), operator.ports.some(nodes).unwrap());
        let mut cluster = Cluster { operator, enclave, first_port, first_admin, nodes };
        cluster.start_enclave().await;
        let (trust, directory) = (cluster.operator.path("trust.json"), cluster.operator.path("cluster"));
        let (count, port) = (nodes.to_string(), first_port.to_string());
        let arguments = ["init", "--local", &count, "--trust", &trust, "--base-port", &port, &directory];
        let made = run(cluster.operator.directory.path(), &[&arguments[..], more].concat());
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        cluster
    }

    /// The same with all nodes started and a leader.
    pub async fn led(nodes: u16) -> (Self, Led) {
        let mut cluster = Cluster::new(nodes).await;
        let led = cluster.start_all().await;
        (cluster, led)
    }

    /// Starts all nodes, and waits for their leader.
    pub async fn start_all(&mut self) -> Led {
        for name in self.names() {
            self.start_node(&name);
        }
        self.agreement(1).await
    }

    pub fn names(&self) -> Vec<String> {
        (1..=self.nodes).map(|number| format!("node-{number}")).collect()
    }

    pub fn manifest(&self) -> String {
        self.operator.path("cluster/cluster.toml")
    }

    /// Starts the enclave under the root it had before, if it had one.
    pub async fn start_enclave(&mut self) {
        let (trust, pki, listen) =
            (self.operator.path("trust.json"), self.operator.path("pki"), self.enclave.clone());
        let _none_yet = std::fs::remove_file(&trust);
        let arguments = ["simulate-enclave", "--listen", &listen, "--trust-out", &trust, "--pki", &pki];
        self.operator.start("enclave", &arguments);
        until("the start of the enclave", async || Path::new(&trust).exists().then_some(())).await;
    }

    fn index(&self, name: &str) -> u16 {
        u16::try_from(self.names().iter().position(|other| other == name).expect("a node's name")).unwrap()
    }

    pub fn port(&self, name: &str) -> u16 {
        self.first_port + self.index(name)
    }

    pub fn admin(&self, name: &str) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.first_admin + self.index(name)))
    }

    pub fn start_node(&mut self, name: &str) {
        self.start_node_with(name, &[]);
    }

    /// Starts a node with more arguments.
    pub fn start_node_with(&mut self, name: &str, more: &[&str]) {
        let (manifest, state) = (self.manifest(), self.operator.path(&format!("cluster/{name}")));
        let (admin, enclave) = (self.admin(name).to_string(), self.enclave.clone());
        let arguments =
            ["node", "--manifest", &manifest, "--state", &state, "--enclave", &enclave, "--admin", &admin];
        self.operator.start(name, &[&arguments[..], more].concat());
    }

    pub async fn leader_by(&self, name: &str) -> Option<Leader> {
        Client::new(self.admin(name), ANSWER).get_json("/v1/leader").await.ok()
    }

    pub async fn overview(&self, name: &str) -> Option<Overview> {
        Client::new(self.admin(name), ANSWER).get_json("/v1/status").await.ok()
    }

    /// The proof that a node serves.
    pub async fn proof(&self, name: &str) -> Option<String> {
        self.answer(name, "/v1/certificate").await
    }

    /// What a node answers to a path, if it does.
    pub async fn answer(&self, name: &str, path: &str) -> Option<String> {
        let answer = Client::new(self.admin(name), ANSWER).get(path).await.ok()?;
        (answer.code == 200).then(|| String::from_utf8(answer.body.to_vec()).unwrap())
    }

    /// Whom all running nodes agree on, in this term or later: the leader among them says so itself.
    pub async fn agreement(&mut self, least: u64) -> Led {
        until(&format!("agreement on a leader of term {least} or later"), async || {
            self.operator.all_live();
            self.agreed().await.filter(|led| led.term >= least)
        })
        .await
    }

    async fn agreed(&self) -> Option<Led> {
        let mut led = Vec::new();
        let mut of_itself = 0;
        for name in self.running() {
            let answer = self.leader_by(&name).await?;
            of_itself += usize::from(answer.this_node);
            led.push(Led { leader: answer.leader?.name, term: answer.term.0 });
        }
        let first = led.first()?.clone();
        (of_itself == 1 && led.iter().all(|one| *one == first)).then_some(first)
    }

    fn running(&self) -> Vec<String> {
        let running = |name: &String| self.operator.processes.iter().any(|process| process.name == *name);
        self.names().into_iter().filter(running).collect()
    }
}
