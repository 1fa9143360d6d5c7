//! Which protocol a client speaks; it must say so in time.
//!
//! HTTP/2 begins with 24 fixed bytes, and until they have come, or others, nobody knows whether to
//! wait for more. They are read here, and read once more by who serves the protocol: together with
//! what comes behind them, as HTTP/1 takes a larger buffer for each piece that a head comes in.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// How every HTTP/2 connection begins.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A connection of which some bytes were read, and will be read again.
pub(super) struct FirstBytes<IO> {
    io: IO,
    again: Bytes,
}

impl<IO: AsyncRead + Unpin> FirstBytes<IO> {
    /// Reads until it is clear what the client speaks.
    pub(super) async fn of(io: IO, within: Duration) -> io::Result<(Protocol, Self)> {
        let mut first = Self { io, again: Bytes::new() };
        let protocol = tokio::time::timeout(within, first.protocol()).await??;
        Ok((protocol, first))
    }

    async fn protocol(&mut self) -> io::Result<Protocol> {
        let (mut bytes, mut count) = ([0; PREFACE.len()], 0);
        let protocol = loop {
            if bytes[..count] != PREFACE[..count] {
                break Protocol::Http1;
            }
            if count == PREFACE.len() {
                break Protocol::Http2;
            }
            match self.io.read(&mut bytes[count..]).await? {
                0 => break Protocol::Http1,
                more => count += more,
            }
        };
        self.again = Bytes::copy_from_slice(&bytes[..count]);
        Ok(protocol)
    }

    /// These bytes come before all others.
    pub(super) fn before(&mut self, bytes: &[u8]) {
        self.again = [bytes, &self.again].concat().into();
    }

    pub(super) fn io(&self) -> &IO {
        &self.io
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for FirstBytes<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.again.is_empty() {
            return Pin::new(&mut this.io).poll_read(cx, buffer);
        }
        let count = this.again.len().min(buffer.remaining());
        buffer.put_slice(&this.again.split_to(count));
        if this.again.is_empty() {
            this.again = Bytes::new();
        }
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        // Should nothing have come yet, or no more come: the next read will say so again.
        let _ = Pin::new(&mut this.io).poll_read(cx, buffer);
        Poll::Ready(Ok(()))
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
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    const WITHIN: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_say_what_it_speaks_is_cut_off() {
        for sent in [&b""[..], b"P", &PREFACE[..23]] {
            let (mut client, server) = tokio::io::duplex(64);
            client.write_all(sent).await.unwrap();
            let error = FirstBytes::of(server, WITHIN).await.err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
    }

    #[tokio::test]
    async fn what_told_the_protocol_is_read_together_with_what_follows() {
        let (longer, slower) = ([&PREFACE[..], b"and more"].concat(), b"PUT / HTTP/1.1\r\n\r\n");
        let both = [(&longer[..], Protocol::Http2), (&slower[..], Protocol::Http1)];
        for (sent, expected) in both {
            let (mut client, server) = tokio::io::duplex(64);
            client.write_all(sent).await.unwrap();
            let (protocol, mut server) = FirstBytes::of(server, WITHIN).await.unwrap();
            assert_eq!(protocol, expected);
            let mut bytes = [0; 64];
            let count = server.read(&mut bytes).await.unwrap();
            assert_eq!(&bytes[..count], sent);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_may_come_in_pieces_and_be_read_in_pieces() {
        let (mut client, server) = tokio::io::duplex(1);
        let writing = tokio::spawn(async move { client.write_all(PREFACE).await });
        let (protocol, mut server) = FirstBytes::of(server, WITHIN).await.unwrap();
        assert_eq!(protocol, Protocol::Http2);
        writing.await.unwrap().unwrap();
        let mut bytes = Vec::new();
        while let Ok(byte) = server.read_u8().await {
            bytes.push(byte);
        }
        assert_eq!(bytes, PREFACE);
    }
}
