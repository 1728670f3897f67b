//! Clients that behave, and an enclave that comes and goes.

use super::*;

const COUNTED: Response = Response::Refused(EnclaveRefusal::NoCandidate { evidence: vec![] });

#[tokio::test]
async fn requests_of_a_voter_reach_the_enclave_and_its_answers_come_back() {
    let enclave = Enclave::start().await;
    let proxy = proxy(config(TLS, &enclave, &[ours()])).await;
    let node = node(1, &proxy);
    assert!(matches!(ask(&node, &Request::Health).await, Response::Health(_)));
    assert_eq!(ask(&node, &large()).await, COUNTED);
    let nothing = Response::Refused(EnclaveRefusal::NothingCertified);
    assert_eq!(ask(&node, &latest(ours().digest())).await, nothing);
    let asked = enclave.asked();
    assert_eq!(asked[asked.len() - 2..], [large(), latest(ours().digest())]);
}

#[tokio::test]
async fn a_document_without_a_nonce_comes_from_the_cache_and_one_with_a_nonce_does_not() {
    let enclave = Enclave::start().await;
    let proxy = proxy(config(TLS, &enclave, &[ours()])).await;
    let node = node(1, &proxy);
    for _ in 0..5 {
        assert_eq!(ask(&node, &Request::Attest { nonce: None }).await, enclave.document());
    }
    assert_eq!(enclave.asked(), [Request::Attest { nonce: None }], "the proxy's own question");
    assert_eq!(proxy.counters().from_cache.get(), 5);

    let with_nonce = Request::Attest { nonce: Some(serde_bytes::ByteBuf::from(b"nonce")) };
    assert_eq!(ask(&node, &with_nonce).await, Response::Attestation { document: b"nonce".to_vec() });
}

#[tokio::test]
async fn a_document_in_the_cache_is_renewed() {
    let enclave = Enclave::start().await;
    let mut config = config(PLAIN, &enclave, &[]);
    config.bounds.document_interval = Duration::from_millis(20);
    config.bounds.health_interval = Duration::from_millis(10);
    let _proxy = proxy(config).await;
    let renewed = async {
        while enclave.asked().len() < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LATE, renewed).await.expect("the document is fetched again and again");
}

#[tokio::test]
async fn electorates_of_other_manifests_are_not_forwarded() {
    let enclave = Enclave::start().await;
    for listen in [TLS, PLAIN] {
        let proxy = proxy(config(listen, &enclave, &[ours()])).await;
        let node = node(1, &proxy);
        let before = enclave.asked();
        let theirs = electorate(2, &[1, 2, 3]);
        let not_served = Response::Refused(EnclaveRefusal::NotServed);
        assert_eq!(ask(&node, &latest(theirs.digest())).await, not_served);
        assert_eq!(ask(&node, &elect(theirs, vec![])).await, not_served);
        assert_eq!(enclave.asked(), before);
        assert_eq!(proxy.counters().refused_not_served.get(), 2);
    }
}

#[tokio::test]
async fn a_voter_of_one_manifest_has_no_business_with_the_electorate_of_another() {
    let enclave = Enclave::start().await;
    let next = electorate(1, &[2, 3, 4]);
    let proxy = proxy(config(TLS, &enclave, &[ours(), next.clone()])).await;
    let not_served = Response::Refused(EnclaveRefusal::NotServed);
    assert_eq!(ask(&node(1, &proxy), &elect(ours(), vec![])).await, COUNTED);
    assert_eq!(ask(&node(1, &proxy), &elect(next.clone(), vec![])).await, not_served);
    assert_eq!(ask(&node(4, &proxy), &elect(next.clone(), vec![])).await, COUNTED);
    assert_eq!(ask(&node(2, &proxy), &elect(ours(), vec![])).await, COUNTED);
    assert_eq!(ask(&node(2, &proxy), &elect(next, vec![])).await, COUNTED);
}

#[tokio::test]
async fn without_a_manifest_every_electorate_is_forwarded() {
    let enclave = Enclave::start().await;
    let proxy = proxy(config(PLAIN, &enclave, &[])).await;
    let client = EnclaveClient::new(proxy.endpoint().clone(), None);
    assert_eq!(ask(&client, &elect(electorate(9, &[1]), vec![])).await, COUNTED);
}

