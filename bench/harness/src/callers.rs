//! Clients in a process of their own, which ask and then wait for as long as they live.
//!
//! They speak HTTP byte by byte: a request is all that they send, and what comes back is theirs to
//! ignore. So thousands of them cost next to nothing.
use std::net::SocketAddr;
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::Result;

/// Connections that are made at the same time.
const AT_ONCE: usize = 200;

/// Calls on one connection of HTTP/2.
const STREAMS: usize = 100;

/// The kinds of frames of HTTP/2 that are needed here, the flag of an answer to one, and those of
/// a request that is whole.
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;
const WHOLE: u8 = 5;

/// What callers ask, and how often.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) server: SocketAddr,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) http2: bool,
    pub(crate) requests: usize,
}

/// Starts callers in a process of their own, which goes when this is dropped.
pub(crate) fn start(asked: &Asked) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("callers").arg(serde_json::to_string(asked)?);
    Ok(command.stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true).spawn()?)
}

/// What that process does: it asks what `asked` (JSON) says, and ends with its standard input.
pub fn call(asked: &str) -> ! {
    let runtime = tokio::runtime::Runtime::new().map_err(crate::Error::from);
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let called = runtime.and_then(|runtime| runtime.block_on(hold(&serde_json::from_str(asked)?)));
    if let Err(error) = called {
        eprintln!("{error}");
        std::process::exit(1);
    }
    std::process::exit(0);
}

async fn hold(asked: &Asked) -> Result<()> {
    let each = if asked.http2 { STREAMS } else { 1 };
    let mut open = Vec::new();
    let mut left = asked.requests;
    while left > 0 {
        let mut opening = Vec::new();
        while left > 0 && opening.len() * each < AT_ONCE {
            let count = left.min(each);
            left -= count;
            let asked = asked.clone();
            opening.push(tokio::spawn(async move {
                let stream = TcpStream::connect(asked.server).await?;
                if asked.http2 {
                    many(stream, &asked, count).await.map(|()| None)
                } else {
                    one(stream, &asked).await.map(Some)
                }
            }));
        }
        for opened in opening {
            open.extend(opened.await??);
        }
    }
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    Ok(())
}

/// A request over HTTP/1.
async fn one(mut stream: TcpStream, asked: &Asked) -> Result<TcpStream> {
    let Asked { method, path, .. } = asked;
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

/// So many requests on one connection of HTTP/2, which is kept alive by a task of its own.
async fn many(mut stream: TcpStream, asked: &Asked, count: usize) -> Result<()> {
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend(frame(SETTINGS, 0, 0, &[]));
    for number in (1_u32..).step_by(2).take(count) {
        sent.extend(frame(HEADERS, WHOLE, number, &head(asked)?));
    }
    stream.write_all(&sent).await?;
    tokio::spawn(async move {
        if let Err(error) = live(&mut stream).await {
            eprintln!("a connection ended: {error}");
        }
    });
    Ok(())
}

/// Answers what the server wants to know.
async fn live(stream: &mut TcpStream) -> Result<()> {
    loop {
        let mut about = [0; 9];
        stream.read_exact(&mut about).await?;
        let [a, b, c, kind, flags, ..] = about;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await?;
        let answer = match (kind, flags & ACK) {
            (SETTINGS, 0) => frame(SETTINGS, ACK, 0, &[]),
            (PING, 0) => frame(PING, ACK, 0, &payload),
            _ => continue,
        };
        stream.write_all(&answer).await?;
    }
}

/// The head of a request in HPACK: fields of its table, and texts as they are.
fn head(asked: &Asked) -> Result<Vec<u8>> {
    let method = match asked.method.as_str() {
        "GET" => 0x82,
        "POST" => 0x83,
        other => return Err(format!("{other} is no method of these clients").into()),
    };
    let length = u8::try_from(asked.path.len()).ok().filter(|length| *length < 0x7F);
    let mut head = vec![method, 0x86, 0x01, 9];
    head.extend(b"localhost");
    head.extend([0x04, length.ok_or("the path is too long")?]);
    head.extend(asked.path.as_bytes());
    Ok(head)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}
