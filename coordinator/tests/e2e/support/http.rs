//! A client that sends one HTTP request on a connection of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Status, headers in lower case, and body of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
}

/// Sends a request to a port of this machine. `headers` are lines that end with CR LF.
pub(crate) fn request(port: u16, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (headers, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{text}"));
    let headers = headers.to_lowercase();
    let body = if headers.contains("transfer-encoding: chunked") { joined(body) } else { body.to_owned() };
    Answer { status, headers, body }
}

/// Joins the chunks of a body.
fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    while let Some((length, rest)) = chunks.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).expect("the length of a chunk");
        if length == 0 {
            break;
        }
        body.push_str(&rest[..length]);
        chunks = &rest[length + 2..];
    }
    body
}
