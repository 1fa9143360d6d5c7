//! The connections to one database, and the thread that carries what goes over them.

use std::{
    sync::{Condvar, Mutex, PoisonError, mpsc::Sender},
    time::Duration,
};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_postgres::Row;

use crate::{OpenError, address::Address, error::Trouble, link::Link, wait::wait};

/// Connections to a database, shared by the hubs in it.
pub(crate) struct Database {
    address: Address,
    patience: Duration,
    /// For reads, which may take long.
    pub(crate) readers: Pool,
    /// For commits, which wait for no read.
    pub(crate) writers: Pool,
    /// For leases, which wait for no commit either.
    pub(crate) leases: Pool,
    /// Given up without waiting when this is dropped: that may be within another runtime.
    runtime: Option<Runtime>,
    handle: Handle,
}

/// Some connections, opened when they are needed.
pub(crate) struct Pool {
    slots: Mutex<Slots>,
    returned: Condvar,
    count_max: usize,
}

#[derive(Default)]
struct Slots {
    idle: Vec<Link>,
    lent: usize,
}

impl Database {
    /// The database at an address; nothing is sent yet.
    pub(crate) fn new(
        address: Address,
        patience: Duration,
        counts: [usize; 3],
    ) -> Result<Self, OpenError> {
        let mut threads = Builder::new_multi_thread();
        threads.worker_threads(1).thread_name("taskhub-postgres").enable_all();
        let runtime = threads.build().map_err(|error| OpenError::Threads(error.to_string()))?;
        let handle = runtime.handle().clone();
        let [readers, writers, leases] = counts.map(Pool::new);
        Ok(Self { address, patience, readers, writers, leases, runtime: Some(runtime), handle })
    }

    /// Does `work`, which only reads. When the connection turns out to have died, it is done on a
    /// new one.
    pub(crate) fn read<T>(
        &self,
        work: impl AsyncFnMut(&mut Link) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        self.read_on(&self.readers, work)
    }

    /// The same, on one of the connections of `pool`.
    pub(crate) fn read_on<T>(
        &self,
        pool: &Pool,
        mut work: impl AsyncFnMut(&mut Link) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        match self.run(pool, &mut work) {
            Err(Trouble::Lost(why)) => {
                tracing::debug!(why, "a read is tried again");
                self.run(pool, &mut work)
            }
            done => done,
        }
    }

    /// Does `work` on one of the connections of `pool`. It is closed when that fails, unless the
    /// server itself said no, and with it all that nobody uses: what happened to one happened to
    /// them as well, most likely, and of each it would take as long to find out.
    pub(crate) fn run<T>(
        &self,
        pool: &Pool,
        work: &mut impl AsyncFnMut(&mut Link) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let _entered = self.handle.enter();
        let idle = pool.take();
        let mut lent = Lent { pool, link: None };
        let mut link = match idle {
            Some(link) => link,
            None => wait(Link::open(&self.address, self.patience, None))?,
        };
        let done = wait(work(&mut link));
        if done.as_ref().err().is_none_or(Trouble::leaves_connection) {
            lent.link = Some(link);
        } else {
            [&self.readers, &self.writers, &self.leases].into_iter().for_each(Pool::clear);
        }
        done
    }

    /// Does `work` on a connection of its own, which is closed after it.
    pub(crate) fn alone<T>(
        &self,
        mut work: impl AsyncFnMut(&mut Link) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let _entered = self.handle.enter();
        let mut link = wait(Link::open(&self.address, self.patience, None))?;
        wait(work(&mut link))
    }

    /// Whether two connections are two processes of the server, each for as long as it is open. A
    /// pooler that hands out its own per transaction gives two that wait for nothing the same one.
    pub(crate) fn is_shared_out(&self) -> Result<bool, Trouble> {
        let _entered = self.handle.enter();
        wait(async {
            let mut one = Link::open(&self.address, self.patience, None).await?;
            let first = one.process().await?;
            let mut other = Link::open(&self.address, self.patience, None).await?;
            let second = other.process().await?;
            Ok(first == second || first != one.process().await?)
        })
    }

    /// A connection of its own, on which `begin` was done and whose notices go to `ear`.
    pub(crate) fn listen(
        &self,
        ear: Sender<String>,
        mut begin: impl AsyncFnMut(&mut Link) -> Result<Vec<Row>, Trouble>,
    ) -> Result<Link, Trouble> {
        let _entered = self.handle.enter();
        let mut link = wait(Link::open(&self.address, self.patience, Some(ear)))?;
        wait(begin(&mut link))?;
        Ok(link)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Pool {
    fn new(count_max: usize) -> Self {
        Self { slots: Mutex::default(), returned: Condvar::new(), count_max: count_max.max(1) }
    }

    /// Takes a connection, or the right to open one; waits while there are too many.
    fn take(&self) -> Option<Link> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        while slots.lent >= self.count_max {
            slots = self.returned.wait(slots).unwrap_or_else(PoisonError::into_inner);
        }
        slots.lent += 1;
        while let Some(link) = slots.idle.pop() {
            if !link.is_closed() {
                return Some(link);
            }
        }
        None
    }

    /// Closes those that nobody uses.
    fn clear(&self) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).idle.clear();
    }
}

/// A connection on loan: comes back to the pool, or is closed when the work on it failed.
struct Lent<'a> {
    pool: &'a Pool,
    link: Option<Link>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut slots = self.pool.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.lent -= 1;
        slots.idle.extend(self.link.take());
        self.pool.returned.notify_one();
    }
}
