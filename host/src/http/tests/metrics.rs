//! What `/metrics` tells, and that docs/METRICS.md and the alert rules speak of the same names.

use super::*;
use std::collections::BTreeSet;

const METRICS: &str = include_str!("../../../../docs/METRICS.md");
const ALERTS: &str = include_str!("../../../../deploy/prometheus/alerts.yml");

async fn metrics(address: SocketAddr) -> String {
    let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = raw(address, request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("content-type: text/plain; version=0.0.4"));
    body.to_owned()
}

fn names(text: &str) -> BTreeSet<&str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

#[track_caller]
fn has(text: &str, sample: &str) {
    assert!(text.lines().any(|line| line == sample), "{sample} is missing in:\n{text}");
}

#[tokio::test]
async fn the_page_explains_every_metric_and_no_other() {
    let node = served(Some(fresh_status()), Bounds::default()).await;
    let text = metrics(node.address).await;
    let explained = METRICS.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next());
    assert_eq!(names(&text), explained.collect());
}

#[tokio::test]
async fn the_alert_rules_watch_metrics_that_there_are() {
    let node = served(Some(fresh_status()), Bounds::default()).await;
    let text = metrics(node.address).await;
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = ALERTS.split(|c| !is_part(c)).filter(|word| word.starts_with("nitro_elect_node_"));
    let watched: BTreeSet<&str> = words.collect();
    assert!(watched.len() > 9, "{watched:?}");
    let there = names(&text);
    assert_eq!(watched.difference(&there).collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[tokio::test]
async fn who_leads_and_why_nobody_does_are_told_as_numbers() {
    let node = served(Some(fresh_status()), Bounds::default()).await;
    let text = metrics(node.address).await;
    has(&text, "nitro_elect_node_leader_known 0");
    has(&text, "nitro_elect_node_no_leader{cause=\"enclave_unreachable\"} 1");
    has(&text, "nitro_elect_node_no_leader{cause=\"voters_missing\"} 0");
    has(&text, "nitro_elect_node_info{node=\"alpha\",cluster=\"test\",role=\"voter\"} 1");
    let led = served(Some(led_status(fresh_status().id, LATE)), Bounds::default()).await;
    let text = metrics(led.address).await;
    for sample in ["leader_known 1", "is_leader 1", "term 7", "no_leader{cause=\"enclave_unreachable\"} 0"] {
        has(&text, &format!("nitro_elect_node_{sample}"));
    }
    let left = text.lines().find_map(|line| line.strip_prefix("nitro_elect_node_lease_remaining_seconds "));
    let left: f64 = left.unwrap().parse().unwrap();
    assert!(left > 0.0 && left < LATE.as_secs_f64(), "{left}");
}

#[tokio::test]
async fn a_node_that_is_held_up_says_so_and_what_was_counted() {
    let node = served(None, Bounds::default()).await;
    node.shared.counters.records_failed.up();
    let text = metrics(node.address).await;
    has(&text, "nitro_elect_node_answers 0");
    has(&text, "nitro_elect_node_records_total{outcome=\"failed\"} 1");
    assert!(!text.contains("nitro_elect_node_leader_known"), "it vouches for nobody: {text}");
}

#[tokio::test]
async fn refused_requests_and_connections_are_counted() {
    let bounds = Bounds { head_deadline: Duration::from_millis(50), watchers: 0, ..Bounds::default() };
    let with = Access { token: Some(token()), ..Access::default() };
    let node = served_to(Some(fresh_status()), bounds, with).await;
    let address = node.address;
    for (line, head) in [
        ("GET /v1/proof?nonce=1", NONE),
        ("POST /v1/drain", NONE),
        ("GET /nowhere", NONE),
        ("POST /v1/resign", PRESENTED),
        ("GET /v1/leader", "host: evil.example\r\n"),
        ("GET /v1/watch", NONE),
    ] {
        asked(address, line, head).await;
    }
    raw(address, "GET / HT").await;
    let text = metrics(address).await;
    let outcomes =
        ["not_understood", "not_allowed", "not_found", "not_possible", "misdirected", "unavailable"];
    for outcome in outcomes {
        has(&text, &format!("nitro_elect_node_http_requests_total{{outcome=\"{outcome}\"}} 1"));
    }
    has(&text, "nitro_elect_node_http_requests_total{outcome=\"answered\"} 0");
    has(&text, "nitro_elect_node_http_connections_total 8");
    has(&text, "nitro_elect_node_http_open_connections 1");
    has(&text, "nitro_elect_node_http_connections_ended_total{reason=\"failed\"} 1");
}
