//! What the page shows of a cluster: its leader, its votes, its proof; another leader after a kill; and that it does
//! not know, once its node is gone.

use super::{IS_LIVE, assert_sound, shows_leader};
use nitro_elect_tests::browser::Browser;
use nitro_elect_tests::live::Live;
use serde_json::json;
use std::time::{Duration, Instant};

/// How soon the page must say that its node does not answer.
const STALE: Duration = Duration::from_secs(2);
/// How long one round of support lasts.
const LEASE: Duration = Duration::from_secs(1);
/// What a browser on a busy machine needs to draw what its timer has told it.
const FRAME: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread")]
async fn the_page_follows_the_cluster_through_a_kill_of_the_leader_and_of_its_own_node() {
    let Some(mut browser) = Browser::start().await.unwrap() else { return };
    let (mut live, first) = Live::led(4).await.unwrap();
    let asked = live.names().into_iter().find(|name| *name != first.leader).unwrap();
    browser.open(&live.page(&asked).unwrap()).await.unwrap();
    browser.until(&shows_leader(&first.leader)).await.unwrap();
    browser.until(IS_LIVE).await.unwrap();
    shows_all_of_it(&mut browser, &first.leader, first.term).await;

    live.kill(&first.leader);
    browser.until(&format!("!({})", shows_leader(&first.leader))).await.unwrap();
    let second = live.agreement(first.term + 1).await.unwrap();
    browser.until(&shows_leader(&second.leader)).await.unwrap();
    let line = browser.text("leader-line").await.unwrap();
    assert!(line.starts_with(&format!("leads term {}", second.term)), "{line}");
    let silent = format!(
        "document.querySelector('#member-rows tr.silent .member-name').textContent === '{}'",
        first.leader
    );
    browser.until(&silent).await.unwrap();
    browser.until("document.querySelectorAll('.node.silent').length === 1").await.unwrap();
    browser.until("document.querySelectorAll('#elections > .elected').length > 1").await.unwrap();
    let why = format!("{} fell silent and its lease ran out", first.leader);
    let newest = "document.querySelector('#elections > .elected .reason').textContent";
    assert!(browser.evaluate(newest).await.unwrap().as_str().unwrap().starts_with(&why), "{why}");
    browser.until(&format!("document.getElementById('facts').textContent.includes('{why}')")).await.unwrap();
    let told = browser.text("events").await.unwrap();
    assert!(told.contains(&format!("{} has fallen silent", first.leader)), "{told}");
    assert_sound(&mut browser).await;

    live.kill(&asked);
    let killed = Instant::now();
    browser.until("document.getElementById('main').dataset.state === 'stale'").await.unwrap();
    assert!(killed.elapsed() < STALE, "{:?}", killed.elapsed());
    assert!(browser.text("link-text").await.unwrap().starts_with(&format!("{asked} does not answer")));
    // It shows no leader past the lease that it heard of.
    browser.until("document.getElementById('leader').textContent === 'Unknown'").await.unwrap();
    assert!(killed.elapsed() < LEASE + FRAME, "{:?}", killed.elapsed());
    assert_eq!(browser.text("lease-text").await.unwrap(), "no lease");
    assert_eq!(browser.evaluate("document.querySelectorAll('.leads').length").await.unwrap(), json!(0));
}

/// Everything that the page has to show of four nodes that agree.
async fn shows_all_of_it(browser: &mut Browser, leader: &str, term: u64) {
    browser.until("document.querySelectorAll('.node.alive').length === 4").await.unwrap();
    browser.until("document.querySelectorAll('#ring .tie.alive').length === 3").await.unwrap();
    browser.until("document.querySelectorAll('#ring .vote').length >= 3").await.unwrap();
    assert_eq!(browser.text("worth").await.unwrap(), "SIMULATED");
    assert_eq!(
        browser.evaluate("document.querySelector('.node.leads .node-name').textContent").await.unwrap(),
        leader
    );
    let enclave = browser.text("enclaves").await.unwrap();
    for shown in ["accepted", "SIMULATED", "PCR0", "PCR1", "PCR2"] {
        assert!(enclave.contains(shown), "{shown}: {enclave}");
    }
    let whole = "document.querySelectorAll('#enclaves .whole')[1].textContent.length";
    assert_eq!(browser.evaluate(whole).await.unwrap(), json!(96), "a PCR in full");
    browser.until("document.getElementById('facts').textContent.includes('checks passed')").await.unwrap();
    lease_runs_down(browser).await;
    browser.until("document.querySelector('#elections > .elected summary') !== null").await.unwrap();
    browser.evaluate("document.querySelector('#elections details').open = true").await.unwrap();
    browser.until("document.querySelectorAll('.steps li').length > 20").await.unwrap();
    let newest =
        browser.evaluate("document.querySelector('#elections > .elected').textContent").await.unwrap();
    let newest = newest.as_str().unwrap();
    for shown in [
        &format!("term {term}"),
        leader,
        "valid, SIMULATED",
        "the attested enclave signed it",
        "4.19",
        "the first election",
    ] {
        assert!(newest.contains(shown), "{shown}: {newest}");
    }
    let failed = browser.evaluate("document.querySelectorAll('[data-status=failed]').length").await.unwrap();
    assert_eq!(failed, json!(0));
}

/// Between two answers of the node, what is left becomes less, and it is never more than a lease.
async fn lease_runs_down(browser: &mut Browser) {
    let left = "Number(/scaleX\\(([^)]+)\\)/.exec(document.getElementById('lease-bar').style.transform)[1])";
    let (mut last, mut fell) = (1.0, 0);
    for _ in 0..100 {
        let share = browser.evaluate(left).await.unwrap().as_f64().unwrap();
        assert!((0.0..=1.0).contains(&share), "{share}");
        fell += usize::from(share < last);
        last = share;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(fell > 3, "it fell {fell} times in a second");
}
