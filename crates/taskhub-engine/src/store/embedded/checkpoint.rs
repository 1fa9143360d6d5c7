//! Moves what the log holds into the database file, beside the commits and not in their way.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{Builder, JoinHandle},
    time::Duration,
};

use rusqlite::{Connection, Result};

use super::{reader::Readers, writer::Writer};

/// The log is moved whenever it has grown by so many pages: 8 MB.
const GROWTH_PAGES: u32 = 2_048;

/// From this length on (64 MB), commits and reads wait for the moment that it takes to move the
/// very last pages: only a log that was moved whole, and that nobody reads any more, can begin
/// anew, and under load that moment never comes by itself.
const LONG_PAGES: u32 = 16_384;

/// How long that moment waits for reads under way. Behind a longer one the log grows once more.
const READS_TIME_MAX: Duration = Duration::from_millis(50);

/// The thread that does it; ends when this is dropped.
pub(super) struct Checkpointer {
    pub(super) log: Arc<Log>,
    thread: Option<JoinHandle<()>>,
}

/// The length of the log, told by the connection that writes it.
#[derive(Default)]
pub(super) struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    pages: u32,
    /// How many of them it had when it was moved.
    seen: u32,
    /// Whether a commit failed: a log that has been moved can begin anew, which needs no room.
    urgent: bool,
    stop: bool,
}

impl Log {
    /// Called after each commit.
    pub(super) fn has(&self, pages: u32) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if pages < state.pages {
            state.seen = 0;
        }
        state.pages = pages;
        if state.is_due() {
            self.changed.notify_one();
        }
    }

    /// Called after a commit that failed.
    pub(super) fn is_in_trouble(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).urgent = true;
        self.changed.notify_one();
    }

    /// Waits until there is enough to move; false when the hub is closed.
    fn wait(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |state: &mut State| !state.stop && !state.is_due();
        let state = self.changed.wait_while(state, idle);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.urgent = false;
        !state.stop
    }
}

impl State {
    fn is_due(&self) -> bool {
        self.urgent || self.pages >= self.seen + GROWTH_PAGES
    }
}

impl Checkpointer {
    /// Starts the thread for the hub in `file`.
    pub(super) fn start(
        file: PathBuf,
        log: Arc<Log>,
        writer: Arc<Mutex<Writer>>,
        readers: Arc<Readers>,
    ) -> io::Result<Self> {
        let seen = log.clone();
        let thread = Builder::new().name("taskhub-checkpoint".into()).spawn(move || {
            if let Err(error) = run(&file, &seen, &writer, &readers) {
                tracing::error!(%error, "the hub's log is no longer moved into its file");
            }
        })?;
        Ok(Self { log, thread: Some(thread) })
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.log.state.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.log.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has logged its own failure; nothing is lost by it.
            drop(thread.join());
        }
    }
}

fn run(file: &PathBuf, log: &Log, writer: &Mutex<Writer>, readers: &Readers) -> Result<()> {
    let db = Connection::open(file)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "checkpoint_fullfsync", true)?;
    while log.wait() {
        let seen = move_pages(&db).and_then(|pages| {
            if pages < LONG_PAGES {
                return Ok(pages);
            }
            readers.pause(READS_TIME_MAX, || {
                let _commits_wait = writer.lock().unwrap_or_else(PoisonError::into_inner);
                move_pages(&db)
            })
        });
        let mut state = log.state.lock().unwrap_or_else(PoisonError::into_inner);
        match seen {
            // What somebody still reads behind is moved with what comes next.
            Ok(pages) => state.seen = pages.min(state.pages),
            Err(error) => {
                // The next attempt comes when the log has grown again.
                state.seen = state.pages;
                tracing::warn!(%error, "the hub's log could not be moved into its file yet");
            }
        }
    }
    Ok(())
}

/// Moves what can be moved without waiting; returns how many pages the log has.
fn move_pages(db: &Connection) -> Result<u32> {
    db.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |row| row.get(1))
}
