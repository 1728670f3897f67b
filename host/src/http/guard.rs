//! Who may ask what. A browser sends the name it was told: a page under a name that was pointed at this machine (DNS
//! rebinding) brings that name along, and is turned away; so is a page of another origin, which could read nothing but
//! make the node work: browsers say whose page asks (`Origin`; `Sec-Fetch-Site`, where the address is loopback). What
//! changes the node needs the bearer token; where other machines reach the address, everything does but the two
//! probes, and the page, which knows nothing before it was given the token.
//!
//! Numbers cannot be pointed anywhere, so any IP address passes, as do `localhost` and the name the operator gave.

use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, HOST, HeaderValue, ORIGIN, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::answers::Fault;
use super::limits::EXCHANGE_DEADLINE;
use super::page;
use super::token::Token;

/// The names under which the admin address may be asked for, besides numbers and `localhost`.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    names: Arc<[String]>,
}

impl Hosts {
    /// Admits this name too: the host of `--admin`.
    pub fn of(name: &str) -> Self {
        Hosts { names: Arc::new([name.to_ascii_lowercase()]) }
    }

    fn admits(&self, host: &str) -> bool {
        let name = without_port(host).trim_end_matches('.').to_ascii_lowercase();
        let number = name.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(&name);
        number.parse::<IpAddr>().is_ok() || name == "localhost" || self.names.contains(&name)
    }
}

/// Who may ask what of an admin address.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The names it answers to.
    pub hosts: Hosts,
    /// Who presents this may change things; without one nobody may.
    pub token: Option<Token>,
    /// Whether reading needs the token too, but for the probes: other machines reach the address.
    pub exposed: bool,
}

impl From<Hosts> for Access {
    fn from(hosts: Hosts) -> Self {
        Access { hosts, ..Access::default() }
    }
}

/// What anybody may ask: load balancers and orchestrators have no token.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Whether anybody may read this: a probe, or the page, which is the same for all and asks for the token itself.
fn is_for_anybody(path: &str) -> bool {
    PROBES.contains(&path) || page::is_part(path)
}

/// Turns away whoever may not ask, bounds the time of the rest, and marks every answer as one of a moment.
pub async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    let answered = match access.check(&request) {
        Ok(()) => answer_in_time(next.run(request), EXCHANGE_DEADLINE).await,
        Err(fault) => fault.into_response(),
    };
    mark(answered)
}

impl Access {
    fn check(&self, request: &Request) -> Result<(), Fault> {
        let headers = request.headers();
        check_host(&self.hosts, headers).map_err(|host| {
            let text =
                format!("this is not {host}: ask for 127.0.0.1, localhost or the name given to --admin");
            Fault::new(StatusCode::MISDIRECTED_REQUEST, text)
        })?;
        if !is_of_this_origin(headers) || is_fetched_from_elsewhere(headers) {
            return Err(Fault::new(
                StatusCode::FORBIDDEN,
                "a page of another origin may not ask this address",
            ));
        }
        let reads = [Method::GET, Method::HEAD].contains(request.method());
        let is_open = reads && (!self.exposed || is_for_anybody(request.uri().path()));
        if is_open { Ok(()) } else { self.check_token(headers) }
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Fault> {
        let Some(token) = &self.token else {
            let text = "this process has no admin token, so nobody may do that: start it with --token-file";
            return Err(Fault::new(StatusCode::FORBIDDEN, text));
        };
        match headers.get(AUTHORIZATION).map(HeaderValue::to_str) {
            None => Err(Fault::new(
                StatusCode::UNAUTHORIZED,
                "this needs the admin token, as in Authorization: Bearer TOKEN",
            )),
            Some(Ok(given)) if token.is_in(given) => Ok(()),
            Some(_) => {
                Err(Fault::new(StatusCode::UNAUTHORIZED, "that is not the admin token of this process"))
            }
        }
    }
}

/// Whether no page sent this, or one that this very address served.
fn is_of_this_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let (origin, host) = (origin.to_str().ok(), headers.get(HOST).and_then(|host| host.to_str().ok()));
    origin.and_then(|origin| origin.strip_prefix("http://")).is_some_and(|origin| Some(origin) == host)
}

/// Whether a page of another origin has this fetched, as a picture, a script or a frame, for which no `Origin` is sent
/// (W3C Fetch Metadata). A link that a person follows to a window of its own is none.
fn is_fetched_from_elsewhere(headers: &HeaderMap) -> bool {
    let from_here = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    !from_here && headers.get("sec-fetch-dest").is_none_or(|place| place != "document")
}

async fn answer_in_time(answer: impl Future<Output = Response>, deadline: Duration) -> Response {
    let late = || Fault::new(StatusCode::SERVICE_UNAVAILABLE, "no answer in time").into_response();
    tokio::time::timeout(deadline, answer).await.unwrap_or_else(|_| late())
}

/// The host that was asked for, if it is not this one. A client that names none is no browser.
fn check_host(hosts: &Hosts, headers: &HeaderMap) -> Result<(), String> {
    let mut named = headers.get_all(HOST).iter();
    let wrong = |host: &HeaderValue| String::from_utf8_lossy(host.as_bytes()).chars().take(80).collect();
    match named.find(|host| !host.to_str().is_ok_and(|host| hosts.admits(host))) {
        Some(host) => Err(wrong(host)),
        None => Ok(()),
    }
}

fn mark(mut answer: Response) -> Response {
    let is_unauthorized = answer.status() == StatusCode::UNAUTHORIZED;
    let headers = answer.headers_mut();
    if is_unauthorized {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    answer
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !ends_within_brackets(name) =>
        {
            name
        }
        _ => host,
    }
}

/// Whether a colon after this text stands inside the brackets of an IPv6 address.
fn ends_within_brackets(text: &str) -> bool {
    text.starts_with('[') && !text.ends_with(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_localhost_and_the_operators_name_are_admitted() {
        let hosts = Hosts::of("Admin.Example");
        for host in [
            "127.0.0.1",
            "127.0.0.1:15000",
            "10.1.2.3:80",
            "[::1]:15000",
            "[::1]",
            "localhost",
            "LOCALHOST:15000",
            "localhost.",
            "admin.example:15000",
        ] {
            assert!(hosts.admits(host), "{host}");
        }
    }

    #[test]
    fn another_name_is_turned_away() {
        let hosts = Hosts::default();
        for host in [
            "evil.example",
            "evil.example:15000",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "",
            "[::1].evil.example",
            "admin.example",
            "127.0.0.1:80:80",
        ] {
            assert!(!hosts.admits(host), "{host}");
        }
    }

    #[test]
    fn one_good_host_beside_a_bad_one_does_not_help() {
        let mut headers = HeaderMap::new();
        assert_eq!(check_host(&Hosts::default(), &headers), Ok(()));
        headers.append(HOST, HeaderValue::from_static("localhost"));
        headers.append(HOST, HeaderValue::from_static("evil.example"));
        assert_eq!(check_host(&Hosts::default(), &headers), Err("evil.example".into()));
    }
}
