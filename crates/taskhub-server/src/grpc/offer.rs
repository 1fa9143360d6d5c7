//! What a worker offers to do when it comes: checked, and in the words of the engine.
//!
//! All of it is kept as long as its stream lasts, and names are compared with those of work. So it
//! is bounded, far beyond what any program has.

use taskhub_core::Text;
use taskhub_engine::{Names, Serves, WorkerOptions};
use taskhub_wire::{
    InvalidMessage, few,
    proto::{self, GetWorkItemsRequest, WorkItemFilters},
    short, within,
};

use super::agent::{Agent, ROOM};

/// How many names and versions a worker may list.
const NAMES_COUNT_MAX: usize = 10_000;

/// All names and versions together, in bytes.
const NAMES_BYTES_MAX: usize = 256 << 10;

/// How much a worker may have in hand when it comes back.
const IN_HAND_COUNT_MAX: usize = 100_000;

/// Refuses what is too much to keep.
pub(super) fn bounded(request: &GetWorkItemsRequest) -> Result<(), InvalidMessage> {
    short("workerInstanceId", &request.worker_instance_id)?;
    few("inHand", request.in_hand.len(), IN_HAND_COUNT_MAX)?;
    let Some(filters) = &request.work_item_filters else { return Ok(()) };
    let WorkItemFilters { orchestrations, activities, entities, .. } = filters;
    let orchestrations = orchestrations.iter().map(|it| (&it.name, &it.versions[..]));
    let activities = activities.iter().map(|it| (&it.name, &it.versions[..]));
    let entities = entities.iter().map(|it| (&it.name, &[][..]));
    let (mut count, mut bytes) = (0, 0);
    let field = "workItemFilters";
    for (name, versions) in orchestrations.chain(activities).chain(entities) {
        for text in std::iter::once(name).chain(versions) {
            short(field, text)?;
            (count, bytes) = (count + 1, bytes + text.len());
        }
    }
    few(field, count, NAMES_COUNT_MAX)?;
    within(field, bytes, NAMES_BYTES_MAX)
}

/// Where a worker does not say how much it takes, it is left to us; a node means nothing by it.
pub(super) fn options(request: GetWorkItemsRequest, agent: Agent, is_node: bool) -> WorkerOptions {
    let room_or = |asked: i32, unsaid: usize| match usize::try_from(asked).unwrap_or(0) {
        0 if !is_node => unsaid,
        room => room,
    };
    let room = |asked| room_or(asked, ROOM);
    WorkerOptions {
        activities: room(request.max_concurrent_activity_work_items),
        turns: room(request.max_concurrent_orchestration_work_items),
        entities: room_or(request.max_concurrent_entity_work_items, agent.unsaid_entities()),
        serves: request.work_item_filters.map(|it| serves(it, agent)).unwrap_or_default(),
        name: request.worker_instance_id,
        keeps_code: request.keeps_code,
        is_node,
    }
}

/// Filters that are there name all that a worker takes: an empty list is nothing, but for entities
/// where the SDK cannot name them.
fn serves(filters: WorkItemFilters, agent: Agent) -> Serves {
    let any_entity =
        filters.any_entity || (filters.entities.is_empty() && !agent.filters_entities());
    let texts = |texts: Vec<String>| texts.into_iter().map(Text::from).collect();
    let orchestrations = filters.orchestrations.into_iter();
    let activities = filters.activities.into_iter();
    let entities = filters.entities.into_iter();
    let named = |name: String| (Text::from(name), Vec::new());
    Serves {
        orchestrations: Names::Only(
            orchestrations
                .map(|proto::OrchestrationFilter { name, versions }| (name.into(), texts(versions)))
                .collect(),
        ),
        activities: Names::Only(
            activities
                .map(|proto::ActivityFilter { name, versions }| (name.into(), texts(versions)))
                .collect(),
        ),
        entities: if any_entity {
            Names::All
        } else {
            Names::Only(entities.map(|proto::EntityFilter { name }| named(name)).collect())
        },
    }
}

#[cfg(test)]
mod tests {
    use proto::{ActivityFilter, OrchestrationFilter};

    use super::*;

    const LONG: usize = 1_024;

    fn serving(names: impl Iterator<Item = String>) -> GetWorkItemsRequest {
        let filter = |name| OrchestrationFilter { name, versions: Vec::new() };
        let orchestrations = names.map(filter).collect();
        let filters = WorkItemFilters { orchestrations, ..WorkItemFilters::default() };
        GetWorkItemsRequest { work_item_filters: Some(filters), ..GetWorkItemsRequest::default() }
    }

    fn is_too_long(request: &GetWorkItemsRequest) -> bool {
        matches!(bounded(request), Err(InvalidMessage::TooLong { .. }))
    }

    fn is_too_many(request: &GetWorkItemsRequest) -> bool {
        matches!(bounded(request), Err(InvalidMessage::TooMany { .. }))
    }

    #[test]
    fn a_worker_may_serve_a_great_many_names() {
        let names = (0..NAMES_COUNT_MAX).map(|number| format!("orchestration-{number}"));
        assert_eq!(bounded(&serving(names)), Ok(()));
    }

    #[test]
    fn names_without_end_are_refused() {
        assert!(is_too_many(&serving((0..=NAMES_COUNT_MAX).map(|_| String::new()))));
        assert!(is_too_long(&serving(std::iter::once("n".repeat(LONG + 1)))));
        assert!(is_too_long(&serving((0..300).map(|_| "n".repeat(LONG)))));
        let worker_instance_id = "w".repeat(LONG + 1);
        assert!(is_too_long(&GetWorkItemsRequest { worker_instance_id, ..Default::default() }));
    }

    #[test]
    fn versions_without_end_are_refused() {
        let versions = vec!["1".to_owned(); NAMES_COUNT_MAX];
        let activity = ActivityFilter { name: "a".to_owned(), versions };
        let filters = WorkItemFilters { activities: vec![activity], ..Default::default() };
        let request =
            GetWorkItemsRequest { work_item_filters: Some(filters), ..Default::default() };
        assert!(is_too_many(&request));
    }

    #[test]
    fn work_in_hand_without_end_is_refused() {
        let in_hand = vec![String::new(); IN_HAND_COUNT_MAX + 1];
        assert!(is_too_many(&GetWorkItemsRequest { in_hand, ..Default::default() }));
    }
}
