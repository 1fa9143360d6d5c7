//! A client that speaks as much HTTP as the load needs.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub status: u16,
    pub text: String,
}

/// Posts to a port of this machine, and reads the whole answer.
pub(crate) async fn post(
    port: u16,
    path: &str,
    key: Option<&str>,
    body: &str,
    patience: Duration,
) -> io::Result<Answer> {
    let key = key.map(|key| format!("idempotency-key: {key}\r\n")).unwrap_or_default();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\ncontent-length: {length}\r\n\
         {key}\r\n{body}"
    );
    let whole = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        read(&bytes).ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "half an answer"))
    };
    timeout(patience, whole).await?
}

fn read(bytes: &[u8]) -> Option<Answer> {
    let (head, text) = std::str::from_utf8(bytes).ok()?.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut length = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: Option<usize> = length.next().and_then(|(_, value)| value.trim().parse().ok());
    let is_whole = length.is_none_or(|length| length == text.len());
    is_whole.then(|| Answer { status, text: text.to_owned() })
}
