//! `taskhub keys`: keys made, replaced, removed and listed, in a folder or of a running server.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use taskhub_wire::keys::{Key, ListRequest};

use super::client::{Access, Failure, Link, line, speak, table, text};
use crate::{Config, KeyKind, Keys, hubs::has_hub};

/// The flags of `taskhub keys`.
#[derive(Debug, Args)]
pub(super) struct Flags {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the keys that are there; what they are, nobody knows any more
    List {
        #[command(flatten)]
        place: Place,
    },
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
    #[command(flatten)]
    place: Place,
}

/// Where the keys are.
#[derive(Debug, Args)]
struct Place {
    /// The folder of the hubs, or of one hub [env: `TASKHUB_DATA`] [default: that of the settings]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The file with settings; `taskhub.toml` in the working directory if that is there
    /// [env: `TASKHUB_CONFIG`]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print a JSON object per key, for programs
    #[arg(long)]
    json: bool,
    /// The server whose keys are meant, instead of a folder [env: `TASKHUB_SERVER`]
    #[arg(long, value_name = "URL", conflicts_with_all = ["data", "config"])]
    server: Option<String>,
    #[command(flatten)]
    access: Access,
}

/// A key as one JSON object.
#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    made: Option<&'a str>,
    /// What clients send; shown when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

pub(super) fn run(flags: Flags) -> Result<(), Failure> {
    speak(async {
        match flags.verb {
            Verb::List { place } => list(place.open().await?, place.json).await,
            Verb::Create(which) => {
                let held = which.place.open().await?;
                held.warn_of_no_hub();
                let secret = held.create(which.key()).await?;
                which.tell(Some(&secret))
            }
            Verb::Rotate(which) => {
                let secret = which.place.open().await?.rotate(which.key()).await?;
                which.tell(Some(&secret))
            }
            Verb::Remove(which) => {
                which.place.open().await?.remove(which.key()).await?;
                which.tell(None)?;
                if which.place.open().await?.list().await?.is_empty() {
                    eprintln!(
                        "taskhub: that was the last key: without any, a server that only this \
                         machine reaches lets everybody manage instances, and any other nobody"
                    );
                }
                Ok(())
            }
        }
    })
}

async fn list(held: Held, json: bool) -> Result<(), Failure> {
    let keys = held.list().await?;
    if json {
        let shown = |key: &Key| line(&Shown { made: Some(&key.made), ..Shown::of(key) });
        return Ok(keys.iter().try_for_each(shown)?);
    }
    let rows = keys.into_iter().map(|key| {
        let kind = KeyKind::of(&key.name, key.function.as_deref()).to_string();
        [key.name, kind, key.function.unwrap_or_default(), key.made]
    });
    Ok(table(Some(["NAME", "KIND", "FUNCTION", "MADE"]), rows)?)
}

impl<'a> Shown<'a> {
    fn of(key: &'a Key) -> Self {
        Self { name: &key.name, function: key.function.as_deref(), made: None, key: None }
    }
}

impl Which {
    fn key(&self) -> Key {
        let (name, function) = (self.name.clone(), self.function.clone());
        Key { name, function, made: String::new() }
    }

    /// Says what was done, and what the key is if there is a new one.
    fn tell(&self, secret: Option<&str>) -> Result<(), Failure> {
        if self.place.json {
            return Ok(line(&Shown { key: secret, ..Shown::of(&self.key()) })?);
        }
        let removed = || text(format!("{} removed", self.name));
        Ok(secret.map_or_else(removed, text)?)
    }
}

/// The keys in a folder, or those of a server.
enum Held {
    Here(Keys),
    There(Box<Link>),
}

impl Place {
    /// A flag wins over all variables, and they are read here: to clap a folder in a variable and a
    /// server as a flag would contradict each other.
    async fn open(&self) -> Result<Held, Failure> {
        let set = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let no_folder = self.data.is_none() && self.config.is_none();
        let server = || no_folder.then(|| set("TASKHUB_SERVER")).flatten();
        if let Some(server) = self.server.clone().or_else(server) {
            return Ok(Held::There(Box::new(self.access.connect(&server).await?)));
        }
        let named = || self.config.is_none().then(|| set("TASKHUB_DATA")).flatten();
        if let Some(data) = self.data.clone().or_else(|| named().map(PathBuf::from)) {
            return Ok(Held::Here(Keys::open(data)?));
        }
        let config = self.config.clone().or_else(|| set("TASKHUB_CONFIG").map(PathBuf::from));
        let data = Config::read(config.as_deref()).map_err(Box::from)?.data;
        Ok(Held::Here(Keys::open(data)?))
    }
}

impl Held {
    /// Keys may be made before a server starts; those in another folder than its own it never sees.
    fn warn_of_no_hub(&self) {
        let Self::Here(keys) = self else { return };
        let Some(folder) = keys.folder().filter(|_| keys.is_empty()) else { return };
        if !has_hub(folder) {
            let folder = folder.display();
            eprintln!("taskhub: no hub is in {folder} yet; only a server of it will know the key");
        }
    }

    async fn list(self) -> Result<Vec<Key>, Failure> {
        match self {
            Self::Here(keys) => Ok(keys.list().into_iter().map(Into::into).collect()),
            Self::There(mut link) => {
                let asked = link.request(ListRequest {});
                Ok(link.keys.list(asked).await?.into_inner().keys)
            }
        }
    }

    async fn create(self, key: Key) -> Result<String, Failure> {
        match self {
            Self::Here(keys) => Ok(keys.create(&key.name, key.function.as_deref())?),
            Self::There(mut link) => {
                let asked = link.request(key);
                Ok(link.keys.create(asked).await?.into_inner().secret)
            }
        }
    }

    async fn rotate(self, key: Key) -> Result<String, Failure> {
        match self {
            Self::Here(keys) => Ok(keys.rotate(&key.name, key.function.as_deref())?),
            Self::There(mut link) => {
                let asked = link.request(key);
                Ok(link.keys.rotate(asked).await?.into_inner().secret)
            }
        }
    }

    async fn remove(self, key: Key) -> Result<(), Failure> {
        match self {
            Self::Here(keys) => keys.remove(&key.name, key.function.as_deref())?,
            Self::There(mut link) => {
                let asked = link.request(key);
                link.keys.remove(asked).await?;
            }
        }
        Ok(())
    }
}
