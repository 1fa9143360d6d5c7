//! Where hubs are kept: in a folder each, or as rows of one database.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use taskhub_core::store::Store;
use taskhub_engine::{
    Hub, NodeOptions,
    store::{Embedded, MemoryStore},
};
use taskhub_postgres::{Postgres, PostgresOptions};

use super::{HubError, HubName};
use crate::{ClusterConfig, Config, Lending};

/// The file by which the folder of a hub is known.
const FILE: &str = "hub.db";

/// Where all hubs of a server are. Its functions block.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// Each has a folder of its name in this one.
    Folder(PathBuf),
    /// In memory, empty, since nothing is ever done to it.
    Nowhere,
    /// They share a database, perhaps with other nodes.
    Database(Postgres, ClusterConfig),
}

impl Place {
    /// Where the settings say.
    pub(super) fn of(config: &Config) -> Result<Self, HubError> {
        Ok(match &config.store {
            Some(url) => {
                let lanes = config.cluster.lanes.unwrap_or_default();
                let patience = Duration::from_secs(config.cluster.patience_seconds.get());
                let database = PostgresOptions::new(url).lanes(lanes).patience(patience);
                let database = database.connect()?;
                Self::Database(database, config.cluster.clone())
            }
            None if is_hub(&config.data) => {
                return Err(HubError::Misplaced { folder: config.data.clone() });
            }
            None => Self::Folder(config.data.clone()),
        })
    }

    /// The hubs that were there before, by name.
    pub(super) fn hubs(&self) -> Result<Vec<HubName>, HubError> {
        match self {
            Self::Folder(data) => found(data),
            Self::Database(database, _) => {
                let names = database.hubs()?;
                Ok(names.iter().filter_map(|name| HubName::parse(name).ok()).collect())
            }
            Self::Nowhere => Ok(Vec::new()),
        }
    }

    /// Whether somebody has made this hub.
    pub(super) fn has(&self, hub: &HubName) -> Result<bool, HubError> {
        match self {
            Self::Folder(data) => Ok(is_hub(&data.join(hub.as_str()))),
            Self::Database(..) | Self::Nowhere => Ok(self.hubs()?.contains(hub)),
        }
    }

    /// Opens the store of a hub, or makes it.
    pub(super) fn open(&self, hub: &HubName) -> Result<Arc<dyn Store>, HubError> {
        Ok(match self {
            Self::Folder(data) => Arc::new(Embedded::open(data.join(hub.as_str()))?),
            Self::Database(database, _) => Arc::new(database.open(hub.as_str())?),
            Self::Nowhere => Arc::new(MemoryStore::new(1)),
        })
    }

    /// How this process takes part in a hub.
    pub(super) fn node(&self, hub: &HubName) -> NodeOptions {
        match self {
            Self::Folder(_) | Self::Nowhere => NodeOptions::default(),
            Self::Database(_, cluster) => cluster.node(hub),
        }
    }

    /// Lends the workers of a hub to the other nodes that have it, as long as this is kept.
    pub(super) fn lend(&self, name: &HubName, hub: &Hub) -> Option<Lending> {
        match self {
            Self::Folder(_) | Self::Nowhere => None,
            Self::Database(_, cluster) => cluster.lend(name, hub),
        }
    }

    /// Removes all that is kept of a hub.
    pub(super) fn delete(&self, hub: &HubName) -> Result<(), HubError> {
        match self {
            Self::Folder(data) => {
                let folder = data.join(hub.as_str());
                match std::fs::remove_dir_all(&folder) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        Err(HubError::Delete { folder, error })
                    }
                    _ => Ok(()),
                }
            }
            Self::Database(database, _) => Ok(database.delete(hub.as_str())?),
            Self::Nowhere => Ok(()),
        }
    }
}

fn found(data: &Path) -> Result<Vec<HubName>, HubError> {
    let failed = |error| HubError::Data { folder: data.into(), error };
    std::fs::create_dir_all(data).map_err(failed)?;
    hubs_in(data).map_err(failed)
}

/// Whether this is the folder of a hub.
pub(crate) fn is_hub(folder: &Path) -> bool {
    folder.join(FILE).is_file()
}

/// Whether the folder is a hub or has one, under any name: those of applications have dots.
pub(crate) fn has_hub(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    is_hub(folder) || entries.flatten().any(|entry| is_hub(&entry.path()))
}

/// The hubs that have their folders in this one, sorted.
pub(crate) fn hubs_in(data: &Path) -> io::Result<Vec<HubName>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(data)? {
        let entry = entry?;
        let name = entry.file_name().to_str().map(HubName::parse);
        if let Some(Ok(name)) = name
            && is_hub(&entry.path())
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
