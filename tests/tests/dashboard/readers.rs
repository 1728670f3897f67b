//! The page for whoever reads it: on a phone, in the dark, by keyboard alone.

use super::{IS_LIVE, assert_sound, shows_leader};
use nitro_elect_tests::browser::{Browser, Screen};
use nitro_elect_tests::live::Live;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Opens everything that can be opened.
const OPEN_ALL: &str = "document.querySelectorAll('details').forEach((one) => { one.open = true; }); true";
/// Elements that stick out of the page, by what they are.
const STICKS_OUT: &str = "[...document.querySelectorAll('body *')].filter((one) => {
    const box = one.getBoundingClientRect();
    return box.width > 1 && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map((one) => one.outerHTML.slice(0, 80))";
/// Words of the picture that it cuts off.
const CUT_OFF: &str = "[...document.querySelectorAll('#ring text')].filter((one) => {
    const [text, picture] = [one, one.ownerSVGElement].map((part) => part.getBoundingClientRect());
    return text.top < picture.top || text.bottom > picture.bottom;
}).map((one) => one.textContent)";
/// What can be used, in short.
const CONTROLS: &str = "[...document.querySelectorAll('a[href], button, input, summary, [tabindex=\"0\"]')]
    .filter((one) => one.checkVisibility()).map((one, index) => { one.dataset.control = index; return index; })";
/// What has the focus, and whether one sees it.
const FOCUSED: &str = "(() => {
    const one = document.activeElement;
    const style = getComputedStyle(one);
    return [one.dataset.control ?? null, style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2];
})()";

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_a_dark_room_and_a_keyboard_are_enough() {
    let Some(mut browser) = Browser::start().await.unwrap() else { return };
    let (live, led) = Live::led(4).await.unwrap();
    browser.open(&live.page(&led.leader).unwrap()).await.unwrap();
    browser.until(&shows_leader(&led.leader)).await.unwrap();
    browser.until(IS_LIVE).await.unwrap();
    browser.until("document.querySelector('#elections summary') !== null").await.unwrap();
    nothing_sticks_out(&mut browser).await;
    the_dark_is_dark(&mut browser).await;
    every_control_is_reached(&mut browser).await;
    assert_sound(&mut browser).await;
}

async fn nothing_sticks_out(browser: &mut Browser) {
    for screen in [Screen::PHONE, Screen::PHONE.dark(), Screen { width: 700, ..Screen::DESK }, Screen::DESK] {
        browser.show(screen).await.unwrap();
        browser.evaluate(OPEN_ALL).await.unwrap();
        browser.until("document.querySelectorAll('.steps li').length > 20").await.unwrap();
        let width = browser.evaluate("document.documentElement.scrollWidth").await.unwrap();
        assert_eq!(width, json!(screen.width), "it scrolls sideways");
        assert_eq!(browser.evaluate(STICKS_OUT).await.unwrap(), json!([]), "{screen:?}");
        assert_eq!(browser.evaluate(CUT_OFF).await.unwrap(), json!([]), "{screen:?}");
    }
}

/// Text and ground change sides, and each stands out from the other as WCAG 2.2 asks (4.5 to 1).
async fn the_dark_is_dark(browser: &mut Browser) {
    let contrast = "(() => {
        const light = (color) => {
            const part = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
            const [red, green, blue] = color.match(/[0-9.]+/g).map(Number);
            return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
        };
        const ground = light(getComputedStyle(document.querySelector('.card')).backgroundColor);
        const texts = ['.leader-name', '.leader-line', '.facts dt', '.address', '.state', '.reason', '.link', 'h2'];
        const against = (other) => (Math.max(ground, other) + 0.05) / (Math.min(ground, other) + 0.05);
        const of = (text) => against(light(getComputedStyle(document.querySelector(text)).color));
        return [ground, Math.min(...texts.map(of))];
    })()";
    for (screen, is_dark) in [(Screen::DESK, false), (Screen::DESK.dark(), true)] {
        browser.show(screen).await.unwrap();
        let found = browser.evaluate(contrast).await.unwrap();
        let (ground, least) = (found[0].as_f64().unwrap(), found[1].as_f64().unwrap());
        assert_eq!(ground < 0.2, is_dark, "{found}");
        assert!(least >= 4.5, "{found}");
    }
}

/// Tab leads to whatever can be used, in the order of the page, and one sees where one is.
async fn every_control_is_reached(browser: &mut Browser) {
    let controls = browser.evaluate(CONTROLS).await.unwrap();
    let controls: BTreeSet<i64> = controls.as_array().unwrap().iter().filter_map(Value::as_i64).collect();
    assert!(controls.len() > 5, "{controls:?}");
    browser.evaluate("document.activeElement.blur(); scrollTo(0, 0)").await.unwrap();
    let mut reached = Vec::new();
    for _ in 0..controls.len() {
        browser.press("Tab").await.unwrap();
        let focused = browser.evaluate(FOCUSED).await.unwrap();
        assert_eq!(focused[1], json!(true), "the focus is seen on {}", focused[0]);
        reached.push(focused[0].as_str().unwrap().parse::<i64>().unwrap());
    }
    assert!(reached.is_sorted(), "{reached:?}");
    assert_eq!(reached.into_iter().collect::<BTreeSet<i64>>(), controls);
    let summary = "document.querySelector('#enclaves summary')";
    browser.evaluate(&format!("{summary}.focus(); {summary}.parentElement.open = false")).await.unwrap();
    browser.press("Enter").await.unwrap();
    browser.until(&format!("{summary}.parentElement.open")).await.unwrap();
}
