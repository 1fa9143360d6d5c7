//! A client that speaks as much HTTP as the tests need, and also what is none.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// The longest that any answer may take, on however slow a machine.
const ANSWER_MAX: Duration = Duration::from_mins(2);

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The lines of the head, in small letters.
    pub(crate) head: String,
    pub(crate) text: String,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(str::trim)
    }

    /// What the answer says, without what the moment adds to it.
    pub(crate) fn says(&self) -> (u16, &str) {
        (self.status, &self.text)
    }
}

/// A GET, perhaps with an `Idempotency-Key`.
pub(crate) fn get(path: &str, key: Option<&str>) -> Vec<u8> {
    let key = key.map(|key| format!("idempotency-key: {key}\r\n")).unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nhost: weather\r\nconnection: close\r\n{key}\r\n").into_bytes()
}

/// Sends bytes, and reads the answer; an error if the connection ends before the answer does.
pub(crate) async fn send(address: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    let whole = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request).await?;
        answer(&mut stream).await
    };
    timeout(ANSWER_MAX, whole).await?
}

/// Reads until the other side closes the connection.
pub(crate) async fn answer(stream: &mut TcpStream) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes).await;
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "half an answer");
    let whole = String::from_utf8(bytes).map_err(|_| cut());
    let Some((head, text)) = whole?.split_once("\r\n\r\n").map(own) else {
        return Err(ended.err().unwrap_or_else(cut));
    };
    let head = head.to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
    let answer = Answer { status, head, text };
    let length = answer.header("content-length").and_then(|length| length.parse().ok());
    if length.is_some_and(|length: usize| length != answer.text.len()) {
        return Err(cut());
    }
    Ok(answer)
}

fn own((head, text): (&str, &str)) -> (String, String) {
    (head.to_owned(), text.to_owned())
}
