//! `GET /`: the cluster as this node sees it, for people. A few files that are part of the program; no build step, and
//! nothing from elsewhere.
//!
//! What the page shows came from the network: names, addresses, reasons. It puts them into text nodes alone; the policy
//! below makes the browser refuse everything else: markup and scripts from strings, styles and scripts inline, any
//! other host, any frame around it.

use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY};
use axum::routing::get;

/// A file of the page.
struct Part {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

const PARTS: [Part; 8] = [
    Part { path: "/", kind: "text/html; charset=utf-8", text: include_str!("index.html") },
    Part { path: "/page/page.css", kind: "text/css; charset=utf-8", text: include_str!("page.css") },
    Part { path: "/page/icon.svg", kind: "image/svg+xml", text: include_str!("icon.svg") },
    Part { path: "/page/main.js", kind: SCRIPT, text: include_str!("main.js") },
    Part { path: "/page/node.js", kind: SCRIPT, text: include_str!("node.js") },
    Part { path: "/page/cluster.js", kind: SCRIPT, text: include_str!("cluster.js") },
    Part { path: "/page/elections.js", kind: SCRIPT, text: include_str!("elections.js") },
    Part { path: "/page/text.js", kind: SCRIPT, text: include_str!("text.js") },
];

/// What the browser may do for the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// Whether this path is a file of the page.
pub fn is_part(path: &str) -> bool {
    PARTS.iter().any(|part| part.path == path)
}

/// The page's routes.
pub fn routes() -> Router {
    let heads = |kind| {
        [
            (CONTENT_TYPE, HeaderValue::from_static(kind)),
            (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
        ]
    };
    PARTS.iter().fold(Router::new(), |routes, part| {
        routes.route(part.path, get(async move || (heads(part.kind), part.text)))
    })
}
