//! The page at `/`: its files, what the browser may do for it, and the checks of certificates that it shows.

use super::*;

#[tokio::test]
async fn every_file_of_the_page_is_served_with_its_kind_and_a_strict_policy() {
    let node = served(Some(fresh_status()), Bounds::default()).await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page/page.css", "text/css; charset=utf-8"),
        ("/page/main.js", "text/javascript; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ] {
        let answer =
            raw(node.address, &format!("GET {path} HTTP/1.1\r\n{NONE}connection: close\r\n\r\n")).await;
        for expected in [
            &format!("content-type: {kind}\r\n"),
            "content-security-policy: default-src 'none'; script-src 'self';",
            "frame-ancestors 'none'",
            "trusted-types 'none'",
            "referrer-policy: no-referrer",
            "x-content-type-options: nosniff",
            "cache-control: no-store",
        ] {
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(expected), "{path}: {answer}");
        }
    }
}

#[tokio::test]
async fn the_page_names_no_file_that_is_not_served_and_holds_no_script_or_style_of_its_own() {
    let node = served(Some(fresh_status()), Bounds::default()).await;
    let page = raw(node.address, &format!("GET / HTTP/1.1\r\n{NONE}connection: close\r\n\r\n")).await;
    let mut named = 0;
    for part in page.split('"').filter(|part| part.starts_with("/page/")) {
        assert_eq!(asked(node.address, &format!("GET {part}"), NONE).await, 200, "{part}");
        named += 1;
    }
    assert!(named >= 4, "icon twice, style, script");
    for inline in ["<style", "style=", "javascript:", " onclick", " onload", "http://", "https://"] {
        assert!(!page.contains(inline), "{inline}");
    }
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.contains("<script type=\"module\" src=\"/page/main.js\"></script>"));
}

#[tokio::test]
async fn the_page_is_for_anybody_and_what_it_asks_for_is_not() {
    let exposed = Access { token: Some(token()), exposed: true, ..Access::default() };
    let node = served_to(Some(fresh_status()), Bounds::default(), exposed).await;
    for path in ["/", "/page/page.css", "/page/main.js", "/page/node.js", "/page/icon.svg"] {
        assert_eq!(asked(node.address, &format!("GET {path}"), NONE).await, 200, "{path}");
    }
    for path in ["/v1/checks", "/page/", "/page/none.js", "/page/../v1/status", "//"] {
        assert_eq!(asked(node.address, &format!("GET {path}"), NONE).await, 401, "{path}");
    }
    let framed = "GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert!(raw(node.address, framed).await.starts_with("HTTP/1.1 421 "));
    assert_eq!(asked(node.address, "POST /", NONE).await, 401);
}

#[tokio::test]
async fn checks_are_of_a_certificate_that_is_there() {
    let node = served(Some(fresh_status()), Bounds::default()).await;
    let (code, answer) = get(node.address, "/v1/checks").await;
    assert_eq!((code, answer["error"].as_str().unwrap()), (404, "this node has no certificate yet"));
    for query in ["?term=", "?term=x", "?term=-1", "?term=1&term=2", "?of=1"] {
        assert_eq!(get(node.address, &format!("/v1/checks{query}")).await.0, 400, "{query}");
    }
    assert_eq!(get(node.address, "/v1/checks?term=9").await.0, 404);
}
