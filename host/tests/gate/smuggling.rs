//! HTTP mode at the level of bytes: what could be two requests to two readers, or somebody else's word for the term, never
//! reaches the resource as such.

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::presenter::Scene;
use crate::service::{Service, before};

/// Sends these bytes to a gate that is open in term 7, then `GET /last` on the same connection, and reads until that one's
/// answer has come or the connection has ended. A connection that ends takes with it what was behind.
async fn answered(scene: &Scene, bytes: &str) -> String {
    let mut proving = scene.leader(0, 7).keep_proving();
    proving.opened().await;
    let mut stream = scene.leader(0, 7).data().await.unwrap();
    let _hung_up = stream.write_all(bytes.as_bytes()).await;
    let _hung_up = stream.write_all(b"GET /last HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await;
    let _hung_up = stream.flush().await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await;
    let _reset = read.unwrap_or_else(|_| panic!("the connection ends: {bytes:?}"));
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_be_read_in_two_ways_is_refused_and_never_forwarded() {
    let service = Service::start();
    let scene = before(&service).await;
    let body = "5\r\nhello\r\n0\r\n\r\n";
    let posted = |fields: &str, body: &str| format!("POST /bad HTTP/1.1\r\nHost: web\r\n{fields}\r\n{body}");
    let got = |target: &str, fields: &str| format!("GET {target} HTTP/1.1\r\n{fields}\r\n");
    for (bytes, code) in [
        (posted("Transfer-Encoding: chunked, identity\r\n", body), 400),
        (posted("Transfer-Encoding: xchunked\r\n", body), 400),
        (posted("Transfer-Encoding : chunked\r\n", body), 400),
        (posted("Transfer-Encoding: gzip, chunked\r\n", body), 501),
        (posted("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", body), 501),
        (posted("Content-Length: 5, 5\r\n", "hello"), 400),
        (posted("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"), 400),
        (posted("Content-Length: +5\r\n", "hello"), 400),
        (posted("X: a\r\n Nitro-Elect-Term: 8\r\n", ""), 400),
        (posted("X: a\rNitro-Elect-Term: 8\r\n", ""), 400),
        (posted("X: a\0b\r\n", ""), 400),
        (got("/bad", "Host: a\r\nHost: b\r\n"), 400),
        (got("/bad", ""), 400),
        (got("http://web@evil/bad", "Host: web\r\n"), 400),
        (got("evil", "Host: web\r\n"), 400),
        ("POST /bad HTTP/1.0\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned() + body, 400),
        ("CONNECT web:80 HTTP/1.1\r\nHost: web\r\n\r\n".into(), 501),
    ] {
        let answer = answered(&scene, &bytes).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{bytes:?}: {answer}");
        let arrived = service.taken();
        assert!(
            arrived.iter().all(|request| request.head.starts_with("GET /last ")),
            "{bytes:?}: {arrived:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_cannot_be_read_is_not_called_the_resources_fault() {
    let service = Service::start();
    let scene = before(&service).await;
    let chunked =
        "POST /bad HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nhi\r\n0\r\n\r\n";
    let answer = answered(&scene, chunked).await;
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("the request's body broke off"),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_term_in_any_spelling_that_becomes_the_same_variable_is_checked_and_taken_out() {
    let service = Service::start();
    let scene = before(&service).await;
    for name in ["Nitro_Elect_Term", "NITRO-ELECT_TERM", "nitro.elect.term", "nitro!elect~term"] {
        let request = |term| format!("GET /{term} HTTP/1.1\r\nHost: web\r\n{name}: {term}\r\n\r\n");
        let answer = answered(&scene, &(request(8) + &request(7))).await;
        assert!(answer.starts_with("HTTP/1.1 409 "), "{name}: {answer}");
        let arrived = service.taken();
        let [admitted, _last] = &arrived[..] else { panic!("{name}: {arrived:?}") };
        assert!(admitted.head.starts_with("GET /7 "), "{name}: {admitted:?}");
        assert_eq!(admitted.values("nitro-elect-term"), ["7"]);
        assert_eq!(admitted.head.matches("erm:").count(), 1, "{admitted:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_framed_anew_and_no_request_hides_in_one() {
    let service = Service::start();
    let scene = before(&service).await;
    let hidden = "GET /hidden HTTP/1.1\r\nHost: web\r\n\r\n";
    let (length, chunk) = (hidden.len(), format!("{:x};x=y\r\n{hidden}\r\n0\r\n", hidden.len()));
    let posted =
        |fields: &str, body: &str| format!("POST /first HTTP/1.1\r\nHost: web\r\n{fields}\r\n{body}");
    let chunked = "Transfer-Encoding: chunked\r\n";
    for bytes in [
        posted(&format!("Content-Length: {length}\r\n"), hidden),
        posted(&format!("Content-Length: {length}\r\nContent-Length: {length}\r\n"), hidden),
        posted(&format!("Content-Length: {length}\r\nConnection: content-length, host\r\n"), hidden),
        posted(&format!("Content-Length: {length}\r\nNitro-Elect-Term: 6\r\n"), hidden),
        posted(chunked, &format!("{chunk}\r\n")),
        posted(&format!("Content-Length: 3\r\n{chunked}"), &format!("{chunk}\r\n")),
        posted(&format!("{chunked}Content-Length: 3\r\n"), &format!("{chunk}\r\n")),
        posted(
            &format!("{chunked}Trailer: Nitro-Elect-Term\r\n"),
            &format!("{chunk}Nitro-Elect-Term: 8\r\n\r\n"),
        ),
    ] {
        answered(&scene, &bytes).await;
        let arrived = service.taken();
        assert!(arrived.iter().all(|request| !request.head.contains("/hidden")), "{bytes:?}: {arrived:?}");
        for request in arrived.iter().filter(|request| request.head.contains("/first")) {
            assert!(request.body.contains(hidden), "the whole body: {request:?}");
            assert_eq!((request.values("host"), request.values("nitro-elect-term")), one("web", "7"));
            let framed = [request.values("content-length"), request.values("transfer-encoding")].concat();
            assert_eq!(framed.len(), 1, "one framing: {request:?}");
            assert!(!request.body.contains("Nitro-Elect-Term"), "no trailers: {request:?}");
        }
    }
}

fn one(host: &str, term: &str) -> (Vec<String>, Vec<String>) {
    (vec![host.into()], vec![term.into()])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_reaches_the_host_that_its_target_names_by_http_1_1() {
    let service = Service::start();
    let scene = before(&service).await;
    for (head, host) in [
        ("GET http://other:81/path?q HTTP/1.1\r\nHost: web\r\n\r\n", "other:81"),
        ("GET /path?q HTTP/1.0\r\nHost: web\r\nConnection: keep-alive\r\n\r\n", "web"),
        ("GET /path?q HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", ""),
        ("GET /path?q HTTP/1.1\r\nHost: web\r\nConnection: host\r\n\r\n", "web"),
        ("GET /path?q HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "web"),
    ] {
        answered(&scene, head).await;
        let first = &service.taken()[0];
        assert!(first.head.starts_with("GET /path?q HTTP/1.1\r\n"), "{head:?}: {first:?}");
        assert_eq!((first.values("host"), first.values("nitro-elect-term")), one(host, "7"), "{head:?}");
        assert_eq!([first.values("connection"), first.values("upgrade")].concat().len(), 0, "{first:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_cannot_turn_a_connection_into_a_tunnel() {
    let service =
        Service::answering("HTTP/1.1 101 Switching Protocols\r\nUpgrade: raw\r\nConnection: upgrade\r\n");
    let asked = "GET /first HTTP/1.1\r\nHost: web\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n";
    let answer = answered(&before(&service).await, asked).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("is not known"), "{answer}");
}
