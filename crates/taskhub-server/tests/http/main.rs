//! The management API over a real socket, with a hub whose functions run in this process.

mod beyond;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod edges;
mod entities;
mod functions;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod histories;
mod instances;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod lists;
mod purges;
#[expect(clippy::unwrap_used, reason = "here a failure is a panic")]
mod running;
mod script;
mod starts;
mod untrusted;
mod waits;
