//! The page at `/` of the admin address, in a real browser, before real nodes.
#![allow(clippy::unwrap_used)]

mod cluster;
mod readers;
mod strangers;

use nitro_elect_tests::browser::Browser;

/// An expression that is true once the page shows this leader.
fn shows_leader(name: &str) -> String {
    format!("document.getElementById('leader').textContent === '{name}'")
}

/// Whether the page says that what it shows is of now.
const IS_LIVE: &str = "document.getElementById('main').dataset.state === 'live'";

/// The page has had nothing to complain of.
async fn assert_sound(browser: &mut Browser) {
    let problems = browser.problems().await.unwrap();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
