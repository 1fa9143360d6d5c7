//! The hubs of a server: found by name, opened when they are first needed, stopped together.

mod name;
mod place;
mod slot;

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::future::join_all;
use taskhub_core::Limits;
use taskhub_engine::Hub;
use tokio_util::sync::CancellationToken;

use crate::{Config, Traces, TracesError};
use place::Place;
pub(crate) use place::{has_hub, hubs_in, is_hub};
use slot::Slot;

pub use name::{HubName, InvalidHubName};

/// The hubs of a server. Clones are the same hubs.
#[derive(Clone)]
pub struct Hubs {
    inner: Arc<Inner>,
}

struct Inner {
    /// `None` for a hub that somebody else opened.
    place: Option<Place>,
    /// The hub of those who name none.
    default: HubName,
    /// Only these; `None`: any.
    listed: Option<Vec<HubName>>,
    count_max: usize,
    limits: Limits,
    slots: Mutex<BTreeMap<HubName, Arc<Slot>>>,
    /// What is seen of hubs that nobody has made, where such can be asked for.
    nothing: Option<Arc<Slot>>,
    stopping: CancellationToken,
    traces: Option<Traces>,
}

/// Why there is no hub.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The name cannot be one.
    #[error(transparent)]
    Name(#[from] InvalidHubName),
    /// The server has only certain hubs.
    #[error("there is no hub {0}; this server has only those that its settings list")]
    Unlisted(HubName),
    /// There are too many already.
    #[error(
        "hub {0} would be one too many, {1} are allowed; raise `hubs.count_max`, or delete one"
    )]
    TooMany(HubName, usize),
    /// Its folder cannot be used.
    #[error(transparent)]
    Folder(#[from] taskhub_engine::store::OpenError),
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] taskhub_postgres::OpenError),
    /// The engine did not start.
    #[error(transparent)]
    Engine(#[from] taskhub_engine::OpenError),
    /// The folder of the hubs cannot be used.
    #[error(
        "the folder {} cannot be used: {error}; this user must be able to read and write it",
        folder.display()
    )]
    Data {
        /// The folder.
        folder: PathBuf,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// The folder of the hubs is itself that of a hub.
    #[error(
        "{} is the folder of a hub, not one with a folder for each hub: move its files into \
         {}/default, or name the folder above it",
        folder.display(),
        folder.display()
    )]
    Misplaced {
        /// The folder.
        folder: PathBuf,
    },
    /// It is not this server's hub.
    #[error("hub {0} was opened by the application that it runs in, which alone can delete it")]
    Given(HubName),
    /// Its folder cannot be removed.
    #[error("{} cannot be removed: {error}; remove it by hand", folder.display())]
    Delete {
        /// The hub's folder.
        folder: PathBuf,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// The server ends.
    #[error("this server is shutting down; try again in a moment")]
    Stopping,
    /// There is no way to the collector of traces.
    #[error(transparent)]
    Traces(#[from] TracesError),
    /// Opening or closing it was interrupted.
    #[error("the hub could not be opened or closed: {0}; try again")]
    Interrupted(String),
}

impl HubError {
    #[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
    fn interrupted(error: tokio::task::JoinError) -> Self {
        Self::Interrupted(error.to_string())
    }
}

impl Hubs {
    /// The hubs in the folder or the database of `config`: those that are listed or were there
    /// before are opened at once, since what they were doing must go on, and so is the default one.
    pub async fn open(config: &Config) -> Result<Self, HubError> {
        let listed: Result<Vec<_>, _> =
            config.hubs.names.iter().map(|name| HubName::parse(name)).collect();
        let listed = Some(listed?).filter(|names| !names.is_empty());
        let traces = Traces::open(&config.traces)?;
        let payload_bytes_max = config.limits.payload_bytes;
        let workers_lost_max = config.limits.losses;
        let spans = traces.is_some();
        let limits = Limits { payload_bytes_max, workers_lost_max, spans, ..Limits::default() };
        let settings = config.clone();
        let place = blocking(move || Place::of(&settings)).await?;
        let stopping = CancellationToken::new();
        let nothing = (Place::Nowhere, HubName::default());
        let nothing = Slot::new(nothing, limits.clone(), stopping.clone(), None);
        let hubs = Self {
            inner: Arc::new(Inner {
                nothing: listed.is_none().then(|| Arc::new(nothing)),
                place: Some(place),
                default: HubName::default(),
                count_max: config.hubs.count_max.max(listed.as_ref().map_or(1, Vec::len)),
                listed,
                limits,
                slots: Mutex::default(),
                stopping,
                traces,
            }),
        };
        if let Err(error) = hubs.open_first().await {
            hubs.stop().await;
            return Err(error);
        }
        Ok(hubs)
    }

    /// One hub that is open already, under a name; it is the one of those who name none. It stays
    /// open when these hubs stop: that is up to whoever opened it.
    #[must_use]
    pub fn with(name: HubName, hub: Hub) -> Self {
        Self::traced(name, hub, None)
    }

    /// The same, with a way for traces; whoever opened the hub lets them watch it.
    #[must_use]
    pub fn traced(name: HubName, hub: Hub, traces: Option<Traces>) -> Self {
        let stopping = CancellationToken::new();
        let limits = hub.limits().clone();
        let slot = Slot::given(hub, limits.clone(), stopping.clone());
        Self {
            inner: Arc::new(Inner {
                nothing: None,
                place: None,
                default: name.clone(),
                count_max: 1,
                listed: Some(vec![name.clone()]),
                limits,
                slots: Mutex::new(BTreeMap::from([(name, Arc::new(slot))])),
                stopping,
                traces,
            }),
        }
    }

    /// No hubs at all, for an application whose hub is elsewhere.
    #[must_use]
    pub fn nowhere(traces: Option<Traces>) -> Self {
        Self {
            inner: Arc::new(Inner {
                nothing: None,
                place: None,
                default: HubName::default(),
                count_max: 0,
                listed: Some(Vec::new()),
                limits: Limits::default(),
                slots: Mutex::default(),
                stopping: CancellationToken::new(),
                traces,
            }),
        }
    }

    async fn open_first(&self) -> Result<(), HubError> {
        let names = if let Some(listed) = &self.inner.listed {
            listed.clone()
        } else {
            let mut names = match self.inner.place.clone() {
                Some(place) => blocking(move || place.hubs()).await?,
                None => Vec::new(),
            };
            names.retain(|name| name.as_str() != HubName::DEFAULT);
            names.insert(0, HubName::parse(HubName::DEFAULT)?);
            names
        };
        for name in names {
            match self.hub(&name).await {
                Err(error @ HubError::TooMany(..)) => {
                    tracing::warn!(%error, "a hub that is there stays closed");
                }
                opened => drop(opened?),
            }
        }
        Ok(())
    }

    /// The hub of that name, opened or made if need be.
    pub async fn hub(&self, name: &HubName) -> Result<Hub, HubError> {
        let slot = self.slot(name)?;
        match slot.hub() {
            Some(hub) => Ok(hub),
            None => slot.open().await,
        }
    }

    /// The hub of that name for who looks, which makes none: one that nobody has made is empty.
    pub async fn seen(&self, name: &HubName) -> Result<Hub, HubError> {
        let inner = &*self.inner;
        let open = self.lock().get(name).and_then(|slot| slot.hub());
        if let Some(hub) = open.filter(|_| !inner.stopping.is_cancelled()) {
            return Ok(hub);
        }
        if let (Some(nothing), Some(place)) = (&inner.nothing, inner.place.clone()) {
            let wanted = name.clone();
            if !blocking(move || place.has(&wanted)).await? {
                return match nothing.hub() {
                    Some(hub) => Ok(hub),
                    None => nothing.clone().open().await,
                };
            }
        }
        self.hub(name).await
    }

    /// The hub of that name for another node, which asks where a hub is open. That this one has
    /// closed it, or has not opened it yet, the node hears as that it is to ask again.
    pub(crate) fn open_here(&self, name: &HubName) -> Result<Hub, HubError> {
        self.lock().get(name).and_then(|slot| slot.hub()).ok_or(HubError::Stopping)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<HubName, Arc<Slot>>> {
        self.inner.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, name: &HubName) -> Result<Arc<Slot>, HubError> {
        let inner = &*self.inner;
        let mut slots = self.lock();
        if inner.stopping.is_cancelled() {
            return Err(HubError::Stopping);
        }
        if let Some(slot) = slots.get(name) {
            return Ok(slot.clone());
        }
        if inner.listed.as_ref().is_some_and(|listed| !listed.contains(name)) {
            return Err(HubError::Unlisted(name.clone()));
        }
        if slots.len() >= inner.count_max {
            // Whoever waits for an empty one just now makes a hub in it.
            slots.retain(|_, slot| slot.hub().is_some() || Arc::strong_count(slot) > 1);
        }
        if slots.len() >= inner.count_max {
            return Err(HubError::TooMany(name.clone(), inner.count_max));
        }
        let Some(place) = inner.place.clone() else {
            return Err(HubError::Unlisted(name.clone()));
        };
        let place = (place, name.clone());
        let (limits, stopping) = (inner.limits.clone(), inner.stopping.clone());
        let slot = Arc::new(Slot::new(place, limits, stopping, inner.traces.clone()));
        slots.insert(name.clone(), slot.clone());
        Ok(slot)
    }

    /// Removes a hub with all that is in it; one that is not there is fine. The next call that
    /// names it makes an empty one.
    pub async fn delete(&self, name: &HubName) -> Result<(), HubError> {
        tracing::warn!(hub = %name, "the hub is deleted");
        let slot = self.slot(name)?;
        if slot.is_given() {
            return Err(HubError::Given(name.clone()));
        }
        slot.delete().await
    }

    /// The hub of those who name none.
    #[must_use]
    pub fn default_name(&self) -> &HubName {
        &self.inner.default
    }

    /// The names of the hubs that are open.
    #[must_use]
    pub fn names(&self) -> Vec<HubName> {
        let slots = self.lock();
        let open = slots.iter().filter(|(_, slot)| slot.hub().is_some());
        open.map(|(name, _)| name.clone()).collect()
    }

    /// The hubs that are open, by name.
    pub(crate) fn open_ones(&self) -> Vec<(HubName, Hub)> {
        let slots = self.lock();
        let open = slots.iter().filter_map(|(name, slot)| Some((name.clone(), slot.hub()?)));
        open.collect()
    }

    /// The way for traces, if they are sent anywhere.
    #[must_use]
    pub fn traces(&self) -> Option<&Traces> {
        self.inner.traces.as_ref()
    }

    /// The largest payload, in bytes.
    #[must_use]
    pub fn payload_bytes_max(&self) -> usize {
        self.inner.limits.payload_bytes_max
    }

    /// Cancelled when the server begins to stop: whoever streams ends the stream then.
    #[must_use]
    pub fn stopping(&self) -> &CancellationToken {
        &self.inner.stopping
    }

    /// Stops all hubs gracefully; from now on there is none.
    pub async fn stop(&self) {
        let slots: Vec<_> = {
            let slots = self.lock();
            self.inner.stopping.cancel();
            slots.values().chain(&self.inner.nothing).cloned().collect()
        };
        join_all(slots.iter().map(|slot| slot.close())).await;
        if let Some(traces) = &self.inner.traces {
            traces.flush().await;
        }
    }
}

/// Does what blocks on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HubError> + Send + 'static,
) -> Result<T, HubError> {
    tokio::task::spawn_blocking(work).await.map_err(HubError::interrupted)?
}

impl fmt::Debug for Hubs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hubs").field("place", &self.inner.place).finish_non_exhaustive()
    }
}
