//! Opening a hub: the folder, the lock, the file, its settings and its schema.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    path::Path,
    sync::{Arc, Mutex},
};

use rusqlite::{Connection, ErrorCode};
use taskhub_core::Epoch;

use super::{
    Embedded, EmbeddedOptions, OpenError,
    checkpoint::{Checkpointer, Log},
    error::failed,
    reader::Readers,
    schema::{self, Found},
    writer::Writer,
};
use crate::store::leases::Leases;

/// Pages that the writing connection keeps in memory, in KB.
const CACHE_KB: i64 = 64 << 10;

/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS_COUNT_MAX: usize = 32;

const PARTITIONS_MAX: u16 = 4_096;

/// Opens the hub in `folder`, or creates it.
pub(super) fn open(folder: &Path, options: EmbeddedOptions) -> Result<Embedded, OpenError> {
    if !(1..=PARTITIONS_MAX).contains(&options.partitions) {
        return Err(OpenError::Partitions(options.partitions));
    }
    let no_folder =
        |error: io::Error| OpenError::Folder { folder: folder.into(), reason: error.to_string() };
    let missing = missing(folder);
    fs::create_dir_all(folder).map_err(no_folder)?;
    let lock = lock(folder)?;
    let file = folder.join("hub.db");
    let no_store = |error| unusable(folder, error);

    let mut db = Connection::open(&file).map_err(no_store)?;
    match schema::look(&db).map_err(no_store)? {
        Found::Usable => {}
        Found::Newer(found) => {
            let (folder, known) = (folder.into(), schema::VERSION);
            return Err(OpenError::Newer { folder, found, known });
        }
        Found::Foreign => return Err(OpenError::Foreign { file }),
    }
    settle(&db).map_err(no_store)?;
    schema::migrate(&mut db, options.partitions).map_err(no_store)?;
    if let Some(pages) = options.pages_max {
        db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).map_err(no_store)?;
    }
    sync_folders(folder, missing).map_err(no_folder)?;

    let log = Arc::new(Log::default());
    let told = log.clone();
    let tell = move |_: &mut rusqlite::hooks::Wal, pages: i32| {
        told.has(pages.unsigned_abs());
        Ok(())
    };
    db.wal_hook(Some(tell)).map_err(no_store)?;
    let epochs = epochs(&db).map_err(no_store)?;
    let partitions = u16::try_from(epochs.len()).unwrap_or(u16::MAX);
    let writer = Writer::new(db, Leases::free(epochs))
        .map_err(|error| OpenError::Store { folder: folder.into(), error })?;
    let writer = Arc::new(Mutex::new(writer));
    let readers = Arc::new(Readers::new(file.clone()));
    let checkpointer = Checkpointer::start(file, log, writer.clone(), readers.clone());
    Ok(Embedded {
        checkpointer: checkpointer.map_err(no_folder)?,
        readers,
        writer,
        clock: options.clock,
        partitions,
        folder: folder.into(),
        _lock: lock,
    })
}

/// The folder belongs to this process as long as this lives.
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a process that is just being started from this one may
        // have it open too, until it runs its program.
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "the lock of a hub goes when its file is closed everywhere");
        }
    }
}

/// Takes the folder for this process.
fn lock(folder: &Path) -> Result<Lock, OpenError> {
    let no_folder =
        |error: io::Error| OpenError::Folder { folder: folder.into(), reason: error.to_string() };
    let path = folder.join("hub.lock");
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(no_folder)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let process = fs::read_to_string(&path).ok().and_then(|id| id.trim().parse().ok());
            return Err(OpenError::InUse { folder: folder.into(), process });
        }
        Err(TryLockError::Error(error)) => return Err(no_folder(error)),
    }
    // Only to tell others who has it; on a full disk they do not learn it.
    let told = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
    if let Err(error) = told {
        tracing::debug!(%error, "the lock file does not name this process");
    }
    Ok(Lock(lock))
}

/// Durable commits, and a log that is moved by another connection.
fn settle(db: &Connection) -> rusqlite::Result<()> {
    let mode: String = db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "fullfsync", true)?;
    db.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    db.pragma_update(None, "cache_size", -CACHE_KB)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_COUNT_MAX);
    // SQLite ignores what it does not understand, so look whether it did.
    let synchronous: i64 = db.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if mode != "wal" || synchronous != 2 {
        let why = format!("it would not be durable: journal {mode}, synchronous {synchronous}");
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
        return Err(rusqlite::Error::SqliteFailure(code, Some(why)));
    }
    Ok(())
}

fn epochs(db: &Connection) -> rusqlite::Result<Vec<Epoch>> {
    let mut read = db.prepare("SELECT epoch FROM partition ORDER BY id")?;
    let epochs = read.query_map((), |row| Ok(Epoch(row.get::<_, i64>(0)?.unsigned_abs())))?;
    epochs.collect()
}

/// How many folders have to be made for this one to be there.
fn missing(folder: &Path) -> usize {
    let named = folder.ancestors().take_while(|it| !it.as_os_str().is_empty());
    named.take_while(|it| !it.exists()).count()
}

/// A file or a folder that was just created is found after a power cut only if the folder that it
/// is in was synced: `missing` folders are new, this one the last of them.
fn sync_folders(folder: &Path, missing: usize) -> io::Result<()> {
    if cfg!(unix) {
        for folder in folder.canonicalize()?.ancestors().take(1 + missing.max(1)) {
            File::open(folder)?.sync_all()?;
        }
    }
    Ok(())
}

fn unusable(folder: &Path, error: rusqlite::Error) -> OpenError {
    let folder = folder.into();
    match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            OpenError::Folder { folder, reason: error.to_string() }
        }
        _ => OpenError::Store { folder, error: failed(error) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_that_is_made_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(missing(folder.path()), 0);
        let deep = folder.path().join("data/hubs/a");
        assert_eq!(missing(&deep), 3);
        fs::create_dir(folder.path().join("data")).expect("there is room");
        assert_eq!(missing(&deep), 2);
        fs::create_dir_all(&deep).expect("there is room");
        sync_folders(&deep, 2).expect("they can be opened");
        assert_eq!(missing(Path::new("a/hub/of/nobody")), 4, "and not the folder that we are in");
    }
}
