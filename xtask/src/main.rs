//! The chores of this repository, run as `cargo xtask <chore>`.

mod bench;
mod chaos;
mod deny;
mod fix;
mod fuzz;
mod postgres;
mod sdk;
mod setup;
mod sim;
mod steps;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The chores of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Run every check: set-up, format, clippy, tests with doc tests, documentation
    Test,
    /// Drive a real server with the Python and JavaScript SDKs of Durable Task
    Sdk,
    /// Run the tests of the store on the oldest and the newest PostgreSQL that it is for
    Postgres,
    /// Format the code and let clippy apply what it can
    Fix,
    /// Check licences, advisories and sources of the dependencies with cargo-deny
    Deny,
    /// Simulate whole clusters and check the promises; `-- --help` tells the options
    #[command(disable_help_flag = true)]
    Sim {
        /// Handed to the simulator
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Make trouble for real processes, and check what became of it; `-- --help` tells the options
    #[command(disable_help_flag = true)]
    Chaos {
        /// Handed to the program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Look for bytes that make the readers of what others send or store panic
    Fuzz {
        /// How long to look
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Measure this hub and its peers side by side; `-- --help` tells the options
    #[command(disable_help_flag = true)]
    Bench {
        /// Handed to the benchmark
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Test => test::run(),
        Chore::Sdk => sdk::run(),
        Chore::Postgres => postgres::run(),
        Chore::Fix => fix::run(),
        Chore::Deny => deny::run(),
        Chore::Sim { arguments } => sim::run(&arguments),
        Chore::Chaos { arguments } => chaos::run(&arguments),
        Chore::Fuzz { seconds } => fuzz::run(seconds),
        Chore::Bench { arguments } => bench::run(&arguments),
    };
    match done {
        Ok(summary) => {
            println!("\n{summary}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("\nxtask: {problem}");
            ExitCode::FAILURE
        }
    }
}
