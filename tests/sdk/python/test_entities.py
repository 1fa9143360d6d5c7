"""Entities: signalled, called, read, emptied."""

from datetime import datetime, timedelta, timezone

import pytest
from durabletask.entities import EntityInstanceId
from durabletask.task import TaskFailedError, when_all

from entities import Account, count_of, counter, until_count
from hub import Hub, eventually

ONE = EntityInstanceId("counter", "one")


def reads(ctx, key):
    return (yield ctx.call_entity(EntityInstanceId("counter", key), "get"))


def test_a_signal_changes_the_state(hub: Hub):
    hub.serve(entities=[counter])
    hub.client.signal_entity(ONE, "add", input=5)
    until_count(hub, "one", 5)
    metadata = hub.client.get_entity(ONE)
    assert metadata.id == ONE
    assert metadata.backlog_queue_size == 0
    age = datetime.now(timezone.utc) - metadata.last_modified
    assert timedelta(minutes=-1) < age < timedelta(minutes=1)


def test_an_entity_may_be_signalled_before_any_worker(hub: Hub):
    for _ in range(10):
        hub.client.signal_entity(ONE, "add", input=1)
    hub.serve(entities=[counter])
    until_count(hub, "one", 10)


def test_signals_of_one_client_are_done_in_order(hub: Hub):
    def log(ctx, input):
        ctx.set_state([*ctx.get_state(list, []), input])

    hub.serve(entities=[log])
    entity = EntityInstanceId("log", "x")
    for n in range(100):
        hub.client.signal_entity(entity, "append", input=n)
    expected = list(range(100))
    eventually(lambda: (it := hub.client.get_entity(entity)) and it.get_typed_state() == expected)


def test_entities_of_one_name_are_told_apart_by_their_keys(hub: Hub):
    hub.serve(entities=[counter])
    for n in range(20):
        hub.client.signal_entity(EntityInstanceId("counter", f"k{n}"), "add", input=n)
    for n in range(20):
        until_count(hub, f"k{n}", n)


def test_the_name_of_an_entity_has_no_case_and_its_key_has(hub: Hub):
    hub.serve(entities=[counter])
    hub.client.signal_entity(EntityInstanceId("Counter", "key"), "add", input=1)
    hub.client.signal_entity(EntityInstanceId("COUNTER", "KEY"), "add", input=2)
    until_count(hub, "key", 1)
    until_count(hub, "KEY", 2)


def test_an_entity_nobody_signalled_is_not_known(hub: Hub):
    assert hub.client.get_entity(ONE) is None


def test_the_state_is_left_out_unless_asked_for(hub: Hub):
    hub.serve(entities=[counter])
    hub.client.signal_entity(ONE, "add", input=5)
    until_count(hub, "one", 5)
    assert hub.client.get_entity(ONE, include_state=False).get_state() is None


def test_an_orchestration_calls_an_entity_and_gets_the_answer(hub: Hub):
    def calling(ctx, n):
        answers = []
        for _ in range(n):
            yield ctx.call_entity(ONE, "add", 1)
            answers.append((yield ctx.call_entity(ONE, "get")))
        return answers

    hub.serve(calling, entities=[counter])
    assert hub.result(calling, 5) == [1, 2, 3, 4, 5]


def test_an_orchestration_signals_an_entity_and_goes_on(hub: Hub):
    def signalling(ctx, _):
        for n in range(10):
            ctx.signal_entity(ONE, "add", n)
        return (yield ctx.call_entity(ONE, "get"))

    hub.serve(signalling, entities=[counter])
    assert hub.result(signalling) == 45


def test_a_signal_sent_with_the_end_arrives(hub: Hub):
    def signalling(ctx, _):
        ctx.signal_entity(ONE, "add", 7)
        return "sent"

    hub.serve(signalling, entities=[counter])
    assert hub.result(signalling) == "sent"
    until_count(hub, "one", 7)


def test_many_orchestrations_add_up_in_one_entity(hub: Hub):
    def adding(ctx, n):
        for _ in range(n):
            yield ctx.call_entity(ONE, "add", 1)

    hub.serve(adding, entities=[counter])
    instances = [hub.start(adding, 5) for _ in range(20)]
    for instance in instances:
        hub.output(instance)
    assert count_of(hub, "one") == 100


def test_calls_to_several_entities_run_side_by_side(hub: Hub):
    def calling(ctx, keys):
        return (
            yield when_all([ctx.call_entity(EntityInstanceId("counter", k), "get") for k in keys])
        )

    hub.serve(calling, entities=[counter])
    for n in range(10):
        hub.client.signal_entity(EntityInstanceId("counter", str(n)), "add", input=n)
        until_count(hub, str(n), n)
    assert hub.result(calling, [str(n) for n in range(10)]) == list(range(10))


def test_a_class_may_be_an_entity(hub: Hub):
    def saving(ctx, amounts):
        entity = EntityInstanceId("account", "mine")
        for amount in amounts:
            yield ctx.call_entity(entity, "deposit", amount)
        return (yield ctx.call_entity(entity, "balance"))

    hub.serve(saving, entities=[Account])
    assert hub.result(saving, [5, 6, 7]) == 18


