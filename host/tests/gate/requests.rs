//! HTTP mode: requests with their term, and the reason where none passes.

use hyper::StatusCode;
use std::net::TcpListener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::presenter::{Connection, Presenter, Scene, said, until};
use crate::service::{Service, before};
use nitro_elect::gate::wire::{FromGate, Purpose, ToGate, send};

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
    let service = Service::start();
    let scene = before(&service).await;
    let mut proving = scene.leader(0, 7).keep_proving();
    proving.opened().await;
    let mut stream = scene.leader(0, 7).data().await.unwrap();
    let fields = "Connection: keep-alive, x-secret\r\nx-secret: 1\r\nx-kept: 2\r\n";
    for body in ["first", ""] {
        let (code, answer) = ask(&mut stream, fields, body).await;
        assert!(code == 200 && answer.ends_with(body), "{answer}");
        assert!(answer.contains("nitro-elect-term: 7\r\n") && !answer.contains("99"), "{answer}");
        let arrived = service.last();
        assert!(arrived.head.starts_with("POST /path?query HTTP/1.1\r\n"), "{arrived:?}");
        for (name, value) in [("host", "web"), ("nitro-elect-term", "7"), ("x-kept", "2")] {
            assert_eq!(arrived.values(name), [value], "{arrived:?}");
        }
        assert!(!arrived.head.contains("x-secret"), "what is of one connection stays there: {arrived:?}");
    }
    let (code, _) = ask(&mut stream, "Nitro-Elect-Term: 7\r\n", "").await;
    assert_eq!((code, service.last().values("nitro-elect-term")), (StatusCode::OK, vec!["7".to_owned()]));
    assert_eq!(scene.gate.counters().requests.get(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_another_term_is_refused() {
    let service = Service::start();
    let scene = before(&service).await;
    let mut stream = scene.leader(0, 7).data().await.unwrap();
    for fields in [
        "Nitro-Elect-Term: 6\r\n",
        "Nitro-Elect-Term: 7\r\nNitro-Elect-Term: 8\r\n",
        "nitro-elect-term: x\r\n",
    ] {
        let (code, answer) = ask(&mut stream, fields, "").await;
        assert!(code == StatusCode::CONFLICT && answer.contains("this is term 7"), "{answer}");
    }
    assert_eq!(service.arrived().len(), 0, "none of them got through");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_gate_answers_503_with_its_reason_and_opens_again() {
    let service = Service::start();
    let scene = before(&service).await;
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
    assert_eq!(service.arrived().len(), 2);
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
