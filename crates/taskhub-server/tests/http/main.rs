//! The management API over a real socket, with a hub whose functions run in this process.
#![expect(clippy::unwrap_used, reason = "here a failure is a panic")]

mod entities;
mod functions;
mod histories;
mod instances;
mod lists;
mod purges;
mod running;
mod starts;
mod waits;
