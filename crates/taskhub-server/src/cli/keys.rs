//! `taskhub keys`: keys made, replaced, removed and listed, while the server runs or not.

use std::{error::Error, path::PathBuf};

use clap::{Args, Subcommand};

use crate::{Config, keys::Keys};

/// The flags of `taskhub keys`.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// The folder of the hubs, or of one hub [default: that of the settings]
    #[arg(long, value_name = "DIR", env = "TASKHUB_DATA", global = true)]
    data: Option<PathBuf>,
    /// The file with settings; `taskhub.toml` in the working directory if that is there
    #[arg(long, value_name = "FILE", env = "TASKHUB_CONFIG", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the keys that are there; what they are, nobody knows any more
    List,
    /// Make a key and print it, this once
    Create(Which),
    /// Replace a key by a new one and print it, this once
    Rotate(Which),
    /// Remove a key
    Remove(Which),
}

#[derive(Debug, Args)]
struct Which {
    /// Its name: `_master` is good for everything, `durabletask_extension` for the management API,
    /// any other name for that and all functions
    #[arg(default_value = "default")]
    name: String,
    /// Only for this function
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
}

pub(super) fn run(flags: Flags) -> Result<(), Box<dyn Error>> {
    let data = match flags.data {
        Some(data) => data,
        None => Config::read(flags.config.as_deref())?.data,
    };
    let keys = Keys::open(data)?;
    match flags.verb {
        Verb::List => {
            for key in keys.list() {
                println!("{key}, made {}", key.made);
            }
        }
        Verb::Create(which) => {
            println!("{}", keys.create(&which.name, which.function.as_deref())?);
        }
        Verb::Rotate(which) => {
            println!("{}", keys.rotate(&which.name, which.function.as_deref())?);
        }
        Verb::Remove(which) => keys.remove(&which.name, which.function.as_deref())?,
    }
    Ok(())
}
