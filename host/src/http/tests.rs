//! The admin address over real connections, before a node whose answers the test gives.

mod access;
mod metrics;
mod openapi;
mod page;

use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::crypto::{NodeKey, Ring, Signer};
use nitro_elect_protocol::electorate::{Electorate, VERSION, Voter};
use nitro_elect_protocol::ids::{ClusterId, Generation, NodeId, Term};
use nitro_elect_protocol::policy::{Policy, Rule};
use nitro_elect_protocol::trust::{Root, Trust};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use super::guard::Access;
use super::listener::{Bounds, serve};
use super::token::Token;
use crate::clock;
use crate::core::Core;
use crate::core::config::{Config, FANOUT_DEFAULT, Membership, Observers};
use crate::core::durable::Record;
use crate::core::known::Basis;
use crate::core::status::{LeaderStatus, Status};
use crate::node::happening::What;
use crate::node::names::Named;
use crate::node::outlets::Happenings;
use crate::node::{Handle, Question, Shared};

const LATE: Duration = Duration::from_secs(20);

/// What a node with this key knows before its first election.
fn fresh_status() -> Status {
    let key = NodeKey::from_seed([1; 32]);
    let node = key.id();
    let voter = Voter { key: node, name: "alpha".into(), address: "127.0.0.1:5000".into(), weight: 1 };
    let electorate = Electorate {
        version: VERSION,
        cluster: ClusterId([1; 16]),
        name: "test".into(),
        epoch: 1,
        previous: None,
        f: 0,
        policy: Policy::of(Rule::Priority),
        lease_ms: 1000,
        trust: Trust { root: Root::Aws, accepted: vec![], allow_debug: false, max_age_ms: 1 },
        voters: vec![voter],
    };
    let config = Config {
        name: "alpha".into(),
        address: "127.0.0.1:5000".into(),
        membership: Membership::Manifest { electorate: Box::new(electorate), observers: Observers::Off },
        enclaves: 1,
        fanout: FANOUT_DEFAULT,
        record: Record { node, cluster: None, generation: Generation(1), support: None, forgot_votes: false },
        predecessor: None,
        newest: None,
        evidence: Vec::new(),
        seed: [0; 32],
    };
    Core::new(config, Box::new(key), Arc::new(Ring), clock::now()).status(clock::now())
}

/// What it knows while `leader` leads, until so long from now.
fn led_status(leader: NodeId, left: Duration) -> Status {
    let mut status = fresh_status();
    status.term = Term(7);
    status.leader = Some(LeaderStatus {
        id: leader,
        name: "beta".into(),
        address: "127.0.0.1:5001".into(),
        term: Term(7),
        lease_left: left,
        until: clock::boot() + left,
        basis: Basis::Promised,
        as_of: clock::boot(),
        assurance: Assurance::Simulated,
    });
    if leader == status.id {
        status.held = Some((Term(7), clock::boot() + left));
    }
    status
}

struct Served {
    address: SocketAddr,
    happenings: Happenings,
    shared: Arc<Shared>,
    _node: watch::Sender<Option<crate::node::leadership::Held>>,
}

/// Serves a node that answers with `status`, or not at all.
async fn served(status: Option<Status>, bounds: Bounds) -> Served {
    served_to(status, bounds, Access::default()).await
}

/// The same for those who may ask.
async fn served_to(status: Option<Status>, bounds: Bounds, access: Access) -> Served {
    let (asking, mut questions) = mpsc::channel(8);
    let happenings = Happenings::new();
    let (node, held) = watch::channel(None);
    let shared = Arc::new(Shared::default());
    let handle = Handle::new(asking, happenings.clone(), held, watch::channel(false).1, shared.clone());
    tokio::spawn(async move {
        let mut unanswered = Vec::new();
        while let Some(question) = questions.recv().await {
            match (question, &status) {
                (Question::Status(asker), Some(status)) => drop(asker.send(status.clone())),
                (question, _) => unanswered.push(question),
            }
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, access, handle, bounds));
    Served { address, happenings, shared, _node: node }
}

/// Sends raw bytes and reads to the end of the connection.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _may_be_refused = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _may_be_reset = tokio::time::timeout(LATE, read).await.expect("the connection ends in time");
    String::from_utf8(answer).unwrap()
}

