//! The page before those who mean it ill: names made of markup, other origins, readers without the token.

use super::{IS_LIVE, assert_sound, shows_leader};
use nitro_elect::http::guard::Access;
use nitro_elect::http::token::Token;
use nitro_elect_tests::browser::Browser;
use nitro_elect_tests::live::Live;
use serde_json::json;
use std::os::unix::fs::OpenOptionsExt;

const HOSTILE: &str = "<img src=x onerror=document.title='owned'><script>alert(1)";
const TOKEN: &str = "0123456789abcdef-of-the-test";

#[tokio::test(flavor = "multi_thread")]
async fn a_name_full_of_markup_is_text_and_the_policy_refuses_the_rest() {
    let Some(mut browser) = Browser::start().await.unwrap() else { return };
    let mut live = Live::new().await.unwrap();
    live.open(&["honest", HOSTILE]).await.unwrap();
    browser.open(&live.page("honest").unwrap()).await.unwrap();
    let named = json!(HOSTILE);
    let is_told = |id: &str| format!("document.getElementById('{id}').textContent.includes({named})");
    for id in ["member-rows", "ring", "events"] {
        browser.until(&is_told(id)).await.unwrap();
    }
    // The list of two elects the higher address: the stranger's own.
    browser.until(&is_told("leader")).await.unwrap();
    browser.until(&is_told("elections")).await.unwrap();
    assert!(browser.text("worth").await.unwrap().contains("OPEN"));
    let elements = "[document.querySelectorAll('script').length, document.querySelectorAll('img').length]";
    assert_eq!(browser.evaluate(elements).await.unwrap(), json!([1, 1]), "the page's own");
    assert_ne!(browser.evaluate("document.title").await.unwrap(), json!("owned"));
    assert_sound(&mut browser).await;
    the_policy_holds(&mut browser).await;
}

/// Were there a way in, the browser would refuse what comes through it, and this suite would notice.
async fn the_policy_holds(browser: &mut Browser) {
    let markup = browser.evaluate("document.body.insertAdjacentHTML('beforeend', '<b>x</b>')").await;
    assert!(markup.unwrap_err().to_string().contains("TrustedHTML"));
    browser.evaluate("new Image().src = 'http://127.0.0.1:9/x'").await.unwrap();
    browser.evaluate("fetch('http://127.0.0.1:9/x').catch(() => 0)").await.unwrap();
    let problems = browser.problems().await.unwrap().join("\n");
    assert!(problems.contains("img-src") && problems.contains("connect-src"), "{problems}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_reading_needs_the_token_the_page_asks_for_it_and_keeps_it_to_itself() {
    let Some(mut browser) = Browser::start().await.unwrap() else { return };
    let mut live = Live::new().await.unwrap();
    let access = Access { token: Some(token()), exposed: true, ..Access::default() };
    live.alone("guarded", access).await.unwrap();
    let page = live.page("guarded").unwrap();
    browser.open(&page).await.unwrap();
    browser.until("!document.getElementById('token').hidden").await.unwrap();
    assert_eq!(browser.evaluate("document.activeElement.id").await.unwrap(), json!("token-input"));
    assert_eq!(
        browser.evaluate("document.getElementById('main').checkVisibility()").await.unwrap(),
        json!(false)
    );
    give(&mut browser, "another-token-altogether").await;
    browser
        .until("document.getElementById('token-fault').textContent.includes('not the token')")
        .await
        .unwrap();
    give(&mut browser, TOKEN).await;
    browser.until(&shows_leader("guarded")).await.unwrap();
    browser.until(IS_LIVE).await.unwrap();
    browser.until("document.getElementById('events').textContent.includes('leads term')").await.unwrap();
    assert_eq!(
        browser.evaluate("document.getElementById('token').checkVisibility()").await.unwrap(),
        json!(false)
    );
    let left = format!(
        "[location.href, performance.getEntries().some((one) => one.name.includes('{TOKEN}')), document.cookie, \
         localStorage.length, sessionStorage.length]"
    );
    assert_eq!(browser.evaluate(&left).await.unwrap(), json!([page, false, "", 0, 0]));
}

/// Writes a token as a reader does.
async fn give(browser: &mut Browser, token: &str) {
    browser.until("document.activeElement.id === 'token-input'").await.unwrap();
    browser.write(token).await.unwrap();
    browser.press("Enter").await.unwrap();
}

fn token() -> Token {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&path);
    std::io::Write::write_all(&mut file.unwrap(), TOKEN.as_bytes()).unwrap();
    Token::read(&path).unwrap()
}
