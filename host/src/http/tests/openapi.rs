//! openapi.json against the router, both ways, and against a node that is held up.

use super::*;
use nitro_elect_protocol::certificate::{Certificate, Reason, SignedCertificate};
use nitro_elect_protocol::codec;
use nitro_elect_protocol::ids::EnclaveId;
use nitro_elect_protocol::proof::Bundle;
use std::collections::BTreeSet;
use std::path::Path;

const OPENAPI: &str = include_str!("../openapi.json");
/// The page that explains the routes to people.
const HTTP: &str = include_str!("../../../../docs/HTTP.md");

/// Described operations as `METHOD /path`, and the codes of each.
fn described() -> Vec<(String, BTreeSet<u16>)> {
    let api: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut all = Vec::new();
    for (path, operations) in api["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let codes = operation["responses"].as_object().unwrap().keys();
            let codes = codes.map(|code| code.parse().unwrap()).collect();
            all.push((format!("{} {path}", method.to_uppercase()), codes));
        }
    }
    all
}

/// `.route("/path", get(...))` of every file that makes routes of a node.
fn routed(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            routed(&path, found);
        }
        if path.extension().is_none_or(|extension| extension != "rs") || path.ends_with("tests.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for route in text.split(".route(\"").skip(1) {
            let (path, handler) = route.split_once("\", ").unwrap();
            let method = handler.split('(').next().unwrap().trim_start_matches("routing::").to_uppercase();
            assert!(["GET", "POST"].contains(&method.as_str()), "{path}: {method}");
            found.insert(format!("{method} {path}"));
        }
    }
}

#[test]
fn every_route_is_described_and_no_other() {
    let mut routes = BTreeSet::new();
    routed(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http"), &mut routes);
    let described: BTreeSet<String> = described().into_iter().map(|(operation, _)| operation).collect();
    assert_eq!(routes, described);
    let told = HTTP.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let told = told.filter(|word| word.starts_with("GET ") || word.starts_with("POST ")).map(str::to_owned);
    assert_eq!(routes, told.collect());
    assert!(routes.len() > 14, "{routes:?}");
}

/// A certificate that is kept to be looked at, and proves nothing.
fn unsigned() -> Bundle {
    let electorate = fresh_status().electorate;
    let leader = electorate.voters[0].key;
    let certificate = Certificate {
        version: VERSION,
        cluster: electorate.cluster,
        electorate: electorate.digest(),
        enclave: EnclaveId([1; 32]),
        term: Term(7),
        coordinator: leader,
        coordinator_generation: Generation(1),
        leader,
        leader_generation: Generation(1),
        active: vec![leader],
        candidates: vec![leader],
        signers: vec![leader],
        skipped: vec![],
        reason: Reason::Incumbent,
        previous: None,
        not_after: clock::wall(),
    };
    let certificate = SignedCertificate { bytes: codec::encode(&certificate), signature: vec![] };
    Bundle { certificate, document: vec![], promises: vec![] }
}

#[tokio::test]
async fn a_node_that_is_held_up_answers_as_is_described() {
    let with = Access { token: Some(token()), ..Access::default() };
    let node = served_to(None, Bounds { watchers: 0, ..Bounds::default() }, with).await;
    node.shared.recent.keep(&unsigned(), &fresh_status().electorate);
    // The log is read from the disk, and does not ask the node.
    let described = described().into_iter().filter(|(operation, _)| operation != "GET /v1/log");
    let mut asking = tokio::task::JoinSet::new();
    for (operation, codes) in described {
        asking.spawn(async move {
            let body = if operation == "POST /v1/drain" { "{\"draining\":true}" } else { "" };
            let head =
                format!("{PRESENTED}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            let answer = raw(node.address, &format!("{operation} HTTP/1.1\r\n{head}")).await;
            let code: u16 = answer.split(' ').nth(1).unwrap().parse().unwrap();
            assert_eq!(code, if codes.contains(&503) { 503 } else { 200 }, "{operation}: {answer}");
            assert!(answer.ends_with('\n'), "a shell's prompt would come behind it: {operation}: {answer}");
            let body: Value =
                serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or_default();
            assert_eq!(body["error"].is_string(), code == 503, "{operation}: {answer}");
        });
    }
    asking.join_all().await;
}
