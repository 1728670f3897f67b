//! A headless Chromium, driven by its DevTools protocol over a pipe: one page, its console, its keyboard, its pictures.
//!
//! Only as much as the tests of the dashboard need. No web socket and no driver program: the browser reads commands at
//! descriptor 3 and writes answers and events at descriptor 4, JSON with a zero byte after each.

mod pipe;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use pipe::Pipe;

use crate::skip::skip;

/// Patience for a busy machine.
const LATE: Duration = Duration::from_secs(40);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(25);

/// A browser with one page. It ends when it is dropped.
pub struct Browser {
    pipe: Pipe,
    session: String,
    events: Vec<Value>,
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Its width in CSS pixels.
    pub width: u32,
    /// Its height in CSS pixels.
    pub height: u32,
    /// Whether the reader prefers dark pages.
    pub dark: bool,
}

impl Screen {
    /// A desk's.
    pub const DESK: Screen = Screen { width: 1240, height: 900, dark: false };
    /// A small phone's.
    pub const PHONE: Screen = Screen { width: 360, height: 740, dark: false };

    /// The same in the dark.
    pub fn dark(self) -> Self {
        Screen { dark: true, ..self }
    }
}

impl Browser {
    /// Starts one; nothing where Chromium is not installed, which is said.
    ///
    /// # Panics
    /// Where `NITRO_ELECT_NO_SKIP` is set and there is no Chromium.
    pub async fn start() -> Result<Option<Self>> {
        let Some(pipe) = Pipe::open()? else {
            skip("chromium", "make deps");
            return Ok(None);
        };
        let mut browser = Browser { pipe, session: String::new(), events: Vec::new() };
        let made = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await?;
        let attach = json!({ "targetId": made["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach).await?;
        browser.session = attached["sessionId"].as_str().context("a session")?.to_owned();
        for domain in ["Page.enable", "Runtime.enable", "Log.enable", "Audits.enable"] {
            browser.call(domain, json!({})).await?;
        }
        browser.show(Screen::DESK).await?;
        Ok(Some(browser))
    }

    /// Goes to a page, and waits until its document is there.
    pub async fn open(&mut self, url: &str) -> Result<()> {
        let answer = self.call("Page.navigate", json!({ "url": url })).await?;
        ensure!(answer.get("errorText").is_none(), "{url}: {}", answer["errorText"]);
        self.until("document.readyState === 'complete'").await
    }

    /// What an expression of the page's own language is, there and now.
    pub async fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let question = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", question).await?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            bail!("{expression}: {}", thrown["exception"]["description"]);
        }
        Ok(answer["result"]["value"].clone())
    }

    /// The text of the element of this id.
    pub async fn text(&mut self, id: &str) -> Result<String> {
        let text = self.evaluate(&format!("document.getElementById({}).textContent", json!(id))).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until an expression is true; how long it took.
    pub async fn until(&mut self, expression: &str) -> Result<()> {
        let last = Instant::now() + LATE;
        while self.evaluate(expression).await? != json!(true) {
            if Instant::now() > last {
                let page = self.evaluate("document.body.innerText").await?;
                bail!("not in time: {expression}; the page says\n{}", page.as_str().unwrap_or_default());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Looks at the page in another way.
    pub async fn show(&mut self, screen: Screen) -> Result<()> {
        let Screen { width, height, dark } = screen;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size).await?;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", media).await?;
        // Two frames: the page has been laid out anew, and what observes its size has heard of it.
        let frames =
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))";
        self.evaluate(frames).await.map(drop)
    }

    /// Presses a key: `Tab`, `Enter`.
    pub async fn press(&mut self, key: &str) -> Result<()> {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            other => bail!("the key {other:?} is not known here"),
        };
        let down = if text.is_empty() { "rawKeyDown" } else { "keyDown" };
        for kind in [down, "keyUp"] {
            let event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text,
            });
            self.call("Input.dispatchKeyEvent", event).await?;
        }
        Ok(())
    }

    /// Types a text where the focus is.
    pub async fn write(&mut self, text: &str) -> Result<()> {
        self.call("Input.insertText", json!({ "text": text })).await.map(drop)
    }

    /// A picture of what is seen, as a PNG.
    pub async fn picture(&mut self) -> Result<Vec<u8>> {
        let answer = self.call("Page.captureScreenshot", json!({ "format": "png" })).await?;
        Ok(BASE64_STANDARD.decode(answer["data"].as_str().context("a picture")?)?)
    }

    /// What went wrong on the page so far: errors and warnings of its console, exceptions that nobody caught, breaches of
    /// its policy.
    pub async fn problems(&mut self) -> Result<Vec<String>> {
        // Whatever the page did before this answer has been told before it.
        self.evaluate("0").await?;
        Ok(self.events.iter().filter_map(problem).collect())
    }

    async fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        let answered = self.pipe.call(method, parameters, &self.session, &mut self.events);
        let answer = tokio::time::timeout(LATE, answered).await;
        answer.with_context(|| format!("{method}: no answer"))?.with_context(|| method.to_owned())
    }
}

/// The text of an event that tells of something wrong.
fn problem(event: &Value) -> Option<String> {
    let told = &event["params"];
    let is_wrong = match event["method"].as_str()? {
        "Runtime.exceptionThrown" => true,
        "Audits.issueAdded" => told["issue"]["code"] == "ContentSecurityPolicyIssue",
        "Log.entryAdded" => ["error", "warning"].contains(&told["entry"]["level"].as_str()?),
        "Runtime.consoleAPICalled" => ["error", "warning", "assert"].contains(&told["type"].as_str()?),
        _ => false,
    };
    is_wrong.then(|| told.to_string())
}
