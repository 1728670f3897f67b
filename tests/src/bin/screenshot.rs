//! `make screenshot`: the picture of the page that the README shows. Four nodes, of which the first leader was killed.

use anyhow::{Context, Result, ensure};
use nitro_elect_tests::browser::{Browser, Screen};
use nitro_elect_tests::live::Live;

/// The picture's size, in bytes: it is fetched with every look at the README.
const SIZE_MAX: usize = 200_000;
/// Where the time line of elections ends: what comes below is left out.
const END: &str =
    "Math.ceil(document.getElementById('elections').closest('section').getBoundingClientRect().bottom) + 8";

#[tokio::main]
async fn main() -> Result<()> {
    let path =
        std::env::args().nth(1).context("name the file to write, as in: screenshot docs/dashboard.png")?;
    let mut browser = Browser::start().await?.context("there is no chromium; install it with: make deps")?;
    let (mut live, first) = Live::led(4).await?;
    live.kill(&first.leader);
    let second = live.agreement(first.term + 1).await?;
    let asked = live.names().into_iter().find(|name| *name != second.leader).context("a follower")?;
    browser.open(&live.page(&asked)?).await?;
    browser.until("document.querySelectorAll('#elections > .elected').length === 2").await?;
    browser.until("document.querySelectorAll('.node.silent').length === 1").await?;
    let told = format!(
        "[...document.querySelectorAll('#member-rows .alive td:last-child')].every((one) => one.textContent === '{}')",
        second.term
    );
    browser.until(&told).await?;
    let checked = format!("document.getElementById('facts').textContent.includes('term {}:')", second.term);
    browser.until(&checked).await?;
    let end = browser.evaluate(END).await?.as_u64().context("a height")?;
    browser.show(Screen { height: u32::try_from(end)?, ..Screen::DESK }).await?;
    // Soon after an answer, so that the lease is seen to run.
    browser.until("/scaleX\\(0\\.[789]/.test(document.getElementById('lease-bar').style.transform)").await?;
    let picture = browser.picture().await?;
    ensure!(picture.len() < SIZE_MAX, "{} bytes are more than {SIZE_MAX}", picture.len());
    std::fs::write(&path, picture).with_context(|| format!("write {path}"))
}
