//! The server from outside: real sockets, the generated client, and raw HTTP.

mod actions;
mod clients;
#[path = "../../../taskhub/tests/in_process/collector.rs"]
mod collector;
mod database;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod deleted;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod doors;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod keys;
mod late;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod lists;
mod metrics;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod mixed;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod nodes;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod owed;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod poison;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod results;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod retention;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod running;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod traces;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod two;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod untaken;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod untold;
