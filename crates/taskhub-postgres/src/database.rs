//! The connections to one database, and the thread that carries what goes over them.

use std::{
    sync::{Condvar, Mutex, PoisonError, mpsc::Sender},
    time::Duration,
};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::{OpenError, address::Address, error::Trouble, link::Link, wait::wait};

/// Connections to a database, shared by the hubs in it.
pub(crate) struct Database {
    address: Address,
    patience: Duration,
    /// For reads, which may take long.
    pub(crate) readers: Pool,
    /// For commits and leases, which wait for no read.
    pub(crate) writers: Pool,
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
        (readers, writers): (usize, usize),
    ) -> Result<Self, OpenError> {
        let mut threads = Builder::new_multi_thread();
        threads.worker_threads(1).thread_name("taskhub-postgres").enable_all();
        let runtime = threads.build().map_err(|error| OpenError::Threads(error.to_string()))?;
        let handle = runtime.handle().clone();
        let (readers, writers) = (Pool::new(readers), Pool::new(writers));
        Ok(Self { address, patience, readers, writers, runtime: Some(runtime), handle })
    }

    /// Does `work`, which only reads, on one of the connections. When the connection turns out to
    /// have died, it is done on a new one.
    pub(crate) fn read<T>(
        &self,
        mut work: impl AsyncFnMut(&mut Link) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        match self.run(&self.readers, &mut work) {
            Err(Trouble::Lost(why)) => {
                tracing::debug!(why, "a read is tried again");
                self.readers.clear();
                self.run(&self.readers, &mut work)
            }
            done => done,
        }
    }

    /// Does `work` on one of the connections of `pool`; it is closed when that fails, unless the
    /// server itself said no.
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
        if matches!(done, Ok(_) | Err(Trouble::Refused(_))) {
            lent.link = Some(link);
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

    /// A connection of its own, on which `begin` was done and whose notices go to `ear`.
    pub(crate) fn listen(
        &self,
        ear: Sender<String>,
        mut begin: impl AsyncFnMut(&mut Link) -> Result<(), Trouble>,
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
