//! A private `PostgreSQL` for the systems that want one: each gets a fresh database on it.
use std::path::Path;

use taskhub_postgres::testing::{Server, ServerError, ServerOptions};

/// What is set beside the defaults. All systems have the same.
const SETTINGS: [&str; 2] = ["shared_buffers=1GB", "max_wal_size=4GB"];

/// The database of one measurement.
const NAME: &str = "bench";

/// A server that syncs to the disk.
#[derive(Debug)]
pub(crate) struct Database(Server);

impl Database {
    /// Starts a server with its data in `folder`.
    pub(crate) fn start(folder: &Path) -> Result<Database, String> {
        let mut options = ServerOptions::default().durable().within(folder);
        for setting in SETTINGS {
            options = options.setting(setting);
        }
        options.start().map(Database).map_err(told)
    }

    /// Makes an empty database, and returns its address.
    pub(crate) fn fresh(&self) -> Result<String, String> {
        for sql in [
            format!("DROP DATABASE IF EXISTS {NAME} WITH (FORCE)"),
            format!("CREATE DATABASE {NAME}"),
            // Nobody pays for what the one before has written.
            "CHECKPOINT".to_owned(),
        ] {
            self.0.psql(&sql).map_err(told)?;
        }
        Ok(format!("postgres://postgres@127.0.0.1:{}/{NAME}", self.0.port()))
    }

    /// Which server it is, and how it is set.
    pub(crate) fn shown(&self) -> Result<String, String> {
        let version = self.0.psql("SHOW server_version").map_err(told)?;
        let set = |name| self.0.psql(&format!("SHOW {name}")).map_err(told);
        let durable =
            format!("fsync {}, synchronous_commit {}", set("fsync")?, set("synchronous_commit")?);
        Ok(format!("PostgreSQL {version}, {durable}, {}", SETTINGS.join(", ")))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
fn told(error: ServerError) -> String {
    error.to_string()
}
