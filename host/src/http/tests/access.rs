//! Who may ask what: tokens and origins, over real connections.

use super::*;

#[tokio::test]
async fn changing_anything_needs_the_token_and_without_one_nobody_may() {
    let with = Access { token: Some(token()), ..Access::default() };
    let node = served_to(Some(fresh_status()), Bounds::default(), with).await;
    for order in ["POST /v1/resign", "POST /v1/drain"] {
        assert_eq!(asked(node.address, order, NONE).await, 401, "{order}");
        assert_eq!(asked(node.address, order, ANOTHER).await, 401, "{order}");
    }
    assert_eq!(asked(node.address, "POST /v1/resign", PRESENTED).await, 409, "it does not lead");
    assert_eq!(asked(node.address, "POST /v1/drain", PRESENTED).await, 400, "an empty body says nothing");
    assert_eq!(asked(node.address, "GET /v1/leader", NONE).await, 200);
    let without = served(Some(fresh_status()), Bounds::default()).await;
    assert_eq!(asked(without.address, "POST /v1/resign", PRESENTED).await, 403);
}

#[tokio::test]
async fn an_observer_is_not_told_to_be_drained_as_it_never_leads() {
    let with = || Access { token: Some(token()), ..Access::default() };
    let order = "{\"draining\":true}";
    let head = format!("{PRESENTED}content-length: {}\r\n", order.len());
    let request = format!("POST /v1/drain HTTP/1.1\r\n{head}connection: close\r\n\r\n{order}");
    let observer = Status { voter: false, ..fresh_status() };
    let node = served_to(Some(observer), Bounds::default(), with()).await;
    let answer = raw(node.address, &request).await;
    assert!(answer.starts_with("HTTP/1.1 409 ") && answer.contains("observer"), "{answer}");
    let node = served_to(Some(fresh_status()), Bounds::default(), with()).await;
    let answer = raw(node.address, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn a_leader_that_reaches_no_enclave_is_not_made_to_resign() {
    let with = Access { token: Some(token()), ..Access::default() };
    let mut status = led_status(fresh_status().id, Duration::from_secs(60));
    status.enclaves[0].error = Some(crate::core::event::Unanswered.to_string());
    let node = served_to(Some(status), Bounds::default(), with).await;
    let head = format!("{PRESENTED}connection: close\r\n");
    let answer = raw(node.address, &format!("POST /v1/resign HTTP/1.1\r\n{head}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 409 "), "{answer}");
    assert!(answer.contains("nothing was given up: no enclave is reachable and accepted"), "{answer}");
}

#[tokio::test]
async fn where_other_machines_reach_it_reading_needs_the_token_too_but_for_the_probes() {
    let exposed = Access { token: Some(token()), exposed: true, ..Access::default() };
    let node = served_to(Some(fresh_status()), Bounds::default(), exposed).await;
    for path in ["/v1/leader", "/v1/status", "/v1/watch", "/v1/evidence", "/none", "/healthz/x"] {
        assert_eq!(asked(node.address, &format!("GET {path}"), NONE).await, 401, "{path}");
    }
    assert_eq!(asked(node.address, "GET /v1/leader", PRESENTED).await, 200);
    assert_eq!(asked(node.address, "GET /healthz", NONE).await, 200);
    assert_ne!(asked(node.address, "GET /readyz", NONE).await, 401);
}

#[tokio::test]
async fn a_page_of_another_origin_is_turned_away_whatever_it_presents() {
    let with = Access { token: Some(token()), ..Access::default() };
    let node = served_to(Some(fresh_status()), Bounds::default(), with).await;
    for origin in ["http://evil.example", "null", "https://localhost", "http://localhost:1"] {
        let head = format!("{PRESENTED}origin: {origin}\r\n");
        assert_eq!(asked(node.address, "GET /v1/leader", &head).await, 403, "{origin}");
    }
    let own = format!("{PRESENTED}origin: http://localhost\r\n");
    assert_eq!(asked(node.address, "GET /v1/leader", &own).await, 200);
}

#[tokio::test]
async fn a_page_of_another_origin_makes_no_work_by_pictures_and_frames_and_may_link() {
    let node = served(Some(fresh_status()), Bounds::default()).await;
    for (site, dest, expected) in [
        ("cross-site", "image", 403),
        ("cross-site", "iframe", 403),
        ("cross-site", "empty", 403),
        ("same-site", "script", 403),
        ("cross-site", "document", 200),
        ("none", "document", 200),
        ("same-origin", "empty", 200),
    ] {
        let head = format!("{NONE}sec-fetch-site: {site}\r\nsec-fetch-dest: {dest}\r\n");
        assert_eq!(asked(node.address, "GET /v1/leader", &head).await, expected, "{site} {dest}");
    }
    let answer =
        raw(node.address, &format!("GET /v1/leader HTTP/1.1\r\n{NONE}connection: close\r\n\r\n")).await;
    assert!(answer.contains("cross-origin-resource-policy: same-origin\r\n"), "{answer}");
}
