//! openapi.json against the answers of real nodes: before there is a leader, of the leader, of a follower, and of a
//! node that other machines reach.

mod schema;

use crate::operator::{Cluster, LATE, until};
use nitro_elect::http::client::Client;
use nitro_elect::http::limits::WATCHERS_MAX;
use schema::Schemas;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What no request to a real node brings about for certain: answers of one that is held up, which the routes' own tests
/// look at.
const UNSEEN: [&str; 8] = [
    "GET /healthz 503",
    "GET /v1/certificate 503",
    "GET /v1/checks 503",
    "GET /v1/evidence 503",
    "GET /v1/members 503",
    "GET /v1/status 503",
    "POST /v1/drain 503",
    "POST /v1/resign 503",
];
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// An answer of which nothing is lost.
struct Whole {
    code: u16,
    head: String,
    body: String,
}

impl Whole {
    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// One who asks, checks every answer against the description, and keeps what was seen.
struct Reader {
    schemas: Schemas,
    seen: BTreeSet<String>,
}

async fn connected(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

fn request(method: &str, path: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n{fields}\r\n{body}")
}

fn whole(text: &str) -> Whole {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text}"));
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    Whole { code, head: head.to_owned(), body: body.to_owned() }
}

/// Asks, on a connection of its own.
async fn exchange(to: SocketAddr, line: &str, fields: &str, body: &str) -> Whole {
    let (method, path) = line.split_once(' ').unwrap();
    let mut stream =
        connected(to, &request(method, path, &format!("connection: close\r\n{fields}"), body)).await;
    let mut text = String::new();
    let read = tokio::time::timeout(LATE, stream.read_to_string(&mut text));
    let read = read.await.unwrap_or_else(|_| panic!("{line}: no answer in time"));
    read.unwrap_or_else(|error| panic!("{line}: {error}"));
    whole(&text)
}

/// The answer that a question gets later.
type Pending = tokio::task::JoinHandle<Whole>;

impl Reader {
    /// Asks, and returns the code and the JSON.
    async fn ask(&mut self, to: SocketAddr, line: &str, fields: &str, body: &str) -> (u16, Value) {
        let answer = exchange(to, line, fields, body).await;
        self.hear(line, &answer)
    }

    /// Takes an answer to a question of this line.
    fn hear(&mut self, line: &str, answer: &Whole) -> (u16, Value) {
        let (method, path) = line.split_once(' ').unwrap();
        self.judge(method, path, answer);
        (answer.code, serde_json::from_str(&answer.body).unwrap_or_default())
    }

    /// Fails if the description has no such answer.
    fn judge(&mut self, method: &str, path: &str, answer: &Whole) {
        let path = path.split('?').next().unwrap();
        let what = format!("{method} {path} {}", answer.code);
        assert_eq!(answer.field("cache-control"), Some("no-store"), "{what}");
        let operation = &self.schemas.0["paths"][path][method.to_lowercase()];
        let response = self.schemas.resolve(&operation["responses"][answer.code.to_string()]);
        let content = &response["content"][answer.field("content-type").unwrap()];
        assert!(content.is_object(), "{what} is not described:\n{}\n{}", answer.head, answer.body);
        for value in values(answer) {
            if let Err(why) = self.schemas.check(&content["schema"], &value) {
                panic!("{what}: {why}");
            }
        }
        self.seen.insert(what);
    }

    /// What is described and was not seen.
    fn unseen(&self) -> BTreeSet<String> {
        let mut described = BTreeSet::new();
        for (path, operations) in self.schemas.0["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let codes = operation["responses"].as_object().unwrap().keys();
                described.extend(codes.map(|code| format!("{} {path} {code}", method.to_uppercase())));
            }
        }
        described.difference(&self.seen).cloned().collect()
    }

