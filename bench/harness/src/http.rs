//! A kept-alive HTTP/1.1 connection that costs next to nothing, so that it is never the limit.
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;

/// One connection to the server under measurement; one exchange at a time.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// The answer to one exchange.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    /// The body as it came.
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// The body of an answer that says yes; the error of any other says what came instead.
    pub fn accepted(&self) -> Result<String> {
        let text = String::from_utf8_lossy(self.body);
        match self.status {
            200..300 => Ok(text.into_owned()),
            status => Err(format!("the server answered {status}: {text}").into()),
        }
    }
}

impl Connection {
    /// Connects to a server.
    pub async fn open(server: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, received: Vec::with_capacity(1024) })
    }

    /// Asks a GET.
    pub async fn get(&mut self, path: &str) -> Result<Answer<'_>> {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n")).await
    }

    /// Posts a text.
    pub async fn post(&mut self, path: &str, text: &str) -> Result<Answer<'_>> {
        let length = text.len();
        let head = format!("POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-length: {length}");
        self.exchange(&format!("{head}\r\n\r\n{text}")).await
    }

    /// Posts a text that says it is JSON, where a server insists on that.
    pub async fn post_json(&mut self, path: &str, text: &str) -> Result<Answer<'_>> {
        let length = text.len();
        let head = format!("POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-length: {length}");
        let head = format!("{head}\r\ncontent-type: application/json");
        self.exchange(&format!("{head}\r\n\r\n{text}")).await
    }

    async fn exchange(&mut self, request: &str) -> Result<Answer<'_>> {
        self.stream.write_all(request.as_bytes()).await?;
        self.received.clear();
        let head = loop {
            self.receive().await?;
            if let Some(end) = self.received.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
        };
        let text = std::str::from_utf8(&self.received[..head])?;
        let status = text.get(9..12).ok_or("no status line")?.parse()?;
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        let end = head + 4 + length.map_or(Ok(0), str::parse::<usize>)?;
        while self.received.len() < end {
            self.receive().await?;
        }
        Ok(Answer { status, body: &self.received[head + 4..end] })
    }

    async fn receive(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err("the server closed the connection".into()),
            _ => Ok(()),
        }
    }
}
