//! A resource that writes down what reaches it, and ends its connections when it is told to.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// What reached it, and whether its connections end when they are asked to.
#[derive(Default)]
struct Book {
    bytes: Vec<u8>,
    holds: bool,
    resets: usize,
}

/// A TCP server on loopback. Every connection answers "ok\n" to each line.
#[derive(Clone)]
pub struct Resource {
    pub address: SocketAddr,
    book: Arc<(Mutex<Book>, Condvar)>,
}

impl Resource {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let resource = Resource { address: listener.local_addr().unwrap(), book: Arc::default() };
        let serving = resource.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = serving.clone();
                thread::spawn(move || serving.serve(stream.unwrap()));
            }
        });
        resource
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut chunk = [0; 1024];
        loop {
            match stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => {
                    self.book.0.lock().unwrap().bytes.extend_from_slice(&chunk[..read]);
                    for _ in chunk[..read].iter().filter(|byte| **byte == b'\n') {
                        let _may_be_gone = stream.write_all(b"ok\n");
                    }
                }
                Err(_) => {
                    self.book.0.lock().unwrap().resets += 1;
                    return;
                }
            }
        }
        let held = self.book.1.wait_while(self.book.0.lock().unwrap(), |book| book.holds).unwrap();
        drop(held);
        let _may_be_gone = stream.shutdown(Shutdown::Both);
    }

    /// From now on connections stay open at their end, as those of a resource that is still at work.
    pub fn hold(&self, holds: bool) {
        self.book.0.lock().unwrap().holds = holds;
        self.book.1.notify_all();
    }

    /// Everything that reached it.
    pub fn text(&self) -> String {
        String::from_utf8(self.book.0.lock().unwrap().bytes.clone()).unwrap()
    }

    /// Connections that ended with a reset.
    pub fn resets(&self) -> usize {
        self.book.0.lock().unwrap().resets
    }
}