#[tokio::test]
async fn a_key_in_no_manifest_is_told_that_it_is_not_served() {
    let enclave = Enclave::start().await;
    let proxy = proxy(config(TLS, &enclave, &[ours()])).await;
    for request in [Request::Health, large()] {
        let refused = ask(&node(9, &proxy), &request).await;
        assert_eq!(refused, Response::Refused(EnclaveRefusal::NotServed));
    }
    assert_eq!(proxy.counters().not_admitted.get(), 2);
    assert_eq!(enclave.asked(), [Request::Attest { nonce: None }]);
}

#[tokio::test]
async fn an_enclave_that_restarted_is_found_again_and_its_old_document_is_gone() {
    let enclave = Enclave::start().await;
    let proxy = proxy(config(TLS, &enclave, &[ours()])).await;
    let node = node(1, &proxy);
    assert_eq!(ask(&node, &Request::Attest { nonce: None }).await, enclave.document());

    let stopped = enclave.stop().await;
    wait_until(&proxy, |state| matches!(state, EnclaveState::Down { .. })).await;
    for request in [Request::Health, Request::Attest { nonce: None }, large()] {
        let away = ask(&node, &request).await;
        assert_eq!(away, Response::Refused(EnclaveRefusal::Unreachable));
    }
    assert_eq!(proxy.counters().refused_unreachable.get(), 3);

    let enclave = stopped.start().await;
    wait_until(&proxy, |state| matches!(state, EnclaveState::Up(_))).await;
    assert_eq!(ask(&node, &Request::Attest { nonce: None }).await, enclave.document());
    assert_eq!(ask(&node, &large()).await, COUNTED);
}

#[tokio::test]
async fn while_the_enclave_is_away_clients_are_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let _silent_monitor = tokio::net::UnixListener::bind(directory.path().join("vm")).unwrap();
    let mut config = config(PLAIN, &Enclave::start().await, &[]);
    config.enclave = format!("unix://{}/vm?port=5005", directory.path().display()).parse().unwrap();
    config.bounds.answer_deadline = Duration::from_secs(1);
    let proxy = Proxy::start(config).await.unwrap();
    wait_until(&proxy, |state| matches!(state, EnclaveState::Down { .. })).await;
    let client = node(1, &proxy);
    let began = std::time::Instant::now();
    for _ in 0..5 {
        assert_eq!(ask(&client, &Request::Health).await, Response::Refused(EnclaveRefusal::Unreachable));
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_election_whose_answer_got_lost_is_not_answered_for_the_enclave() {
    let enclave = Enclave::holding_elections().await;
    let proxy = proxy(config(TLS, &enclave, &[ours()])).await;
    let node = node(1, &proxy);
    let asked = async {
        while !enclave.asked().contains(&elect(ours(), vec![])) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        enclave.stop().await
    };
    let election = elect(ours(), vec![]);
    let (_, lost) = tokio::join!(asked, node.ask(&election, LATE));
    match lost {
        Err(error @ EnclaveCallError::NoAnswer { .. }) => assert!(error.may_have_run()),
        other => panic!("{other:?}"),
    }
    assert_eq!(proxy.counters().answers_lost.get(), 1);
}

#[tokio::test]
async fn a_proxy_without_anybody_to_admit_does_not_listen_on_tls() {
    let enclave = Enclave::start().await;
    let refused = Proxy::start(config(TLS, &enclave, &[])).await.err();
    assert!(matches!(refused, Some(ProxyError::NobodyToAdmit { .. })));
}

#[tokio::test]
async fn a_plain_port_off_loopback_needs_its_dangerous_name() {
    let enclave = Enclave::start().await;
    let mut open = config("tcp://0.0.0.0:0", &enclave, &[]);
    let refused = Proxy::start(open.clone()).await.err();
    assert!(matches!(refused, Some(ProxyError::Bind(BindError::Open { .. }))));
    open.exposure = Exposure::DangerOpen;
    assert!(Proxy::start(open).await.is_ok());
}

#[tokio::test]
async fn an_enclave_behind_another_proxy_is_refused() {
    let enclave = Enclave::start().await;
    let mut behind = config(PLAIN, &enclave, &[]);
    behind.enclave = "tls://127.0.0.1:1".parse().unwrap();
    assert!(matches!(Proxy::start(behind).await.err(), Some(ProxyError::BehindAProxy { .. })));
}
