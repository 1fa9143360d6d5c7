"""Critical sections: an orchestration holds entities while nobody else touches them."""

import threading

import pytest
from durabletask.client import OrchestrationStatus
from durabletask.entities import EntityInstanceId
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.task import TaskFailedError

from entities import count_of, counter, until_count
from hub import PATIENCE, Hub, eventually

A, B = EntityInstanceId("counter", "a"), EntityInstanceId("counter", "b")


def holding(ctx, keys):
    """Locks, waits to be let go, adds one under the lock."""
    entities = [EntityInstanceId("counter", key) for key in keys]
    with (yield ctx.lock_entities(entities)):
        ctx.set_custom_status("locked")
        yield ctx.wait_for_external_event("go")
        for entity in entities:
            yield ctx.call_entity(entity, "add", 1)
    return "released"


def calls(ctx, key):
    yield ctx.call_entity(EntityInstanceId("counter", key), "add", 10)
    return "called"


def locked_by(hub: Hub, entity: EntityInstanceId) -> str:
    answer = hub.stub.GetEntity(pb.GetEntityRequest(instanceId=str(entity)))
    return answer.entity.lockedBy.value if answer.exists else ""


def start_holding(hub: Hub, *keys: str) -> str:
    instance = hub.start(holding, list(keys))
    eventually(lambda: hub.state(instance).get_custom_status() == "locked")
    return instance


def let_go(hub: Hub, instance: str) -> None:
    hub.client.raise_orchestration_event(instance, "go")
    assert hub.output(instance) == "released"


def test_an_orchestration_calls_what_it_has_locked(hub: Hub):
    hub.serve(holding, entities=[counter])
    instance = start_holding(hub, "a", "b")
    let_go(hub, instance)
    until_count(hub, "a", 1)
    until_count(hub, "b", 1)


@pytest.mark.beyond_memory
def test_a_locked_entity_does_nothing_for_others(hub: Hub):
    hub.serve(holding, calls, entities=[counter])
    hub.client.signal_entity(A, "set", input=0)
    until_count(hub, "a", 0)
    instance = start_holding(hub, "a")
    call = hub.start(calls, "a")
    hub.client.signal_entity(A, "add", input=100)
    with pytest.raises(TimeoutError):
        hub.wait(call, timeout=0.5)
    assert count_of(hub, "a") == 0
    let_go(hub, instance)
    assert hub.output(call) == "called"
    until_count(hub, "a", 111)


@pytest.mark.beyond_memory
def test_a_lock_tells_who_holds_it(hub: Hub):
    hub.serve(holding, entities=[counter])
    hub.client.signal_entity(A, "set", input=0)
    until_count(hub, "a", 0)
    assert locked_by(hub, A) == ""
    instance = start_holding(hub, "a")
    assert locked_by(hub, A) == instance
    let_go(hub, instance)
    eventually(lambda: locked_by(hub, A) == "")


def test_critical_sections_on_one_entity_do_not_overlap(hub: Hub):
    def careful(ctx, _):
        with (yield ctx.lock_entities([A])):
            count = yield ctx.call_entity(A, "get")
            yield ctx.call_activity(pause)
            yield ctx.call_entity(A, "set", count + 1)

    def pause(ctx, _):
        pass

    hub.serve(careful, entities=[counter], activities=[pause])
    instances = [hub.start(careful) for _ in range(20)]
    for instance in instances:
        hub.output(instance)
    assert count_of(hub, "a") == 20


def test_sections_that_lock_in_any_order_all_end(hub: Hub):
    def crossing(ctx, keys):
        with (yield ctx.lock_entities([EntityInstanceId("counter", k) for k in keys])):
            for key in keys:
                yield ctx.call_entity(EntityInstanceId("counter", key), "add", 1)

    hub.serve(crossing, entities=[counter])
    orders = [["a", "b", "c"], ["c", "b", "a"], ["b", "a", "b"], ["c", "a"]] * 5
    instances = [hub.start(crossing, keys) for keys in orders]
    for instance in instances:
        hub.output(instance)
    until_count(hub, "c", 15)


def test_a_lock_is_let_go_where_the_code_fails(hub: Hub):
    def failing(ctx, _):
        with (yield ctx.lock_entities([A])):
            yield ctx.call_entity(A, "add", 1)
            raise ValueError("inside")

    hub.serve(failing, calls, entities=[counter])
    assert "inside" in hub.failure(failing).message
    assert hub.result(calls, "a") == "called"


