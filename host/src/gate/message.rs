//! Requests and answers as they are passed on in HTTP mode, and the gate's own answers.
//!
//! What a client says of its own term is checked and never forwarded: a request for another term than the present one is
//! refused with 409, so that a program can bind a request to the leadership that it was made under. The field counts in
//! every spelling that CGI, WSGI and their kin fold into the one variable `HTTP_NITRO_ELECT_TERM`.
//!
//! What two readers could take for two different requests is refused: several hosts or none, a transfer coding that would
//! be lost, a target that is no path. Framing is never forwarded, but made anew by hyper from what it has read, so that
//! the resource sees exactly the requests that were let through here.

use axum::response::{IntoResponse, Response};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING,
};
use hyper::{Method, Request, StatusCode, Uri, Version};
use serde_json::json;

use nitro_elect_protocol::ids::Term;

use crate::http::json::Json;

/// The field that tells the resource the term.
pub const TERM_FIELD: HeaderName = HeaderName::from_static("nitro-elect-term");

/// Fields that are of one connection (RFC 9110 §7.6.1), and that no proxy forwards.
const HOP_BY_HOP: [&str; 7] =
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// Why a request or an answer is not passed on.
type Refusal = Box<Response>;

/// The request as it is forwarded, or why it is not.
pub fn prepared<B>(mut request: Request<B>, term: Term) -> Result<Request<B>, Refusal> {
    if request.method() == Method::CONNECT {
        return Err(refusal(
            StatusCode::NOT_IMPLEMENTED,
            "this gate forwards requests, and opens no tunnels",
        ));
    }
    check_coding(request.headers())?;
    check_term(request.headers(), term)?;
    let (target, host) = (target(request.uri())?, host(&request)?);
    *request.uri_mut() = target;
    *request.version_mut() = Version::HTTP_11;
    strip(request.headers_mut());
    request.headers_mut().insert(HOST, host);
    request.headers_mut().insert(TERM_FIELD, HeaderValue::from(term.0));
    Ok(request)
}

/// The answer as it is passed back.
pub fn returned(mut answer: Response, term: Term) -> Response {
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return *undecided(
            StatusCode::BAD_GATEWAY,
            "the resource changed to another protocol, though nobody asked it to",
        );
    }
    strip(answer.headers_mut());
    answer.headers_mut().insert(TERM_FIELD, HeaderValue::from(term.0));
    answer
}

/// Any coding but chunks would be lost, and what it encodes be taken for the body.
fn check_coding(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(refusal(StatusCode::NOT_IMPLEMENTED, "this gate knows no transfer coding but chunked")),
    }
}

fn check_term(headers: &HeaderMap, term: Term) -> Result<(), Refusal> {
    let expected = term.to_string();
    let mut claims = headers.iter().filter(|(name, _)| is_term_field(name));
    match claims.any(|(_, claimed)| claimed.as_bytes() != expected.as_bytes()) {
        true => {
            let why = format!("the request is for another term: this is term {term}");
            Err(refusal(StatusCode::CONFLICT, &why))
        }
        false => Ok(()),
    }
}

/// Whether a field becomes the term's variable: servers that make variables of fields write `_` for whatever is neither
/// letter nor digit.
fn is_term_field(name: &HeaderName) -> bool {
    let fold = |byte: u8| if byte.is_ascii_alphanumeric() { byte } else { b'_' };
    name.as_str().bytes().map(fold).eq(TERM_FIELD.as_str().bytes().map(fold))
}

/// The path and query, or `*`.
fn target(uri: &Uri) -> Result<Uri, Refusal> {
    let unreadable =
        || refusal(StatusCode::BAD_REQUEST, "the request's target is neither a path nor a whole URL");
    match (uri.scheme(), uri.authority()) {
        (None, Some(_)) => Err(unreadable()),
        _ => {
            let path = uri.path_and_query().map_or("/", |path| path.as_str());
            path.parse().map_err(|_| unreadable())
        }
    }
}

/// The one host that a request is for: that of its target, if it has one (RFC 9112 §3.2).
fn host<B>(request: &Request<B>) -> Result<HeaderValue, Refusal> {
    let wrong = |why| refusal(StatusCode::BAD_REQUEST, why);
    let mut named = request.headers().get_all(HOST).iter();
    let named = match (named.next(), named.next()) {
        (Some(host), None) => host.clone(),
        (None, _) if request.version() < Version::HTTP_11 => HeaderValue::from_static(""),
        (None, _) => return Err(wrong("the request names no host")),
        (Some(_), Some(_)) => return Err(wrong("the request names more than one host")),
    };
    match request.uri().authority() {
        None => Ok(named),
        Some(target) if target.as_str().contains('@') => Err(wrong("the request's target names a user")),
        Some(target) => {
            HeaderValue::from_str(target.as_str()).map_err(|_| wrong("the target's host is no host"))
        }
    }
}

/// Takes out what is of one connection, and the term that somebody else wrote.
fn strip(headers: &mut HeaderMap) {
    let listed: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        // Whoever lists these means to take them from under the resource.
        .filter(|name| HOST != *name.as_str() && CONTENT_LENGTH != *name.as_str())
        .collect();
    let terms: Vec<HeaderName> = headers.keys().filter(|name| is_term_field(name)).cloned().collect();
    terms.iter().for_each(|name| drop(headers.remove(name)));
    for name in listed.iter().map(String::as_str).chain(HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// The request was on its way when this happened.
pub fn undecided(code: StatusCode, why: &str) -> Refusal {
    refusal(code, &format!("{why}; whether the request was carried out is not known"))
}

/// Nothing passes at present.
pub fn unavailable(why: &str) -> Refusal {
    let mut answer = refusal(StatusCode::SERVICE_UNAVAILABLE, why);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// An answer of the gate's own.
pub fn refusal(code: StatusCode, why: &str) -> Refusal {
    Box::new((code, Json(json!({ "error": why }))).into_response())
}
