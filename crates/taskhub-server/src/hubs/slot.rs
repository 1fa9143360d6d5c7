//! One hub of the server: closed, open, or on the way from one to the other.

use std::sync::{Arc, PoisonError, RwLock};

use taskhub_core::Limits;
use taskhub_engine::{Code, Hub};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{HubError, HubName, blocking, place::Place};
use crate::{Lending, Traces};

/// The place of one hub.
pub(super) struct Slot {
    /// Where it is kept; `None` when somebody else opened it, and will close it.
    place: Option<(Place, HubName)>,
    limits: Limits,
    traces: Option<Traces>,
    /// Cancelled when nothing may be opened any more.
    stopping: CancellationToken,
    /// Whoever opens or closes it has the turn, and makes the others wait.
    turn: Mutex<()>,
    hub: RwLock<Option<Opened>>,
}

/// A hub that is open.
struct Opened {
    hub: Hub,
    _lends: Option<Lending>,
}

impl Slot {
    pub(super) fn new(
        place: (Place, HubName),
        limits: Limits,
        stopping: CancellationToken,
        traces: Option<Traces>,
    ) -> Self {
        let (turn, hub) = (Mutex::default(), RwLock::default());
        Self { place: Some(place), limits, traces, stopping, turn, hub }
    }

    /// A hub that somebody else opened.
    pub(super) fn given(hub: Hub, limits: Limits, stopping: CancellationToken) -> Self {
        let opened = Opened { hub, _lends: None };
        let (turn, hub) = (Mutex::default(), RwLock::new(Some(opened)));
        Self { place: None, limits, traces: None, stopping, turn, hub }
    }

    /// Whether somebody else opened it.
    pub(super) fn is_given(&self) -> bool {
        self.place.is_none()
    }

    /// The hub, if it is open.
    pub(super) fn hub(&self) -> Option<Hub> {
        let opened = self.hub.read().unwrap_or_else(PoisonError::into_inner);
        opened.as_ref().map(|opened| opened.hub.clone())
    }

    /// Opens the hub, or waits for whoever is at it. What was begun is finished even if the caller
    /// goes away: a hub that is half open could not be closed.
    pub(super) async fn open(self: Arc<Self>) -> Result<Hub, HubError> {
        let opening = tokio::spawn(async move {
            let _turn = self.turn.lock().await;
            if let Some(hub) = self.hub() {
                return Ok(hub);
            }
            let place = self.place.clone().filter(|_| !self.stopping.is_cancelled());
            let Some((place, name)) = place else { return Err(HubError::Stopping) };
            let limits = self.limits.clone();
            let hub = {
                let (place, name) = (place.clone(), name.clone());
                blocking(move || open(&place, &name, limits)).await?
            };
            if let Some(traces) = &self.traces {
                traces.of(&name).watch(&hub);
            }
            let lends = place.lend(&name, &hub);
            self.put(Some(Opened { hub: hub.clone(), _lends: lends }));
            let (deleted, slot) = (hub.deleted(), Arc::downgrade(&self));
            tokio::spawn(async move {
                // Somebody else did; whoever names it next opens another one.
                if deleted.await
                    && let Some(slot) = slot.upgrade()
                {
                    tracing::warn!(hub = %name, "the hub was deleted by another node");
                    slot.close().await;
                }
            });
            Ok(hub)
        });
        opening.await.map_err(HubError::interrupted)?
    }

    /// Closes the hub, if it is open.
    pub(super) async fn close(&self) {
        let _turn = self.turn.lock().await;
        self.stop().await;
    }

    /// Closes the hub and removes all that is in it.
    pub(super) async fn delete(self: Arc<Self>) -> Result<(), HubError> {
        let deleting = tokio::spawn(async move {
            let _turn = self.turn.lock().await;
            self.stop().await;
            let Some((place, name)) = self.place.clone() else { return Ok(()) };
            blocking(move || place.delete(&name)).await
        });
        deleting.await.map_err(HubError::interrupted)?
    }

    async fn stop(&self) {
        let opened = self.put(None);
        if let Some(Opened { hub, .. }) = opened
            && self.place.is_some()
        {
            hub.stop().await;
        }
    }

    fn put(&self, hub: Option<Opened>) -> Option<Opened> {
        std::mem::replace(&mut *self.hub.write().unwrap_or_else(PoisonError::into_inner), hub)
    }
}

fn open(place: &Place, name: &HubName, limits: Limits) -> Result<Hub, HubError> {
    let store = place.open(name)?;
    let hub = Hub::open_as(store, &Code::elsewhere(), limits, place.node(name))?;
    if !matches!(place, Place::Nowhere) {
        tracing::info!(hub = %name, "hub opened");
    }
    Ok(hub)
}