def test_a_failed_call_inside_a_section_leaves_the_lock(hub: Hub):
    def careful(ctx, _):
        with (yield ctx.lock_entities([A])):
            try:
                yield ctx.call_entity(A, "add_then_fail", 1)
            except TaskFailedError:
                yield ctx.call_entity(A, "add", 5)
            return (yield ctx.call_entity(A, "get"))

    hub.serve(careful, calls, entities=[counter])
    assert hub.result(careful) == 5
    assert hub.result(calls, "a") == "called"


@pytest.mark.parametrize("way", ["ends", "continues"])
def test_a_lock_is_let_go_where_nobody_unlocks(hub: Hub, way):
    def careless(ctx, again):
        if again:
            return
        yield ctx.lock_entities([A, B])
        if way == "continues":
            ctx.continue_as_new(True)

    hub.serve(careless, calls, entities=[counter])
    hub.result(careless)
    assert hub.result(calls, "a") == "called"
    assert hub.result(calls, "b") == "called"


@pytest.mark.beyond_memory
def test_a_lock_is_let_go_where_its_holder_is_terminated(hub: Hub):
    hub.serve(holding, calls, entities=[counter])
    instance = start_holding(hub, "a", "b")
    call = hub.start(calls, "b")
    hub.client.terminate_orchestration(instance)
    assert hub.wait(instance).runtime_status == OrchestrationStatus.TERMINATED
    assert hub.output(call) == "called"
    assert hub.result(calls, "a") == "called"


@pytest.mark.beyond_memory
def test_a_lock_that_was_only_asked_for_is_forgotten_with_its_asker(hub: Hub):
    hub.serve(holding, calls, entities=[counter])
    first = start_holding(hub, "a")
    second = hub.start(holding, ["a", "b"])
    eventually(lambda: "EntityLockRequested" in hub.event_names(second))
    hub.client.terminate_orchestration(second)
    hub.wait(second)
    let_go(hub, first)
    assert hub.result(calls, "a") == "called"
    assert hub.result(calls, "b") == "called"


@pytest.mark.beyond_memory
def test_who_waits_for_a_lock_gets_it_before_who_asks_later(hub: Hub):
    order = []

    def queued(ctx, n):
        with (yield ctx.lock_entities([A])):
            yield ctx.call_activity(note, input=n)

    def note(ctx, n):
        order.append(n)

    hub.serve(holding, queued, entities=[counter], activities=[note])
    first = start_holding(hub, "a")
    queue = []
    for n in range(5):
        queue.append(hub.start(queued, n))
        eventually(lambda: "EntityLockRequested" in hub.event_names(queue[-1]))
    let_go(hub, first)
    for instance in queue:
        hub.output(instance)
    assert order == list(range(5))


@pytest.mark.beyond_memory
def test_what_began_before_the_lock_ends_before_the_lock(hub: Hub):
    def slow(ctx, input):
        if ctx.operation == "slow":
            inside.set()
            go.wait(PATIENCE)
        ctx.set_state([*ctx.get_state(list, []), ctx.operation])

    def locking(ctx, _):
        entity = EntityInstanceId("slow", "x")
        with (yield ctx.lock_entities([entity])):
            yield ctx.call_entity(entity, "under_lock")

    inside, go = threading.Event(), threading.Event()
    entity = EntityInstanceId("slow", "x")
    hub.serve(locking, entities=[slow])
    hub.client.signal_entity(entity, "slow")
    assert inside.wait(PATIENCE)
    instance = hub.start(locking)
    eventually(lambda: "EntityLockRequested" in hub.event_names(instance))
    hub.client.signal_entity(entity, "after")
    assert "EntityLockGranted" not in hub.event_names(instance)
    go.set()
    hub.output(instance)
    eventually(lambda: len(hub.client.get_entity(entity).get_typed_state()) == 3)
    done = hub.client.get_entity(entity).get_typed_state()
    assert done == ["slow", "under_lock", "after"]


def test_rules_of_a_section_are_kept_by_the_sdk(hub: Hub):
    def breaking(ctx, rule):
        with (yield ctx.lock_entities([A])):
            match rule:
                case "call another":
                    yield ctx.call_entity(B, "get")
                case "signal a locked one":
                    ctx.signal_entity(A, "add", 1)
                case "lock again":
                    yield ctx.lock_entities([B])

    hub.serve(breaking, calls, entities=[counter])
    for rule in ["call another", "signal a locked one", "lock again"]:
        assert "Must not" in hub.failure(breaking, rule).message
    assert hub.result(calls, "a") == "called"
