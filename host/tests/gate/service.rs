//! A web service behind a gate in HTTP mode, which keeps the very bytes of the requests that reach it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::presenter::Scene;

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Arrived {
    /// Up to and with the empty line.
    pub head: String,
    /// What follows, chunks and trailers as they are.
    pub body: String,
}

impl Arrived {
    /// The values of a field, by whatever case it is written in.
    pub fn values(&self, name: &str) -> Vec<String> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let of_name = fields.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.trim().to_owned()).collect()
    }
}

/// See the module. Each request is answered with its body, and with these fields besides.
#[derive(Clone)]
pub struct Service {
    pub address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    answer: Arc<str>,
}

impl Service {
    /// One that claims another term in its answers.
    pub fn start() -> Self {
        Service::answering("HTTP/1.1 200 OK\r\nnitro-elect-term: 99\r\n")
    }

    /// One whose answers begin so.
    pub fn answering(answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let service = Service { address, arrived: Arc::default(), answer: answer.into() };
        let serving = service.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = serving.clone();
                thread::spawn(move || while serving.serve(stream.as_ref().unwrap()).is_some() {});
            }
        });
        service
    }

    fn serve(&self, mut stream: &TcpStream) -> Option<()> {
        let head = until(stream, "\r\n\r\n")?;
        let mut arrived = Arrived { head, ..Arrived::default() };
        if arrived.values("transfer-encoding").is_empty() {
            let length = arrived.values("content-length").first().map_or(0, |length| length.parse().unwrap());
            let mut body = vec![0; length];
            stream.read_exact(&mut body).ok()?;
            arrived.body = String::from_utf8(body).unwrap();
        } else {
            while !arrived.body.ends_with("0\r\n") {
                arrived.body += &until(stream, "\r\n")?;
            }
            while !arrived.body.ends_with("\r\n\r\n") {
                arrived.body += &until(stream, "\r\n")?;
            }
        }
        let body = arrived.body.clone();
        self.arrived.lock().unwrap().push(arrived);
        write!(stream, "{}content-length: {}\r\n\r\n{body}", self.answer, body.len()).ok()
    }

    /// All requests so far.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    /// The same, and forgets them.
    pub fn taken(&self) -> Vec<Arrived> {
        std::mem::take(&mut *self.arrived.lock().unwrap())
    }

    /// The newest request.
    pub fn last(&self) -> Arrived {
        self.arrived().pop().unwrap_or_default()
    }
}

fn until(mut stream: &TcpStream, end: &str) -> Option<String> {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        read.push(byte[0]);
    }
    Some(String::from_utf8(read).unwrap())
}

/// A gate in HTTP mode before a service.
pub async fn before(service: &Service) -> Scene {
    let address = service.address;
    Scene::with(|config| {
        (config.is_http, config.upstream) = (true, address.to_string().parse().unwrap());
    })
    .await
}
