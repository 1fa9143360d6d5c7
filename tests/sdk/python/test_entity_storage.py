"""Lists of entities, and cleaning up after them."""

from datetime import datetime, timedelta, timezone

import pytest
from durabletask.client import EntityQuery
from durabletask.entities import EntityInstanceId
from durabletask.internal import orchestrator_service_pb2 as pb

from entities import counter, until_count
from hub import Hub, eventually


def holding(ctx, key):
    """Locks a counter until it is let go, and answers with its count."""
    entity = EntityInstanceId("counter", key)
    with (yield ctx.lock_entities([entity])):
        ctx.set_custom_status("locked")
        yield ctx.wait_for_external_event("go")
        return (yield ctx.call_entity(entity, "get"))


def letters(ctx, input):
    ctx.set_state(input)


@pytest.fixture
def zoo(hub: Hub) -> Hub:
    """A hub with three counters and two of another kind."""
    hub.serve(holding, entities=[counter, letters])
    for n in range(3):
        hub.client.signal_entity(EntityInstanceId("counter", f"k{n}"), "set", input=n)
        until_count(hub, f"k{n}", n)
    for key in "xy":
        hub.client.signal_entity(EntityInstanceId("letters", key), "set", input=key)
        until_count(hub, key, key, name="letters")
    return hub


def ids(hub: Hub, **query) -> list[str]:
    return sorted(str(entity.id) for entity in hub.client.get_all_entities(EntityQuery(**query)))


COUNTERS = ["@counter@k0", "@counter@k1", "@counter@k2"]
LETTERS = ["@letters@x", "@letters@y"]


def test_every_entity_is_listed_once(zoo: Hub):
    assert ids(zoo) == COUNTERS + LETTERS


def test_entities_are_listed_by_the_beginning_of_their_id(zoo: Hub):
    assert ids(zoo, instance_id_starts_with="@counter@") == COUNTERS
    assert ids(zoo, instance_id_starts_with="@letters@y") == LETTERS[1:]
    assert ids(zoo, instance_id_starts_with="@nobody") == []


def test_entities_are_listed_by_the_time_of_their_last_change(zoo: Hub):
    now, hour = datetime.now(timezone.utc), timedelta(hours=1)
    assert ids(zoo, last_modified_from=now + hour) == []
    assert ids(zoo, last_modified_to=now - hour) == []
    assert ids(zoo, last_modified_from=now - hour, last_modified_to=now + hour) == ids(zoo)


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_pages_hold_every_entity_once(zoo: Hub, size):
    assert ids(zoo, page_size=size) == COUNTERS + LETTERS


def test_states_are_listed_unless_they_are_not_wanted(zoo: Hub):
    query = {"instance_id_starts_with": "@letters"}
    states = [it.get_typed_state() for it in zoo.client.get_all_entities(EntityQuery(**query))]
    assert sorted(states) == ["x", "y"]
    bare = zoo.client.get_all_entities(EntityQuery(**query, include_state=False))
    assert [it.get_state() for it in bare] == [None, None]


def test_large_states_are_listed_as_they_are(zoo: Hub):
    for key in ("large1", "large2", "large3"):
        zoo.client.signal_entity(EntityInstanceId("letters", key), "set", input=key * 200_000)
        until_count(zoo, key, key * 200_000, name="letters")
    query = EntityQuery(instance_id_starts_with="@letters@large")
    states = [it.get_typed_state() for it in zoo.client.get_all_entities(query)]
    assert sorted(states) == [key * 200_000 for key in ("large1", "large2", "large3")]


@pytest.mark.beyond_memory
def test_an_entity_without_state_is_listed_only_if_asked_for(zoo: Hub):
    instance = zoo.start(holding, "empty")
    eventually(lambda: zoo.state(instance).get_custom_status() == "locked")
    assert "@counter@empty" not in ids(zoo)
    assert "@counter@empty" in ids(zoo, include_transient=True)
    zoo.client.raise_orchestration_event(instance, "go")
    zoo.output(instance)
    eventually(lambda: "@counter@empty" not in ids(zoo))


def test_cleaning_leaves_entities_that_have_a_state(zoo: Hub):
    result = zoo.client.clean_entity_storage()
    assert result.orphaned_locks_released == 0
    assert ids(zoo) == COUNTERS + LETTERS


def test_cleaning_leaves_nothing_of_emptied_entities(zoo: Hub):
    zoo.client.signal_entity(EntityInstanceId("counter", "k0"), "delete")
    until_count(zoo, "k0", None)
    zoo.client.clean_entity_storage()
    assert ids(zoo, include_transient=True) == COUNTERS[1:] + LETTERS


@pytest.mark.beyond_memory
def test_cleaning_does_not_release_a_lock_that_is_held(zoo: Hub):
    entity = EntityInstanceId("counter", "k1")
    instance = zoo.start(holding, "k1")
    eventually(lambda: zoo.state(instance).get_custom_status() == "locked")
    assert zoo.client.clean_entity_storage().orphaned_locks_released == 0
    answer = zoo.stub.GetEntity(pb.GetEntityRequest(instanceId=str(entity)))
    assert answer.entity.lockedBy.value == instance
    zoo.client.raise_orchestration_event(instance, "go")
    assert zoo.output(instance) == 1


def test_a_backlog_is_counted(hub: Hub):
    entity = EntityInstanceId("counter", "busy")
    for _ in range(4):
        hub.client.signal_entity(entity, "add", input=1)
    query = EntityQuery(include_transient=True)
    (metadata,) = hub.client.get_all_entities(query)
    assert metadata.backlog_queue_size == 4
    hub.serve(entities=[counter])
    until_count(hub, "busy", 4)
    eventually(lambda: hub.client.get_entity(entity).backlog_queue_size == 0)
