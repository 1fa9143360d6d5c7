//! The ways between clients, nodes and the database, each through a port that can be cut.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use crate::sockets;

/// An end of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    Clients,
    Node(usize),
    Database,
}

/// How a way is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// Connections are closed, new ones too.
    Cut,
    /// Nothing comes through, and nobody is told. Later what was sent arrives.
    Silent,
    /// The same, but only for what the first end is sent: it is heard, and hears nothing.
    Deaf,
    /// The same, but only for what the first end sends: it hears, and is not heard.
    Mute,
}

impl How {
    /// Whether it holds up what the first end sends, and what it is sent.
    fn holds_up(self) -> (bool, bool) {
        (self != Self::Deaf, self != Self::Mute)
    }
}

/// All ways, and their state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wires {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    /// The ports where the ends really are.
    ports: BTreeMap<End, u16>,
    /// The processes of the nodes.
    processes: Vec<Option<u32>>,
    /// By who sends and who is sent to, whoever of them connected.
    broken: BTreeMap<(End, End), How>,
}

impl Wires {
    /// Opens a port that leads to an end: from another one, or from whichever node connects.
    pub(crate) async fn open(&self, from: Option<End>, to: End) -> io::Result<u16> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let wires = self.clone();
        tokio::spawn(async move {
            loop {
                if let Ok((stream, address)) = listener.accept().await {
                    tokio::spawn(wires.clone().carry(from, to, stream, address));
                }
            }
        });
        Ok(port)
    }

    /// An end is at this port from now on.
    pub(crate) fn lead(&self, to: End, port: u16) {
        self.state().ports.insert(to, port);
    }

    /// The process of a node, while it has one.
    pub(crate) fn process(&self, node: usize, pid: Option<u32>) {
        let processes = &mut self.state().processes;
        processes.resize(processes.len().max(node + 1), None);
        processes[node] = pid;
    }

    /// Interrupts the way between two ends; `None` heals it.
    pub(crate) fn set(&self, one: End, other: End, how: Option<How>) {
        {
            let broken = &mut self.state().broken;
            let (forth, back) = how.map_or((false, false), How::holds_up);
            for (way, is_broken) in [((one, other), forth), ((other, one), back)] {
                match how.filter(|_| is_broken) {
                    Some(how) => drop(broken.insert(way, how)),
                    None => drop(broken.remove(&way)),
                }
            }
        }
        self.shared.changed.send_replace(());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn broken(&self, from: End, to: End) -> Option<How> {
        self.state().broken.get(&(from, to)).copied()
    }

    async fn carry(self, from: Option<End>, to: End, stream: TcpStream, address: SocketAddr) {
        let Some(from) = from.or_else(|| self.who(address, &stream)) else { return };
        let Some(port) = self.state().ports.get(&to).copied() else { return };
        if self.broken(from, to) == Some(How::Cut) {
            return;
        }
        let Ok(there) = TcpStream::connect(("127.0.0.1", port)).await else { return };
        let _ = (stream.set_nodelay(true), there.set_nodelay(true));
        let (here_in, here_out) = stream.into_split();
        let (there_in, there_out) = there.into_split();
        let forth = self.clone().pump((from, to), here_in, there_out);
        let back = self.pump((to, from), there_in, here_out);
        // One side that is closed closes the other: half of a connection is of no use here.
        tokio::select! {
            _ = forth => {}
            _ = back => {}
        }
    }

    /// Whoever connects from there, if it is a node.
    fn who(&self, address: SocketAddr, stream: &TcpStream) -> Option<End> {
        let processes = self.state().processes.clone();
        let ends = (address, stream.local_addr().ok()?);
        sockets::owner(ends, &processes).ok().flatten().map(End::Node)
    }

    async fn pump(
        self,
        (from, to): (End, End),
        mut source: OwnedReadHalf,
        mut sink: OwnedWriteHalf,
    ) -> io::Result<()> {
        let mut changed = self.shared.changed.subscribe();
        let mut buffer = vec![0; 16 << 10];
        loop {
            let read = tokio::select! {
                read = source.read(&mut buffer) => Some(read?),
                _ = changed.changed() => None,
            };
            while let Some(how) = self.broken(from, to) {
                if how == How::Cut {
                    return Ok(());
                }
                let _ = changed.changed().await;
            }
            match read {
                Some(0) => return Ok(()),
                Some(read) => sink.write_all(&buffer[..read]).await?,
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// A way from the clients to a port that answers with what it hears.
    async fn echo() -> (Wires, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let wires = Wires::default();
        wires.lead(End::Database, listener.local_addr().expect("it has one").port());
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("somebody");
            let (mut hears, mut says) = stream.into_split();
            tokio::io::copy(&mut hears, &mut says).await
        });
        let port = wires.open(Some(End::Clients), End::Database).await.expect("a port");
        (wires, TcpStream::connect(("127.0.0.1", port)).await.expect("a way"))
    }

    async fn heard(stream: &mut TcpStream) -> Option<u8> {
        let mut byte = [0];
        let read = timeout(Duration::from_millis(200), stream.read(&mut byte)).await.ok()?;
        (read.ok()? == 1).then_some(byte[0])
    }

    #[tokio::test]
    async fn a_silent_way_brings_later_what_was_sent_meanwhile() {
        let (wires, mut stream) = echo().await;
        stream.write_all(b"a").await.expect("it is open");
        while heard(&mut stream).await.is_none() {}
        wires.set(End::Database, End::Clients, Some(How::Silent));
        stream.write_all(b"b").await.expect("it is open");
        assert_eq!(heard(&mut stream).await, None);
        wires.set(End::Clients, End::Database, None);
        let mut byte = [0];
        stream.read_exact(&mut byte).await.expect("it comes");
        assert_eq!(byte, *b"b");
    }

    #[tokio::test]
    async fn who_is_deaf_is_heard() {
        let (wires, mut stream) = echo().await;
        stream.write_all(b"a").await.expect("it is open");
        while heard(&mut stream).await.is_none() {}
        wires.set(End::Clients, End::Database, Some(How::Deaf));
        stream.write_all(b"b").await.expect("it is open");
        assert_eq!(heard(&mut stream).await, None);
        // What came back meanwhile would come now if it had not been heard.
        wires.set(End::Clients, End::Database, Some(How::Mute));
        assert_eq!(heard(&mut stream).await, Some(b'b'));
    }

    #[tokio::test]
    async fn a_way_that_is_cut_ends() {
        let (wires, mut stream) = echo().await;
        stream.write_all(b"a").await.expect("it is open");
        while heard(&mut stream).await.is_none() {}
        wires.set(End::Clients, End::Database, Some(How::Cut));
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0, "it is closed");
    }

    #[tokio::test]
    async fn who_connects_is_known_by_the_process() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("it has one").port();
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it is there");
        let (_accepted, _) = listener.accept().await.expect("somebody");
        let ends = (stream.local_addr(), stream.peer_addr());
        let ends = (ends.0.expect("it has one"), ends.1.expect("it is connected"));
        let found = sockets::owner(ends, &[None, Some(std::process::id())]);
        assert_eq!(found.expect("linux tells"), Some(1));
    }
}
