//! The command line: `chaos run` starts a hub and makes trouble, `chaos node` is one of its nodes.

use std::{process::ExitCode, time::Duration};

use chaos::{NodeFlags, Options, Trouble};
use clap::Parser;

/// Real processes, real trouble.
#[derive(Debug, Parser)]
enum Flags {
    /// Start a hub and clients, make trouble for a while, and check what became of it all
    Run {
        /// For how long
        #[arg(long, default_value_t = 1.0)]
        minutes: f64,
        /// What goes wrong, and when, follows from this number
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many nodes
        #[arg(long, default_value_t = 3)]
        nodes: usize,
        /// How many clients ask all the time
        #[arg(long, default_value_t = 24)]
        clients: usize,
        /// How many seconds the database may take to answer before a node thinks that its
        /// connection is lost; a node of a server waits as long by default
        #[arg(long, default_value_t = 60)]
        patience: u64,
        /// Do nothing but restart one node after another
        #[arg(long)]
        only_restarts: bool,
    },
    /// Be one of the nodes
    Node(NodeFlags),
}

fn main() -> ExitCode {
    let done = match Flags::parse() {
        Flags::Node(flags) => chaos::serve(&flags).map_err(|error| error.to_string()),
        Flags::Run { minutes, seed, nodes, clients, patience, only_restarts } => {
            std::env::current_exe()
                .map_err(|error| error.to_string())
                .and_then(|program| {
                    let kind = if only_restarts { Trouble::Restarts } else { Trouble::Drawn };
                    let trouble = kind(minutes * 60.0);
                    let patience = Duration::from_secs(patience);
                    chaos::run(&Options { program, trouble, seed, nodes, clients, patience })
                })
                .map(|summary| println!("{summary}"))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
