//! The program from outside: its client commands against a server in this process.

mod commands;
mod copying;
mod deploy;
mod documented;
mod keys;
mod pages;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod program;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod settings;
mod trouble;