async fn get(address: SocketAddr, path: &str) -> (u16, Value) {
    let answer =
        raw(address, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await;
    let code = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (code, serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn before_the_first_election_nobody_leads() {
    let node = served(Some(fresh_status()), Bounds::default()).await;
    let (code, answer) = get(node.address, "/v1/leader").await;
    let nobody = json!({
        "leader": null, "term": 0, "lease_ms": 0, "as_of": null, "self": false, "assurance": null, "proof": null,
        "diagnosis": answer["diagnosis"],
    });
    assert_eq!((code, &answer), (200, &nobody));
    assert_eq!(answer["diagnosis"][0]["name"], "enclave_unreachable", "{answer}");
    assert_eq!(get(node.address, "/v1/certificate").await.0, 404);
    assert_eq!(get(node.address, "/v1/proof").await.0, 404);
    let (code, evidence) = get(node.address, "/v1/evidence").await;
    assert_eq!((code, &evidence["evidence"]), (200, &json!([])));
}

#[tokio::test]
async fn a_nonce_that_is_none_is_refused_and_one_that_nobody_answers_is_told_so_in_time() {
    let node = served(Some(fresh_status()), Bounds::default()).await;
    for query in ["", "nonce", "nonce=", "nonce=12", "other=1"] {
        assert_eq!(get(node.address, &format!("/v1/proof?{query}")).await.0, 400, "{query}");
    }
    let (code, answer) = get(node.address, &format!("/v1/proof?nonce={}", "ab".repeat(32))).await;
    assert!(code == 503 && answer["error"].as_str().unwrap().contains("no leader answered"), "{answer}");
}

#[tokio::test]
async fn a_leader_is_named_with_what_is_left_of_its_lease() {
    let beta = NodeId([2; 32]);
    let node = served(Some(led_status(beta, Duration::from_secs(60))), Bounds::default()).await;
    let leader = json!({ "name": "beta", "address": "127.0.0.1:5001", "key": beta.to_string() });
    let (code, answer) = get(node.address, "/v1/leader").await;
    let left = answer["lease_ms"].as_u64().unwrap();
    assert!(left > 0 && left <= 60_000, "what is left when it answers, not when it was asked: {left}");
    let ago = answer["as_of"]["ms_ago"].as_u64().unwrap();
    assert!((59_998..=60_000).contains(&(ago + left)), "the lease runs from `as_of`: {ago} and {left}");
    let expected = json!({
        "leader": leader, "term": 7, "lease_ms": left, "as_of": { "basis": "promised", "ms_ago": ago },
        "self": false, "assurance": "simulated", "proof": null, "diagnosis": [],
    });
    assert_eq!((code, answer), (200, expected));
}

#[tokio::test]
async fn self_is_true_only_while_the_lease_is_held() {
    let alpha = fresh_status().id;
    let holding = served(Some(led_status(alpha, LATE)), Bounds::default()).await;
    assert_eq!(get(holding.address, "/v1/leader").await.1["self"], true);
    let mut ended = led_status(alpha, LATE);
    ended.held = Some((Term(7), clock::boot()));
    let ended = served(Some(ended), Bounds::default()).await;
    assert_eq!(get(ended.address, "/v1/leader").await.1["self"], false);
    let over = served(Some(led_status(alpha, Duration::ZERO)), Bounds::default()).await;
    let answer = get(over.address, "/v1/leader").await.1;
    assert_eq!((&answer["self"], &answer["leader"]), (&json!(false), &Value::Null));
}

#[tokio::test]
async fn a_node_that_is_held_up_vouches_for_nobody() {
    let node = served(None, Bounds::default()).await;
    node.shared.highest_term.store(9, Ordering::Relaxed);
    let ask = |path: &'static str| tokio::spawn(get(node.address, path));
    let leader = ask("/v1/leader");
    let others = ["/v1/members", "/v1/status", "/healthz", "/readyz"].map(|path| (path, ask(path)));
    let (code, unknown) = leader.await.unwrap();
    assert_eq!((code, &unknown["leader"], &unknown["term"]), (200, &Value::Null, &json!(9)));
    assert_eq!(unknown["diagnosis"][0]["name"], "node_held_up", "{unknown}");
    for (path, answer) in others {
        let (code, answer) = answer.await.unwrap();
        assert_eq!(code, 503, "{path}");
        assert!(answer["error"].as_str().unwrap().contains("did not answer"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn members_and_status_say_who_is_there() {
    let node = served(Some(fresh_status()), Bounds::default()).await;
    let member = &get(node.address, "/v1/members").await.1["members"][0];
    for (field, value) in
        [("name", json!("alpha")), ("address", json!("127.0.0.1:5000")), ("active", json!(true))]
    {
        assert_eq!(member[field], value);
    }
    assert_eq!(member["key"].as_str().unwrap().len(), 64);
    let (code, status) = get(node.address, "/v1/status").await;
    assert_eq!((code, &status["cluster"]["n"], &status["node"]["name"]), (200, &json!(1), &json!("alpha")));
    assert!(status["counters"]["records_failed"].is_u64());
}

#[tokio::test]
async fn readiness_says_why_not() {
    let ready = served(Some(fresh_status()), Bounds::default()).await;
    let (code, answer) = get(ready.address, "/readyz").await;
    assert_eq!((code, &answer["ready"]), (200, &json!(true)));
    assert_eq!(
        answer["diagnosis"][0]["name"], "enclave_unreachable",
        "ready to vote, and nobody leads: {answer}"
    );
    let mut status = fresh_status();
    status.ready = Err("holding a promise".into());
    let unready = served(Some(status), Bounds::default()).await;
    let (code, answer) = get(unready.address, "/readyz").await;
    assert_eq!(code, 503);
    assert!(answer["error"].as_str().unwrap().contains("holding a promise"));
    assert_eq!(get(unready.address, "/healthz").await.0, 200);
}

#[tokio::test]
async fn a_page_under_another_name_reads_nothing() {
    let node = served(Some(fresh_status()), Bounds::default()).await;
    let answer =
        raw(node.address, "GET /v1/leader HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    assert!(!answer.contains("lease_ms"));
}

#[tokio::test]
async fn other_paths_and_methods_get_json_errors() {
    let with = Access { token: Some(token()), ..Access::default() };
    let node = served_to(Some(fresh_status()), Bounds::default(), with).await;
    let (code, answer) = get(node.address, "/v2/leader").await;
    assert_eq!((code, answer["error"].as_str().unwrap().contains("/v2/leader")), (404, true));
    let delete = format!("DELETE /v1/leader HTTP/1.1\r\n{PRESENTED}connection: close\r\n\r\n");
    let answer = raw(node.address, &delete).await;
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("{\"error\""), "{answer}");
    let get = format!("GET /v1/drain HTTP/1.1\r\n{NONE}connection: close\r\n\r\n");
    let answer = raw(node.address, &get).await;
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("\r\nallow: POST\r\n"), "{answer}");
    assert!(!answer.contains("GET"), "it answers no GET: {answer}");
}

#[tokio::test]
async fn answers_are_of_a_moment() {
    let node = served(Some(fresh_status()), Bounds::default()).await;
    let answer =
        raw(node.address, "GET /v1/leader HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(answer.contains("cache-control: no-store") && answer.contains("x-content-type-options: nosniff"));
}

#[tokio::test]
async fn a_head_that_is_not_finished_in_time_ends_the_connection() {
    let bounds = Bounds { head_deadline: Duration::from_millis(50), ..Bounds::default() };
    let node = served(Some(fresh_status()), bounds).await;
    for half in ["", "GET /v1/leader HTTP/1.1\r\nho"] {
        let answer = raw(node.address, half).await;
        assert!(!answer.contains("lease_ms"), "{answer}");
    }
}

#[tokio::test]
async fn garbage_and_endless_heads_are_refused() {
    let node = served(Some(fresh_status()), Bounds::default()).await;
    let endless = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(64 << 10));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200));
    for garbage in ["\u{16}\u{3}\u{1}\r\n\r\n", &endless, &many] {
        let answer = raw(node.address, garbage).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(get(node.address, "/healthz").await.0, 200);
}

#[tokio::test]
async fn a_probe_is_answered_though_idle_connections_hold_every_place() {
    let bounds = Bounds { connections: 2, head_deadline: 9 * LATE, ..Bounds::default() };
    let node = served(Some(fresh_status()), bounds).await;
    let mut idle = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(node.address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        stream.read_u8().await.unwrap();
        idle.spawn(async move { stream.read_to_end(&mut Vec::new()).await.map(drop) });
    }
    assert_eq!(get(node.address, "/healthz").await.0, 200);
    let pushed_out = tokio::time::timeout(LATE, idle.join_next()).await;
    pushed_out.expect("one of them had to go").unwrap().unwrap().unwrap();
    assert_eq!(idle.len(), 1);
}

/// Reads from a stream of events until `text` has come.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut all = String::new();
    let reading = async {
        while !all.contains(text) {
            let mut chunk = [0; 4096];
            let read = stream.read(&mut chunk).await.unwrap();
            assert!(read > 0, "the stream ended after {all}");
            all.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
        }
    };
    tokio::time::timeout(LATE, reading).await.expect("the events come");
    all
}

async fn watch_from(address: SocketAddr, fields: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /v1/watch HTTP/1.1\r\nhost: localhost\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

fn active(name: &str) -> What {
    What::Active { node: Named { name: name.into(), key: "ab".into() } }
}

#[tokio::test]
async fn a_watcher_hears_what_happens_and_takes_up_where_it_left() {
    let node = served(Some(fresh_status()), Bounds::default()).await;
    let mut stream = watch_from(node.address, "").await;
    read_until(&mut stream, ": nitro-elect\n\n").await;
    node.happenings.add(active("beta"));
    let heard = read_until(&mut stream, "\n\n").await;
    assert!(heard.contains("id: 1\nevent: active\ndata: {\"seq\":1,"), "{heard}");
    assert!(heard.contains("\"text\":\"beta is active\""), "{heard}");
    drop(stream);
    node.happenings.add(active("gamma"));
    let mut stream = watch_from(node.address, "last-event-id: 1\r\n").await;
    let heard = read_until(&mut stream, "gamma is active").await;
    assert!(!heard.contains("beta"), "{heard}");
}

#[tokio::test]
async fn watchers_have_places_of_their_own() {
    let bounds = Bounds { watchers: 1, ..Bounds::default() };
    let node = served(Some(fresh_status()), bounds).await;
    let mut stream = watch_from(node.address, "").await;
    read_until(&mut stream, ": nitro-elect\n\n").await;
    assert_eq!(get(node.address, "/v1/watch").await.0, 503);
    assert_eq!(get(node.address, "/healthz").await.0, 200);
}

/// What a request with these lines in its head is answered.
async fn asked(address: SocketAddr, line: &str, head: &str) -> u16 {
    let answer = raw(address, &format!("{line} HTTP/1.1\r\n{head}connection: close\r\n\r\n")).await;
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn token() -> Token {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "0123456789abcdef").unwrap();
    Token::read(file.path()).unwrap()
}

const PRESENTED: &str = "host: localhost\r\nauthorization: Bearer 0123456789abcdef\r\n";
const ANOTHER: &str = "host: localhost\r\nauthorization: Bearer 0123456789abcdeg\r\n";
const NONE: &str = "host: localhost\r\n";
