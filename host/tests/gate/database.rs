//! PostgreSQL behind a gate: four nodes, each with a client that inserts rows as fast as it is let, through its node's
//! local port. A leader that was stopped and goes on reaches the database with not one statement more.

use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::fleet::Fleet;
use crate::operator::{signal, until};
use crate::skip::skip;

/// The user that PostgreSQL runs as where the test is root, as it refuses to be.
const NOBODY: u32 = 65_534;

/// Where the newest server's programs are.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    found.retain(|programs| programs.join("initdb").exists());
    found.sort();
    found.pop()
}

/// A server of its own, on a Unix socket alone. It ends when dropped.
struct Database {
    programs: PathBuf,
    directory: tempfile::TempDir,
    server: Child,
}

impl Database {
    /// Starts one; nothing where PostgreSQL is not installed.
    async fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            skip("PostgreSQL", "make deps");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data").display().to_string();
        if is_root() {
            chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let made = as_nobody(&programs.join("initdb"))
            .args(["-D", &data, "-A", "trust", "-U", "postgres", "--no-sync"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let socket = format!("unix_socket_directories={}", directory.path().display());
        let server = as_nobody(&programs.join("postgres"))
            .args(["-D", &data, "-c", "listen_addresses=", "-c", &socket, "-c", "fsync=off"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let database = Database { programs, directory, server };
        until("the start of PostgreSQL", async || database.asked("select 1")).await;
        database.ask("create role app login");
        database.ask("create table work (id bigserial primary key, writer text)");
        database.ask("grant all on all tables in schema public to app");
        database.ask("grant all on all sequences in schema public to app");
        Some(database)
    }

    fn endpoint(&self) -> String {
        format!("unix://{}/.s.PGSQL.5432", self.directory.path().display())
    }

    /// A question past the gate, as the database's own administrator asks it.
    fn line(&self, question: &str) -> String {
        let (psql, host) = (self.programs.join("psql"), self.directory.path().display());
        format!("{} -X -q -A -t -h {host} -U postgres -d postgres -c \"{question}\"", psql.display())
    }

    fn asked(&self, question: &str) -> Option<String> {
        let output = Command::new("sh").args(["-c", &self.line(question)]).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    fn ask(&self, question: &str) -> String {
        self.asked(question).expect("the database answers")
    }

    fn rows(&self, condition: &str) -> u64 {
        self.ask(&format!("select count(*) from work where {condition}")).parse().unwrap()
    }

    /// Waits for so many rows more of whom the condition names.
    async fn more(&self, rows: u64, condition: &str) {
        let before = self.rows(condition);
        until(condition, async || (self.rows(condition) >= before + rows).then_some(())).await;
    }

    /// Starts a node's client: it writes rows for ever, connects anew when it is hung up on, and gives up nothing.
    fn client(&self, fleet: &Fleet, node: &str) -> Client {
        let (psql, port) = (self.programs.join("psql"), fleet.local(node));
        let script = format!(
            "while :; do
               while :; do echo \"insert into work (writer) values ('{node}');\"; sleep 0.02; done |
                 {} -X -q -h 127.0.0.1 -p {port} -U app -d postgres
               sleep 0.1
             done",
            psql.display()
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Client(command.process_group(0).spawn().unwrap())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        signal(self.server.id(), libc::SIGQUIT);
        self.server.wait().unwrap();
    }
}

fn is_root() -> bool {
    // SAFETY: geteuid takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// A shell, its loop and its psql, in a process group of their own. They end when dropped.
struct Client(Child);

impl Client {
    fn signal(&self, signal: libc::c_int) {
        // SAFETY: killpg takes two numbers; the group is of a process that was started here and not waited for.
        let sent = unsafe { libc::killpg(libc::pid_t::try_from(self.0.id()).unwrap(), signal) };
        assert_eq!(sent, 0);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.signal(libc::SIGKILL);
        self.0.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn not_one_statement_of_a_leader_that_was_stopped_reaches_the_database() {
    let Some(database) = Database::start().await else { return };
    let (mut fleet, led) = Fleet::led(&database.endpoint(), &[]).await;
    let old = led.leader;
    let names = fleet.cluster.names();
    let clients: Vec<Client> = names.iter().map(|name| database.client(&fleet, name)).collect();
    let client = &clients[names.iter().position(|name| *name == old).unwrap()];
    let (of_old, of_others) = (format!("writer = '{old}'"), format!("writer <> '{old}'"));
    database.more(20, &of_old).await;
    assert_eq!(database.rows(&of_others), 0, "nobody else gets through");

    let node = [fleet.cluster.operator.pid(&old), fleet.cluster.operator.node(&old)];
    node.iter().for_each(|process| signal(*process, libc::SIGSTOP));
    client.signal(libc::SIGSTOP);
    database.more(10, &of_others).await;
    let written = database.rows(&of_old);
    node.iter().for_each(|process| signal(*process, libc::SIGCONT));
    client.signal(libc::SIGCONT);
    database.more(60, &of_others).await;
    assert_eq!(database.rows(&of_old), written, "not one statement more");
    let order = "select max(id) filter (where OLD) < min(id) filter (where not OLD) from work";
    assert_eq!(database.ask(&order.replace("OLD", &of_old)), "t");

    fleet.cluster.operator.kill("the-gate");
    tokio::time::sleep(Duration::from_millis(300)).await; // what the database had received, it may still write
    let without = database.rows("true");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(database.rows("true"), without, "with the gate down nothing gets through");
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'";
    fleet.start_gate(&["--fence-cmd", &database.line(end)]).await;
    database.more(10, "true").await;
    assert_eq!(fleet.status().await.unwrap()["counters"]["fence_commands"], 1);
    assert_eq!(database.rows(&of_old), written);
}

/// The fence command of docs/FENCING.md, for this database and for a role's connections to `template1`, which no other
/// test has.
fn documented(database: &Database) -> String {
    let document = include_str!("../../../docs/FENCING.md");
    let script = document.split("```").find(|block| block.contains("# end-backends")).unwrap();
    let (_, script) = script.split_once("sh\n").unwrap();
    let (psql, host) = (database.programs.join("psql"), database.directory.path().display());
    script
        .replace("psql -X", &format!("{} -h {host} -U postgres -X", psql.display()))
        .replace("appdb", "template1")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_fence_command_waits_for_a_backend_that_is_still_starting() {
    let Some(database) = Database::start().await else { return };
    let fence = documented(&database);
    let ends = || Command::new("sh").args(["-ec", &fence]).stdout(Stdio::null()).status().unwrap().success();
    assert!(ends(), "nothing is there");
    let mut first = 196_608_u32.to_be_bytes().to_vec(); // protocol 3.0
    first.extend(b"user\0app\0database\0template1\0options\0-c post_auth_delay=2\0\0");
    let mut stream = UnixStream::connect(database.directory.path().join(".s.PGSQL.5432")).unwrap();
    stream.write_all(&u32::try_from(first.len() + 4).unwrap().to_be_bytes()).unwrap();
    stream.write_all(&first).unwrap();
    assert!(!ends(), "a backend starts");
    until("its end", async || ends().then_some(())).await;
}