    fn paths(&self, method: &str) -> Vec<String> {
        let paths = self.schemas.0["paths"].as_object().unwrap().iter();
        paths
            .filter(|(_, operations)| operations.get(method).is_some())
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// Everything that answers at once.
    async fn read_all(&mut self, to: SocketAddr, fields: &str) {
        for path in self.paths("get").into_iter().filter(|path| path != "/v1/watch") {
            self.ask(to, &format!("GET {path}"), fields, "").await;
        }
    }

    /// What happened at a node so far, and that a watcher is told it in the described form.
    async fn watch(&mut self, to: SocketAddr, least: usize) {
        let request = request("GET", "/v1/watch", "last-event-id: 0\r\n", "");
        let mut stream = connected(to, &request).await;
        let mut text = String::new();
        let reading = async {
            while text.matches("data: ").count() < least || !text.ends_with("\n\n\r\n") {
                let mut chunk = [0; 4096];
                let read = stream.read(&mut chunk).await.unwrap();
                text.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
            }
        };
        tokio::time::timeout(LATE, reading).await.expect("the events come");
        self.judge("GET", "/v1/watch", &whole(&text));
    }
}

/// The JSON values of a body: one, one a line, or one an event; a text is one.
fn values(answer: &Whole) -> Vec<Value> {
    let json = |text: &str| serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    match answer.field("content-type").unwrap() {
        "application/json" => vec![json(&answer.body)],
        "application/x-ndjson" => answer.body.lines().map(json).collect(),
        "text/event-stream" => {
            answer.body.lines().filter_map(|line| line.strip_prefix("data: ")).map(json).collect()
        }
        _ => vec![Value::String(answer.body.clone())],
    }
}

#[tokio::test]
async fn every_answer_of_real_nodes_is_as_the_description_says() {
    let mut cluster = Cluster::made(4, &["--observers", "1"]).await;
    cluster.start_node("node-1");
    let first = cluster.admin("node-1");
    until("the first node", async || cluster.answer("node-1", "/healthz").await).await;
    let own = std::fs::read_to_string("src/http/openapi.json").unwrap();
    assert_eq!(cluster.answer("node-1", "/openapi.json").await.unwrap(), own);
    let mut reader = Reader { schemas: Schemas(serde_json::from_str(&own).unwrap()), seen: BTreeSet::new() };
    reader.read_all(first, "").await;
    let (_, nobody) = reader.ask(first, "GET /v1/leader", "", "").await;
    assert_eq!(nobody["diagnosis"][0]["name"], "voters_missing", "{nobody}");
    let unproven = format!("GET /v1/proof?nonce={}", "ab".repeat(32));
    assert_eq!(reader.ask(first, &unproven, "", "").await.0, 503);
    for name in ["node-2", "node-3", "node-4"] {
        cluster.start_node(name);
    }
    let led = cluster.agreement(1).await;
    let follower = cluster.names().into_iter().find(|name| *name != led.leader).unwrap();
    for name in [&led.leader, &follower] {
        reader.read_all(cluster.admin(name), "").await;
        reader.watch(cluster.admin(name), 5).await;
    }
    for name in [&led.leader, &follower] {
        until("a lease that is proven", async || cluster.answer(name, "/v1/proof").await).await;
        reader.ask(cluster.admin(name), "GET /v1/proof", "", "").await;
    }
    refusals(&mut reader, first).await;
    orders(&mut reader, &cluster, &led.leader, &follower).await;
    drained_observer(&mut reader, &mut cluster).await;
    crowd(&mut reader, first).await;
    let mut others = cluster.names().into_iter().filter(|name| ![&led.leader, &follower].contains(&name));
    let witness = others.next_back().unwrap();
    broken_disk(&mut reader, &cluster, &witness, &follower).await;
    let log = silent_disk(&cluster, "node-1");
    exposed(&mut reader, &mut cluster).await;
    let resign = hopeless_resignation(&mut cluster).await;
    let (code, answer) = reader.hear("POST /v1/resign", &resign.await.unwrap());
    assert!(code == 504 && answer["error"].as_str().unwrap().contains("no successor has shown"), "{answer}");
    assert_eq!(reader.hear("GET /v1/log", &log.await.unwrap()).0, 503);
    let unseen: Vec<String> = reader.unseen().into_iter().collect();
    assert_eq!(unseen, UNSEEN, "described and never seen, or seen at last");
}

/// Requests that mean another address, another page, or nothing.
async fn refusals(reader: &mut Reader, to: SocketAddr) {
    let both = [("get", "GET"), ("post", "POST")];
    for (method, line) in both
        .into_iter()
        .flat_map(|(key, name)| {
            reader.paths(key).into_iter().map(move |path| (name, format!("{name} {path}")))
        })
        .collect::<Vec<_>>()
    {
        assert_eq!(reader.ask(to, &line, "host: evil.example\r\n", "").await.0, 421, "{line}");
        assert_eq!(reader.ask(to, &line, "origin: http://evil.example\r\n", "").await.0, 403, "{line}");
        if method == "POST" {
            assert_eq!(reader.ask(to, &line, "", "").await.0, 401, "{line}");
        }
    }
    for line in ["GET /v1/proof?nonce=12", "GET /v1/log?from=nowhere", "GET /v1/checks?term=none"] {
        assert_eq!(reader.ask(to, line, "", "").await.0, 400, "{line}");
    }
}

/// Orders that are carried out, and orders that cannot be.
async fn orders(reader: &mut Reader, cluster: &Cluster, leader: &str, follower: &str) {
    let (at_leader, at_follower) = (cluster.admin(leader), cluster.admin(follower));
    let (theirs, mine) = (token(cluster, leader), token(cluster, follower));
    let too_much = "x".repeat(5000);
    for line in ["POST /v1/resign", "POST /v1/drain"] {
        assert_eq!(reader.ask(at_leader, line, &theirs, &too_much).await.0, 413, "{line}");
        assert_eq!(reader.ask(at_leader, line, &theirs, "{\"other\": 1}").await.0, 400, "{line}");
    }
    assert_eq!(reader.ask(at_follower, "POST /v1/resign", &mine, "").await.0, 409);
    for draining in [true, false] {
        let order = json!({ "draining": draining });
        assert_eq!(reader.ask(at_follower, "POST /v1/drain", &mine, &order.to_string()).await, (200, order));
    }
    let order = json!({ "to": follower }).to_string();
    until("the hand-over", async || {
        let (code, done) = reader.ask(at_leader, "POST /v1/resign", &theirs, &order).await;
        (code == 200).then(|| assert_eq!(done["leader"]["name"], follower))
    })
    .await;
}

/// An order that an observer cannot carry out.
async fn drained_observer(reader: &mut Reader, cluster: &mut Cluster) {
    let observer = cluster.start_observer();
    until("the observer", async || Client::new(observer, LATE).get("/healthz").await.ok()).await;
    let (token, order) = (token_at(cluster, observer), json!({ "draining": true }).to_string());
    assert_eq!(reader.ask(observer, "POST /v1/drain", &token, &order).await.0, 409);
}

/// The field that presents the token which a node left for its user.
fn token(cluster: &Cluster, name: &str) -> String {
    token_at(cluster, cluster.admin(name))
}

fn token_at(cluster: &Cluster, admin: SocketAddr) -> String {
    let file = cluster.operator.path(&format!("nitro-elect/run/admin-{}.token", admin.port()));
    format!("authorization: Bearer {}\r\n", std::fs::read_to_string(file).unwrap())
}

/// More watchers than there are places.
async fn crowd(reader: &mut Reader, to: SocketAddr) {
    let mut watchers = Vec::new();
    for _ in 0..WATCHERS_MAX {
        let mut watcher = connected(to, &request("GET", "/v1/watch", "", "")).await;
        watcher.read_u8().await.unwrap();
        watchers.push(watcher);
    }
    assert_eq!(reader.ask(to, "GET /v1/watch", "", "").await.0, 503);
}

/// A node whose state directory is gone for a while: it cannot vote, and says so.
async fn broken_disk(reader: &mut Reader, cluster: &Cluster, node: &str, leader: &str) {
    let (at, state) = (cluster.admin(node), cluster.operator.path(&format!("cluster/{node}")));
    let away = cluster.operator.path("away");
    std::fs::rename(&state, &away).unwrap();
    reader.ask(cluster.admin(leader), "POST /v1/resign", &token(cluster, leader), "").await;
    until("a vote that cannot be written", async || {
        (reader.ask(at, "GET /readyz", "", "").await.0 == 503).then_some(())
    })
    .await;
    assert_eq!(reader.ask(at, "GET /v1/log", "", "").await.0, 500);
    std::fs::rename(&away, &state).unwrap();
    until("it is ready again", async || (reader.ask(at, "GET /readyz", "", "").await.0 == 200).then_some(()))
        .await;
}

/// A node whose disk gives nothing of its log, not even an error: a pipe that nobody writes to stands for it.
fn silent_disk(cluster: &Cluster, node: &str) -> Pending {
    let (at, log) = (cluster.admin(node), cluster.operator.path(&format!("cluster/{node}/certificates.log")));
    std::fs::rename(&log, cluster.operator.path("log")).unwrap();
    assert!(Command::new("mkfifo").arg(&log).status().unwrap().success());
    tokio::spawn(async move { exchange(at, "GET /v1/log", "", "").await })
}

/// A leader that is told to resign while no enclave could elect another.
async fn hopeless_resignation(cluster: &mut Cluster) -> Pending {
    let led = until("a leader", async || cluster.leader_by("node-1").await?.leader).await;
    cluster.operator.kill("enclave");
    let token = match led.name.as_str() {
        "node-4" => format!("authorization: Bearer {TOKEN}\r\n"),
        name => token(cluster, name),
    };
    let at = cluster.admin(&led.name);
    tokio::spawn(async move { exchange(at, "POST /v1/resign", &token, "").await })
}

/// Whether somebody answers: threads of a process that was killed may hold its port a little longer than it lives.
async fn answers(to: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(request("GET", "/healthz", "connection: close\r\n", "").as_bytes()).await?;
    stream.read_u8().await.map(drop)
}

/// A node that other machines reach: everything but the probes needs the token.
async fn exposed(reader: &mut Reader, cluster: &mut Cluster) {
    cluster.operator.kill("node-4");
    let (file, at) = (cluster.operator.path("token"), cluster.admin("node-4"));
    std::fs::write(&file, TOKEN).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (manifest, state) = (cluster.manifest(), cluster.operator.path("cluster/node-4"));
    let (enclave, admin) = (cluster.enclave.clone(), format!("0.0.0.0:{}", at.port()));
    let node = ["node", "--manifest", &manifest, "--state", &state, "--enclave", &enclave, "--admin", &admin];
    cluster.operator.start("exposed", &[&node[..], &["--token-file", &file]].concat());
    until("the exposed node", async || answers(at).await.ok()).await;
    for path in reader.paths("get") {
        let expected = if ["/healthz", "/readyz"].contains(&path.as_str()) { [200, 503] } else { [401, 401] };
        let (code, _) = reader.ask(at, &format!("GET {path}"), "", "").await;
        assert!(expected.contains(&code), "{path}: {code}");
    }
    reader.read_all(at, &format!("authorization: Bearer {TOKEN}\r\n")).await;
}
