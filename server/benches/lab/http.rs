//! The least of an HTTP/1.1 client (RFC 9112): requests written as they are, answers with a `Content-Length`, in chunks or none, kept-alive.

use serde_json::Value;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};

/// A connection.
pub struct Client<IO> {
    io: IO,
    buffer: Vec<u8>,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Client<IO> {
    pub fn new(io: IO) -> Self {
        Self { io, buffer: Vec::with_capacity(8192) }
    }

    /// Sends a whole request and reads the whole answer.
    pub async fn ask(&mut self, request: &[u8]) -> std::io::Result<Answer> {
        self.io.write_all(request).await?;
        self.io.flush().await?;
        self.buffer.clear();
        let head = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{text}"));
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
        while self.buffer.len() < head + length {
            self.more().await?;
        }
        Ok(Answer { status, body: self.buffer[head..head + length].to_vec() })
    }

    /// Sends a whole request and counts the lines of an answer in chunks (RFC 9112 §7.1), which is not kept.
    pub async fn count_lines(&mut self, request: &[u8]) -> std::io::Result<usize> {
        self.io.write_all(request).await?;
        self.io.flush().await?;
        self.buffer.clear();
        let mut lines = 0;
        loop {
            self.more().await?;
            lines += ends(&self.buffer);
            if self.buffer.ends_with(b"\r\n0\r\n\r\n") {
                return Ok(lines);
            }
            // The end may come in two parts.
            let kept = self.buffer.len().saturating_sub(6);
            lines -= ends(&self.buffer[kept..]);
            self.buffer.drain(..kept);
        }
    }

    async fn more(&mut self) -> std::io::Result<()> {
        match self.io.read_buf(&mut self.buffer).await? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// How many lines end in these bytes.
fn ends(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').count() - 1
}

/// A request with a JSON body.
pub fn post(path: &str, bearer: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {bearer}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A request for something.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

/// The API, as somebody who may use it.
pub struct Rest {
    api: Client<TcpStream>,
    bearer: String,
}

impl Rest {
    pub async fn new(at: SocketAddr, bearer: &str) -> Self {
        Self { api: Client::new(TcpStream::connect(at).await.unwrap()), bearer: bearer.to_owned() }
    }

    /// A question's bytes.
    pub fn question(&self, path: &str) -> Vec<u8> {
        format!("GET /api/v1{path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n", self.bearer).into_bytes()
    }

    pub async fn get(&mut self, path: &str) -> Value {
        let question = self.question(path);
        self.answered(path, &question).await
    }

    pub async fn post(&mut self, path: &str, body: &Value) -> Value {
        let request = post(&format!("/api/v1{path}"), &self.bearer, &body.to_string());
        self.answered(path, &request).await
    }

    pub async fn put(&mut self, path: &str, bytes: &[u8]) {
        let length = bytes.len();
        let head = format!(
            "PUT /api/v1{path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: application/octet-stream\r\n\
             content-length: {length}\r\n\r\n",
            self.bearer
        );
        self.answered(path, &[head.as_bytes(), bytes].concat()).await;
    }

    /// Lines of a file.
    pub async fn lines(&mut self, path: &str) -> usize {
        let question = self.question(path);
        self.api.count_lines(&question).await.unwrap()
    }

    async fn answered(&mut self, path: &str, request: &[u8]) -> Value {
        let answer = self.api.ask(request).await.unwrap();
        assert!((200..300).contains(&answer.status), "{path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        if answer.body.is_empty() { Value::Null } else { serde_json::from_slice(&answer.body).unwrap() }
    }
}
