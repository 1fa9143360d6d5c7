//! The command line of `taskhub`.

mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// How a command that could not do its work ends; clap ends wrong usage with 2.
const FAILURE: u8 = 1;

/// A durable task hub: orchestrations that survive, for the Durable Task SDKs.
#[derive(Debug, Parser)]
#[command(name = "taskhub", version, after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve hubs until SIGTERM or Ctrl-C
    Serve(Box<serve::Flags>),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Serve(flags) => serve::run(*flags),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("taskhub: {error}");
            ExitCode::from(FAILURE)
        }
    }
}
