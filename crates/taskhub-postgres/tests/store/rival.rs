//! Another user of the database, who stays in the middle of a transaction while a test looks.

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    process::{Child, ChildStdout, Stdio},
    time::Duration,
};

use crate::scene::server;

/// A `psql` with a transaction that is open until it commits, or is dropped.
pub(crate) struct Rival {
    database: String,
    psql: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Rival {
    /// Begins a transaction in which this is done.
    pub(crate) fn with(database: &str, sql: &str) -> Self {
        let mut psql = server().program("psql");
        let psql = psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", database]);
        let psql = psql.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut psql = psql.spawn().expect("PostgreSQL is installed");
        let said = BufReader::new(psql.stdout.take().expect("it is piped")).lines();
        let mut rival = Self { database: database.to_owned(), psql, said };
        rival.does("BEGIN");
        rival.does(sql);
        rival
    }

    /// Does this too, however long it has to wait for it.
    pub(crate) fn does(&mut self, sql: &str) {
        let told = self.psql.stdin.as_mut().expect("it is piped");
        writeln!(told, "{sql};\n\\! echo 'that is done'").expect("psql works");
        assert!(self.said.any(|line| line.expect("psql works") == "that is done"), "{sql}");
    }

    /// Waits until so many others wait for its locks, and each has done so for so long.
    pub(crate) fn holds_up(&self, count: usize, time: Duration) {
        let held_up = format!(
            "SELECT 1 FROM pg_stat_activity WHERE datname = '{}' AND wait_event_type = 'Lock' \
             AND query_start <= clock_timestamp() - interval '{} ms' HAVING count(*) >= {count}",
            self.database,
            time.as_millis(),
        );
        server().wait_for(&held_up).expect("psql works");
    }

    /// Has the server close the connections of those that wait for its locks.
    pub(crate) fn close_those_held_up(&self) {
        let close = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = '{}' AND wait_event_type = 'Lock'",
            self.database
        );
        server().psql(&close).expect("psql works");
    }

    /// Its transaction ends.
    pub(crate) fn commit(mut self) {
        self.does("COMMIT");
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}
