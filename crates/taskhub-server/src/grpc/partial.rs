//! Responses that come in chunks, until the last one is there.
//!
//! Each hub has its own share of the memory: what one keeps unfinished is no matter to another.

use std::sync::{Mutex, PoisonError};

use foldhash::HashMap;
use taskhub_engine::DeliveryId;
use taskhub_wire::{Chunks, InvalidMessage, proto::OrchestratorResponse};

use crate::HubName;

/// How many bytes of unfinished responses one hub may keep.
const BYTES_MAX: usize = 2 * Chunks::BYTES_MAX;

/// The unfinished responses, by hub and delivery.
#[derive(Debug, Default)]
pub(super) struct Partial {
    by_hub: Mutex<HashMap<HubName, HashMap<DeliveryId, Chunks>>>,
}

/// Why a chunk is not taken; what came before it is forgotten.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTaken {
    /// It makes no sense.
    #[error(transparent)]
    Invalid(#[from] InvalidMessage),
    /// The hub keeps as much as it may.
    #[error("the unfinished responses of this hub are too large together")]
    Full,
}

impl Partial {
    /// Takes a response, or a part of one; the whole response once it is there. Those of the hub
    /// whose deliveries do not `count` any more are forgotten.
    #[expect(deprecated, reason = "older workers send chunks")]
    pub(super) fn add(
        &self,
        hub: &HubName,
        delivery: DeliveryId,
        response: OrchestratorResponse,
        counts: impl Fn(DeliveryId) -> bool,
    ) -> Result<Option<OrchestratorResponse>, NotTaken> {
        let mut all = self.by_hub.lock().unwrap_or_else(PoisonError::into_inner);
        let is_whole = !response.is_partial && response.chunk_index.unwrap_or(0) == 0;
        if is_whole && !all.contains_key(hub) {
            return Ok(Some(response));
        }
        let mut of_hub = all.remove(hub).unwrap_or_default();
        let mut chunks = of_hub.remove(&delivery).unwrap_or_default();
        let mut added = chunks.add(response).map_err(NotTaken::from);
        of_hub.retain(|other, _| counts(*other));
        if matches!(added, Ok(None)) {
            let bytes: usize = of_hub.values().map(Chunks::bytes).sum();
            if bytes + chunks.bytes() > BYTES_MAX {
                added = Err(NotTaken::Full);
            } else {
                of_hub.insert(delivery, chunks);
            }
        }
        if !of_hub.is_empty() {
            all.insert(hub.clone(), of_hub);
        }
        added
    }
}

#[cfg(test)]
mod tests {
    use taskhub_wire::proto::{
        OrchestratorAction, ScheduleTaskAction, orchestrator_action::OrchestratorActionType as Do,
    };

    use super::*;

    #[expect(deprecated, reason = "older workers send chunks")]
    fn chunk(index: i32, is_partial: bool, bytes: usize) -> OrchestratorResponse {
        let call = ScheduleTaskAction { name: "n".repeat(bytes), ..Default::default() };
        let action = OrchestratorAction {
            id: index,
            orchestrator_action_type: Some(Do::ScheduleTask(call)),
        };
        let (actions, chunk_index) = (vec![action], Some(index));
        OrchestratorResponse { actions, chunk_index, is_partial, ..Default::default() }
    }

    fn hub(name: &str) -> HubName {
        HubName::parse(name).expect("a name")
    }

    #[test]
    fn a_hub_that_keeps_too_much_touches_no_other() {
        let partial = Partial::default();
        let (greedy, other) = (hub("greedy"), hub("other"));
        let add = |hub, delivery, chunk| partial.add(hub, delivery, chunk, |_| true);
        assert!(matches!(add(&other, 1, chunk(0, true, 9)), Ok(None)));
        assert!(matches!(add(&greedy, 1, chunk(0, true, 60 << 20)), Ok(None)));
        assert!(matches!(add(&greedy, 2, chunk(0, true, 60 << 20)), Ok(None)));
        assert!(matches!(add(&greedy, 3, chunk(0, true, 60 << 20)), Err(NotTaken::Full)));
        let whole = |added: Result<Option<OrchestratorResponse>, NotTaken>| {
            added.expect("it is taken").expect("it was the last").actions.len()
        };
        assert_eq!(whole(add(&greedy, 1, chunk(1, false, 9))), 2, "only the last was too much");
        assert_eq!(whole(add(&other, 1, chunk(1, false, 9))), 2);
    }

    #[test]
    fn what_does_not_count_any_more_is_forgotten() {
        let partial = Partial::default();
        let name = hub("orders");
        partial.add(&name, 1, chunk(0, true, 9), |_| true).expect("it is taken");
        partial.add(&name, 2, chunk(0, true, 9), |delivery| delivery != 1).expect("it is taken");
        assert_eq!(partial.by_hub.lock().expect("no panic")[&name].len(), 1);
        partial.add(&name, 2, chunk(1, false, 9), |_| true).expect("it is taken");
        assert!(partial.by_hub.lock().expect("no panic").is_empty());
    }
}
