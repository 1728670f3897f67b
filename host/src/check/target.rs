//! What a check tries: a command line of the shell, or a URL.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::str::FromStr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::limits::{ANSWER_HEAD_MAX, URL_MAX};
use crate::shell;
use crate::transport::connect::resolve;
use crate::transport::endpoint::HostPort;

/// What is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A line for `/bin/sh`; it passes with exit code 0.
    Command(String),
    /// A URL that is fetched with GET; it passes with a status of 200 to 299. Redirections fail: nobody follows them.
    Http {
        /// The server.
        server: HostPort,
        /// What is asked for, with its query.
        path: String,
    },
}

/// Why a text is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A protocol that is not spoken here.
    #[error("only http:// is spoken here: for anything else, name a command, such as 'curl --fail {0}'")]
    NotHttp(String),
    /// No host in it, or one that cannot be read.
    #[error("{0:?} is no URL: write http://HOST:PORT/PATH")]
    Url(String),
    /// Nothing.
    #[error("there is nothing to try: name a command or a URL")]
    Nothing,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if text.trim().is_empty() {
            return Err(TargetError::Nothing);
        }
        let Some((protocol, rest)) = text.split_once("://").filter(|(protocol, _)| is_protocol(protocol))
        else {
            return Ok(Target::Command(text.into()));
        };
        if protocol != "http" {
            return Err(TargetError::NotHttp(text.chars().take(80).collect()));
        }
        let wrong = || TargetError::Url(text.chars().take(80).collect());
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(at);
        let is_plain = text.len() <= URL_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
        let is_server = !host.is_empty() && !host.contains('@');
        if !is_plain || !is_server {
            return Err(wrong());
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let server = if has_port { host.to_owned() } else { format!("{host}:80") };
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Target::Http { server: server.parse().map_err(|_| wrong())?, path })
    }
}

fn is_protocol(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

impl Target {
    /// Tries it once; why it does not pass. A try that is dropped is ended.
    pub async fn try_once(&self) -> Result<(), String> {
        match self {
            Target::Command(line) => run(line).await,
            Target::Http { server, path } => get(server, path).await,
        }
    }
}

async fn run(line: &str) -> Result<(), String> {
    let mut command = shell::line(line);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let ended = shell::to_its_end(command).await;
    let status = ended.map_err(|error| format!("/bin/sh could not be started: {error}"))?;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(format!("exit code {code}")),
        (None, signal) => Err(format!("ended by signal {}", signal.unwrap_or_default())),
    }
}

async fn get(server: &HostPort, path: &str) -> Result<(), String> {
    let addresses = resolve(server).await.map_err(|error| error.to_string())?;
    // Each in turn: a name such as localhost often has two, and the server listens at one.
    let mut stream =
        TcpStream::connect(&addresses[..]).await.map_err(|error| format!("{server}: {error}"))?;
    let version = env!("CARGO_PKG_VERSION");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {server}\r\nUser-Agent: nitro-elect/{version}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(|error| format!("{server}: {error}"))?;
    let mut head = Vec::new();
    while !head.contains(&b'\n') && head.len() < ANSWER_HEAD_MAX {
        let read = stream.read_buf(&mut head).await.map_err(|error| format!("{server}: {error}"))?;
        if read == 0 {
            break;
        }
    }
    match status_of(&head) {
        Some(200..=299) => Ok(()),
        Some(status) => Err(format!("{server} answers {path} with status {status}")),
        None => Err(format!("what {server} answers is no HTTP")),
    }
}

/// The status of an answer, by its first line.
fn status_of(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let rest = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.")?;
    rest.trim_end().split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn http(text: &str) -> (String, String) {
        match text.parse() {
            Ok(Target::Http { server, path }) => (server.to_string(), path),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_url_is_told_from_a_command() {
        let both = |server: &str, path: &str| (server.to_owned(), path.to_owned());
        assert_eq!(http("http://127.0.0.1:8080/health?deep=1#x"), both("127.0.0.1:8080", "/health?deep=1"));
        assert_eq!(http("http://db.example"), both("db.example:80", "/"));
        assert_eq!(http("http://[::1]:80?a"), both("[::1]:80", "/?a"));
        for line in ["pg_isready -q", "curl --fail https://x/", "test -e /tmp/ok"] {
            assert_eq!(line.parse(), Ok(Target::Command(line.into())));
        }
        assert!(matches!("https://x/".parse::<Target>(), Err(TargetError::NotHttp(_))));
        for wrong in ["http://", "http:///path", "http://a b/", "http://user@host/", "http://host\r\n/"] {
            assert!(matches!(wrong.parse::<Target>(), Err(TargetError::Url(_))), "{wrong:?}");
        }
        assert_eq!(" ".parse::<Target>(), Err(TargetError::Nothing));
    }

    #[tokio::test]
    async fn a_command_passes_by_its_exit_code_alone() {
        let tried = async |line: &str| Target::Command(line.into()).try_once().await;
        assert_eq!(tried("exit 0").await, Ok(()));
        assert_eq!(tried("echo x >&2; exit 3").await, Err("exit code 3".into()));
        assert_eq!(tried("kill -9 $$").await, Err("ended by signal 9".into()));
    }

    #[tokio::test]
    async fn a_url_passes_by_its_status_alone() {
        for (answer, passes) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", true),
            ("HTTP/1.0 200 OK\n\n", true),
            ("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", false),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", false),
            ("SSH-2.0-OpenSSH_9.2\r\n", false),
            ("", false),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/healthy", listener.local_addr().unwrap());
            let target: Target = url.parse().unwrap();
            let served = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let read = stream.read(&mut request).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                String::from_utf8(request[..read].to_vec()).unwrap()
            };
            let (tried, request) = tokio::join!(target.try_once(), served);
            assert_eq!(tried.is_ok(), passes, "{answer:?}: {tried:?}");
            assert!(request.starts_with("GET /healthy HTTP/1.1\r\nHost: 127.0.0.1:"), "{request}");
        }
        let nobody: Target = "http://127.0.0.1:1/".parse().unwrap();
        assert!(nobody.try_once().await.is_err());
    }
}
