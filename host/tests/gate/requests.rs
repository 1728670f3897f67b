//! HTTP mode: requests with their term, and the reason where none passes.

use hyper::StatusCode;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::presenter::{Connection, Presenter, Scene, said, until};
use nitro_elect::gate::wire::{FromGate, Purpose, ToGate, send};

/// A web service that keeps the heads of the requests it gets, and answers each with its body.
#[derive(Clone)]
struct Service {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Service {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let service = Service { address: listener.local_addr().unwrap(), heads: Arc::default() };
        let serving = service.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = serving.clone();
                thread::spawn(move || while serving.answer(stream.as_ref().unwrap()).is_some() {});
            }
        });
        service
    }

    fn answer(&self, mut stream: &TcpStream) -> Option<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).ok()?;
        self.heads.lock().unwrap().push(head);
        write!(stream, "HTTP/1.1 200 OK\r\nnitro-elect-term: 99\r\ncontent-length: {}\r\n\r\n", body.len())
            .ok()?;
        stream.write_all(&body).ok()
    }

    fn last(&self) -> String {
        self.heads.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

async fn set() -> (Scene, Service) {
    let service = Service::start();
    let address = service.address;
    let scene = Scene::with(|config| {
        (config.is_http, config.upstream) = (true, address.to_string().parse().unwrap());
    })
    .await;
    (scene, service)
}

/// Sends a request with these fields; code and whole answer.
async fn ask(stream: &mut Connection, fields: &str, body: &str) -> (StatusCode, String) {
    let length = body.len();
    let head =
        format!("POST /path?query HTTP/1.1\r\nHost: web\r\n{fields}content-length: {length}\r\n\r\n{body}");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = Vec::new();
    let (head, length) = loop {
        answer.push(stream.read_u8().await.unwrap());
        if answer.ends_with(b"\r\n\r\n") {
            let head = String::from_utf8(answer).unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            break (head, length.unwrap());
        }
    };
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    (code, head + &String::from_utf8(body).unwrap())
}

/// A connection of somebody who does not lead: in this mode it is opened, to be told why.
async fn without_a_proof(presenter: &Presenter) -> Connection {
    let mut stream = presenter.hello(Purpose::Data).await;
    if let FromGate::Nonce(_) = said(&mut stream).await {
        send(&mut stream, &ToGate::NoProof).await.unwrap();
        assert!(matches!(said(&mut stream).await, FromGate::Open { .. }));
    }
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_carry_the_gates_term_and_no_one_elses() {
    let (scene, service) = set().await;
    let mut proving = scene.leader(0, 7).keep_proving();
    proving.opened().await;
    let mut stream = scene.leader(0, 7).data().await.unwrap();
    let fields = "Connection: keep-alive, x-secret\r\nx-secret: 1\r\nx-kept: 2\r\n";
    for body in ["first", ""] {
        let (code, answer) = ask(&mut stream, fields, body).await;
        assert!(code == 200 && answer.ends_with(body), "{answer}");
        assert!(answer.contains("nitro-elect-term: 7\r\n") && !answer.contains("99"), "{answer}");
        let head = service.last();
        assert!(
            head.starts_with("post /path?query http/1.1\r\n") && head.contains("host: web\r\n"),
            "{head}"
        );
        assert!(head.contains("nitro-elect-term: 7\r\n") && head.contains("x-kept: 2"), "{head}");
        assert!(!head.contains("x-secret"), "what is of one connection stays there: {head}");
    }
    let (code, _) = ask(&mut stream, "Nitro-Elect-Term: 7\r\n", "").await;
    assert_eq!((code, service.last().matches("nitro-elect-term").count()), (StatusCode::OK, 1));
    assert_eq!(scene.gate.counters().requests.get(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_another_term_is_refused() {
    let (scene, service) = set().await;
    let mut stream = scene.leader(0, 7).data().await.unwrap();
    for fields in [
        "Nitro-Elect-Term: 6\r\n",
        "Nitro-Elect-Term: 7\r\nNitro-Elect-Term: 8\r\n",
        "nitro-elect-term: x\r\n",
    ] {
        let (code, answer) = ask(&mut stream, fields, "").await;
        assert!(code == StatusCode::CONFLICT && answer.contains("this is term 7"), "{answer}");
    }
    assert_eq!(service.last(), "", "none of them got through");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_gate_answers_503_with_its_reason_and_opens_again() {
    let (scene, service) = set().await;
    let leader = scene.leader(0, 7);
    let mut stream = without_a_proof(&leader).await;
    let (code, answer) = ask(&mut stream, "", "").await;
    assert!(code == 503 && answer.contains("no leader has shown a proof yet"), "{answer}");
    assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
    let mut other = without_a_proof(&scene.leader(1, 7)).await;
    let mut proving = leader.keep_proving();
    proving.opened().await;
    assert_eq!(ask(&mut stream, "", "now").await.0, 200);
    let (code, answer) = ask(&mut other, "", "").await;
    assert!(code == 503 && answer.contains("another node leads in term 7"), "{answer}");
    drop(proving);
    until("the end of the proof", || scene.gate.situation().closed.is_some()).await;
    let (code, answer) = ask(&mut stream, "", "late").await;
    assert!(code == 503 && answer.contains("no newer one came"), "{answer}");
    let mut next = scene.leader(1, 8).keep_proving();
    next.opened().await;
    assert_eq!(ask(&mut other, "", "next").await.0, 200, "what the old term had is over");
    assert_eq!(service.heads.lock().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_away_is_502_and_a_head_without_end_is_cut_off() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let scene = Scene::with(|config| {
        (config.is_http, config.upstream) = (true, gone.to_string().parse().unwrap());
    })
    .await;
    let mut stream = scene.leader(0, 7).data().await.unwrap();
    let (code, answer) = ask(&mut stream, "", "").await;
    assert!(code == 502 && answer.contains("the resource is away"), "{answer}");
    let endless = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(128 << 10));
    let _cut = stream.write_all(endless.as_bytes()).await;
    let mut answer = String::new();
    let _cut = stream.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_on_its_way_when_the_term_ended_is_not_called_unforwarded() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let scene = Scene::with(|config| {
        (config.is_http, config.upstream) = (true, address.to_string().parse().unwrap());
    })
    .await;
    let mut stream = scene.leader(0, 7).data().await.unwrap();
    let (code, answer) = ask(&mut stream, "", "to be done once").await;
    assert!(code == StatusCode::GATEWAY_TIMEOUT && answer.contains("is not known"), "{answer}");
}
