//! A connection that must say in time which protocol it speaks.
//!
//! HTTP/2 begins with 24 fixed bytes, and until they have come, or others, nobody knows whether to
//! wait for more. This ends a connection that stays silent meanwhile.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// How every HTTP/2 connection begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection with a deadline for its first bytes.
pub(super) struct FirstBytes<IO> {
    io: IO,
    /// What the client is expected to send, and until when; `None` once it is clear what it speaks.
    expected: Option<(&'static [u8], Pin<Box<Sleep>>)>,
}

impl<IO> FirstBytes<IO> {
    pub(super) fn new(io: IO, within: Duration) -> Self {
        Self { io, expected: Some((PREFACE, Box::pin(tokio::time::sleep(within)))) }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for FirstBytes<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let this = &mut *self;
        let Some((rest, deadline)) = &mut this.expected else {
            return Pin::new(&mut this.io).poll_read(cx, buffer);
        };
        if let Poll::Ready(read) = Pin::new(&mut this.io).poll_read(cx, buffer) {
            match rest.strip_prefix(&buffer.filled()[before..]) {
                Some(rest_now) if !rest_now.is_empty() => *rest = rest_now,
                _ => this.expected = None,
            }
            return Poll::Ready(read);
        }
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for FirstBytes<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// What a read says after `sent` and a minute of silence.
    async fn after_a_minute(sent: &[u8]) -> io::Result<()> {
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = FirstBytes::new(server, Duration::from_secs(30));
        client.write_all(sent).await.unwrap();
        let mut bytes = vec![0; sent.len()];
        server.read_exact(&mut bytes).await.unwrap();
        assert_eq!(bytes, sent);
        let more = tokio::time::timeout(Duration::from_mins(1), server.read_u8()).await;
        more.map_or(Ok(()), |read| read.map(|_| ()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_say_what_it_speaks_is_cut_off() {
        for sent in [&b""[..], b"P", &PREFACE[..23]] {
            let error = after_a_minute(sent).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_said_it_may_be_silent() {
        for sent in [PREFACE, b"GET / HTTP/1.1\r\n", b"PUT"] {
            assert!(after_a_minute(sent).await.is_ok());
        }
    }
}
