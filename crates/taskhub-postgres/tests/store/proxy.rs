//! A wire between a store and its server that a test can cut after any number of bytes.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// A port that leads to the server.
pub(crate) struct Proxy {
    port: u16,
    wire: Arc<Wire>,
}

#[derive(Default)]
struct Wire {
    /// Bytes that went to the server, and to the client.
    counts: [AtomicUsize; 2],
    /// Which way to cut, and after how many bytes more.
    cut: Mutex<Option<(Way, usize)>>,
    /// How many connections were made, and how many of them are silent for good.
    connected: AtomicUsize,
    frozen: AtomicUsize,
}

impl Proxy {
    /// Leads to a port of this machine.
    pub(crate) fn to(server: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let wire = Arc::new(Wire::default());
        let shared = wire.clone();
        // Ends with the process: it only waits.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(("127.0.0.1", server)) {
                    let _ = connect(&client, &server, &shared);
                }
            }
        });
        Ok(Self { port, wire })
    }

    /// The address of the database by this way.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Cuts the connection when so many bytes more have gone this way; later ones are whole.
    pub(crate) fn cut(&self, way: Way, after: usize) {
        *self.wire.cut.lock().unwrap_or_else(PoisonError::into_inner) = Some((way, after));
    }

    /// Takes back a cut that has not come about. Whether it had.
    pub(crate) fn mend(&self) -> bool {
        self.wire.cut.lock().unwrap_or_else(PoisonError::into_inner).take().is_none()
    }

    /// From now on nothing goes over the connections that there are, and nobody is told.
    pub(crate) fn freeze(&self) {
        self.wire.frozen.store(self.wire.connected.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// Bytes that went to the server and to the client so far.
    pub(crate) fn counts(&self) -> [usize; 2] {
        [0, 1].map(|way| self.wire.counts[way].load(Ordering::SeqCst))
    }
}

fn connect(client: &TcpStream, server: &TcpStream, wire: &Arc<Wire>) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let number = wire.connected.fetch_add(1, Ordering::SeqCst);
    for (way, from, to) in [(Way::ToServer, client, server), (Way::ToClient, server, client)] {
        let (from, to, wire) = (from.try_clone()?, to.try_clone()?, wire.clone());
        thread::spawn(move || {
            let _ = pump((way, number), &from, &to, &wire);
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}

fn pump(
    (way, number): (Way, usize),
    mut from: &TcpStream,
    mut to: &TcpStream,
    wire: &Wire,
) -> io::Result<()> {
    let mut buffer = [0; 16 << 10];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        if number < wire.frozen.load(Ordering::SeqCst) {
            continue;
        }
        let passes = wire.passes(way, read);
        wire.counts[way as usize].fetch_add(passes, Ordering::SeqCst);
        to.write_all(&buffer[..passes])?;
        if passes < read {
            return Ok(());
        }
    }
}

impl Wire {
    /// How many of these bytes still pass.
    fn passes(&self, way: Way, bytes: usize) -> usize {
        let mut cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *cut {
            Some((cut_way, left)) if *cut_way == way => {
                if *left < bytes {
                    let passes = *left;
                    *cut = None;
                    return passes;
                }
                *left -= bytes;
                bytes
            }
            _ => bytes,
        }
    }
}