def test_a_failed_operation_fails_its_caller(hub: Hub):
    def calling(ctx, _):
        try:
            yield ctx.call_entity(ONE, "add_then_fail", 1)
        except TaskFailedError as error:
            return str(error)

    hub.serve(calling, entities=[counter])
    assert "failed at 0" in hub.result(calling)


def test_a_failed_operation_leaves_state_and_signals_undone(hub: Hub):
    hub.client.signal_entity(ONE, "add", input=3)
    hub.client.signal_entity(ONE, "add_then_fail", input=100)
    hub.client.signal_entity(ONE, "add", input=4)
    hub.serve(reads, entities=[counter])
    until_count(hub, "one", 7)
    assert hub.result(reads, "witness") == 0


def test_an_operation_that_does_not_exist_fails(hub: Hub):
    def calling(ctx, _):
        yield ctx.call_entity(ONE, "divide")

    hub.serve(calling, entities=[counter])
    assert "divide" in hub.failure(calling).message


def test_an_entity_nobody_registered_fails_its_caller(hub: Hub):
    def calling(ctx, _):
        yield ctx.call_entity(EntityInstanceId("nobody", "x"), "get")

    hub.serve(calling)
    assert "nobody" in hub.failure(calling).message


@pytest.mark.parametrize("value", [0, False, "", [], {}, "ünï", None], ids=repr)
def test_what_an_entity_gives_and_keeps_is_not_changed(hub: Hub, value):
    def box(ctx, input):
        if ctx.operation == "put":
            ctx.set_state([input])
        return ctx.get_state(list)

    def calling(ctx, value):
        entity = EntityInstanceId("box", "x")
        yield ctx.call_entity(entity, "put", value)
        return (yield ctx.call_entity(entity, "get"))

    hub.serve(calling, entities=[box])
    assert hub.result(calling, value) == [value]


@pytest.mark.beyond_memory
def test_an_emptied_entity_is_gone(hub: Hub):
    hub.serve(reads, entities=[counter])
    hub.client.signal_entity(ONE, "add", input=1)
    until_count(hub, "one", 1)
    hub.client.signal_entity(ONE, "delete")
    eventually(lambda: hub.client.get_entity(ONE) is None)
    assert hub.client.get_all_entities() == []
    assert hub.result(reads, "one") == 0


def test_a_class_entity_can_be_deleted(hub: Hub):
    entity = EntityInstanceId("account", "mine")
    hub.serve(entities=[Account])
    hub.client.signal_entity(entity, "deposit", input=1)
    eventually(lambda: (it := hub.client.get_entity(entity)) and it.get_state())
    hub.client.signal_entity(entity, "delete")
    eventually(lambda: not (it := hub.client.get_entity(entity)) or not it.get_state())


def test_an_entity_signals_another(hub: Hub):
    def relay(ctx, n):
        if n:
            ctx.signal_entity(EntityInstanceId("relay", str(n - 1)), "pass", n - 1)
        ctx.set_state(n)

    hub.serve(entities=[relay])
    hub.client.signal_entity(EntityInstanceId("relay", "9"), "pass", input=9)
    for n in range(10):
        until_count(hub, str(n), n, name="relay")


def test_an_entity_starts_an_orchestration(hub: Hub):
    def greet(ctx, input):
        yield ctx.wait_for_external_event("go")
        return f"hello {input}"

    def starter(ctx, input):
        ctx.set_state(ctx.schedule_new_orchestration("greet", input, instance_id=input))

    hub.serve(greet, entities=[starter])
    hub.client.signal_entity(EntityInstanceId("starter", "x"), "start", input="friend")
    eventually(lambda: hub.client.get_orchestration_state("friend"))
    hub.client.raise_orchestration_event("friend", "go")
    assert hub.output("friend") == "hello friend"


def test_a_signal_for_later_does_not_come_early(hub: Hub):
    def stamp(ctx, _):
        ctx.set_state(datetime.now(timezone.utc).isoformat())

    hub.serve(entities=[stamp])
    entity = EntityInstanceId("stamp", "x")
    due = datetime.now(timezone.utc) + timedelta(milliseconds=600)
    hub.client.signal_entity(entity, "stamp", signal_time=due)
    stamped = eventually(lambda: (it := hub.client.get_entity(entity)) and it.get_typed_state())
    assert datetime.fromisoformat(stamped) >= due


def test_an_orchestration_may_signal_for_later(hub: Hub):
    def signalling(ctx, _):
        due = ctx.current_utc_datetime + timedelta(milliseconds=400)
        ctx.signal_entity(ONE, "set", 1, due)
        ctx.signal_entity(ONE, "set", 2)
        return due.replace(tzinfo=timezone.utc).isoformat()

    hub.serve(signalling, entities=[counter])
    due = datetime.fromisoformat(hub.result(signalling))
    until_count(hub, "one", 1)
    assert datetime.now(timezone.utc) >= due


def test_a_signal_for_a_time_past_comes_at_once(hub: Hub):
    hub.serve(entities=[counter])
    past = datetime.now(timezone.utc) - timedelta(days=1)
    hub.client.signal_entity(ONE, "add", input=1, signal_time=past)
    until_count(hub, "one", 1)
