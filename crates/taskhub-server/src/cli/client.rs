//! The commands that speak to a running server, over gRPC.

mod control;
mod failure;
mod filters;
mod history;
mod list;
mod nodes;
mod payload;
mod progress;
mod purge;
mod remote;
mod restart;
mod shown;
mod start;
mod status;

use clap::Subcommand;

pub(super) use failure::Failure;
pub(super) use remote::{Access, Link};
pub(super) use shown::{line, table, text};

/// Runs what speaks to a server.
pub(super) fn speak(with: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Other(error.to_string()))?.block_on(with)
}

/// One command to a server.
#[derive(Debug, Subcommand)]
pub(super) enum Asked {
    /// Start an orchestration and print the id of its instance
    Start(start::Flags),
    /// Show where an instance stands
    Status(status::Flags),
    /// List instances
    List(list::Flags),
    /// Show the history of an instance
    History(history::Flags),
    /// Raise an event for an instance
    Raise(control::Raise),
    /// End instances
    Terminate(control::Terminate),
    /// Pause instances
    Suspend(control::Because),
    /// Let paused instances go on
    Resume(control::Because),
    /// Run the failed steps of failed instances again
    Rewind(control::Because),
    /// Start an instance that has ended once more, with the same input
    Restart(restart::Flags),
    /// Forget instances that have ended, or are parked
    Purge(purge::Flags),
    /// Write histories as JSON lines, one event per line
    Export(history::Export),
    /// Show the nodes that share a hub
    Nodes(nodes::Flags),
    /// Show which node owns which share of a hub
    Partitions(nodes::Flags),
}

impl Asked {
    /// Asks the server, and prints what it answers.
    pub(super) fn run(self) -> Result<(), Failure> {
        speak(async {
            match self {
                Self::Start(flags) => start::run(flags).await,
                Self::Status(flags) => status::run(flags).await,
                Self::List(flags) => list::run(flags).await,
                Self::History(flags) => history::run(flags).await,
                Self::Raise(flags) => control::raise(flags).await,
                Self::Terminate(flags) => control::terminate(flags).await,
                Self::Suspend(flags) => control::suspend(flags).await,
                Self::Resume(flags) => control::resume(flags).await,
                Self::Rewind(flags) => control::rewind(flags).await,
                Self::Restart(flags) => restart::run(flags).await,
                Self::Purge(flags) => purge::run(flags).await,
                Self::Export(flags) => history::export(flags).await,
                Self::Nodes(flags) => nodes::nodes(flags).await,
                Self::Partitions(flags) => nodes::partitions(flags).await,
            }
        })
    }
}
