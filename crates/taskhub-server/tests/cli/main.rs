//! The program from outside: its client commands against a server in this process.

#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod commands;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod program;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod trouble;
