//! The command line of `taskhub`.

mod client;
mod copy;
mod keys;
mod serve;
mod variables;

use std::{io::Write as _, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use client::Failure;

/// What programs learn of the end; `Failure::code` gives the numbers, and clap that of wrong usage.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  wrong usage
  3  there is no such instance, hub or key
  4  the instance is not in the state for it, or exists already; or the key does
  5  no server answered, or not in time
  6  not let in: the token is missing or wrong
  7  the instance that was waited for failed or was terminated";

/// A durable task hub: orchestrations that survive, for the Durable Task SDKs.
#[derive(Debug, Parser)]
#[command(name = "taskhub", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve hubs until SIGTERM or Ctrl-C
    ///
    /// Settings come from `taskhub.toml`, from environment variables, and from flags: a flag wins
    /// over its variable, a variable over the file. On SIGTERM held calls are handed back, turns
    /// in hand are finished, and the program ends with 0.
    Serve(Box<serve::Flags>),
    #[command(flatten)]
    Client(Box<client::Asked>),
    /// Make, replace, remove and list the keys of the HTTP API
    ///
    /// They are those in a folder of this machine, whether a server runs there or not; a running
    /// one takes a change within a second. With `--server` they are those of that server.
    Keys(keys::Flags),
    /// Copy a hub, stopped, into a database, into a folder, or back
    ///
    /// Nobody may run it meanwhile. The one that is made must not exist, or be empty.
    Copy(copy::Flags),
    /// Print the completions of this program for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Serve(flags) => serve::run(*flags).map_err(Failure::from),
        Command::Client(asked) => asked.run(),
        Command::Keys(flags) => keys::run(flags),
        Command::Copy(flags) => copy::run(&flags),
        Command::Completions { shell } => {
            let (mut program, mut script) = (Arguments::command(), Vec::new());
            clap_complete::generate(shell, &mut program, "taskhub", &mut script);
            // Whoever reads only its beginning has seen enough.
            let _ = std::io::stdout().write_all(&script);
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if error.is_news() {
                eprintln!("taskhub: {error}");
            }
            ExitCode::from(error.code())
        }
    }
}
