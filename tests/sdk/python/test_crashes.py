"""The server is killed while work is in progress, and nothing that was accepted is lost."""

import threading
from datetime import datetime, timedelta, timezone

import grpc
from durabletask.client import OrchestrationStatus
from durabletask.entities import EntityInstanceId
from durabletask.task import when_all

from entities import counter, until_count
from hub import PATIENCE, Hub, eventually
from server import Server


def again(call):
    """Calls until the server is there again."""

    def answered():
        try:
            return (call(),)
        except grpc.RpcError as error:
            assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED), error

    return eventually(answered)[0]


def output(hub: Hub, instance: str):
    return again(lambda: hub.output(instance))


def waiting(ctx, _):
    return (yield ctx.wait_for_external_event("go"))


def test_a_chain_goes_on_where_it_was(own_hub: Hub, own_server: Server):
    def step(ctx, n):
        steps.append(n)
        if n == 10:
            reached.set()
        return n + 1

    def chain(ctx, n):
        for _ in range(20):
            n = yield ctx.call_activity(step, input=n)
        return n

    steps, reached = [], threading.Event()
    own_hub.serve(chain, activities=[step])
    instance = own_hub.start(chain, 0)
    assert reached.wait(30)
    own_server.restart()
    assert output(own_hub, instance) == 20
    assert sorted(set(steps)) == list(range(20))
    # What was out when the server died may run again, what was done before may not.
    assert len(steps) <= 22


def test_it_may_happen_again_and_again(own_hub: Hub, own_server: Server):
    def step(ctx, n):
        return n + 1

    def chain(ctx, n):
        for _ in range(150):
            n = yield ctx.call_activity(step, input=n)
        return n

    own_hub.serve(chain, activities=[step])
    instances = [own_hub.start(chain, n) for n in range(5)]
    for _ in range(3):
        own_server.restart()
    assert [output(own_hub, it) for it in instances] == [150 + n for n in range(5)]


def test_events_that_were_accepted_are_there(own_hub: Hub, own_server: Server):
    def collecting(ctx, n):
        return (yield when_all([ctx.wait_for_external_event("item") for _ in range(n)]))

    instance = own_hub.start(collecting, 50)
    for n in range(50):
        own_hub.client.raise_orchestration_event(instance, "item", data=n)
    own_server.restart()
    own_hub.serve(collecting)
    assert output(own_hub, instance) == list(range(50))


def test_starts_that_were_accepted_run(own_hub: Hub, own_server: Server):
    def echo(ctx, n):
        return n

    instances = [own_hub.start(echo, n) for n in range(50)]
    own_server.restart()
    own_hub.serve(echo)
    assert [output(own_hub, it) for it in instances] == list(range(50))


def test_a_timer_fires_after_the_crash_and_not_before_its_time(own_hub: Hub, own_server: Server):
    def sleeping(ctx, _):
        due = ctx.current_utc_datetime + timedelta(seconds=1)
        yield ctx.create_timer(due)
        return due.replace(tzinfo=timezone.utc).isoformat()

    own_hub.serve(sleeping)
    instance = own_hub.start(sleeping)
    eventually(lambda: "TimerCreated" in own_hub.event_names(instance))
    own_server.restart()
    due = datetime.fromisoformat(output(own_hub, instance))
    assert datetime.now(timezone.utc) >= due


def test_a_timer_that_came_due_while_nobody_was_there_fires(own_hub: Hub, own_server: Server):
    def sleeping(ctx, _):
        yield ctx.create_timer(timedelta(milliseconds=300))
        return "woke"

    worker = own_hub.serve(sleeping)
    instance = own_hub.start(sleeping)
    eventually(lambda: "TimerCreated" in own_hub.event_names(instance))
    own_server.kill()
    worker.stop()
    own_server.start()
    own_hub.serve(sleeping)
    assert output(own_hub, instance) == "woke"


def test_an_activity_that_was_out_counts_once(own_hub: Hub, own_server: Server):
    def slow(ctx, _):
        ran.append(1)
        begun.set()
        go.wait(PATIENCE)
        return len(ran)

    def calling(ctx, _):
        return (yield ctx.call_activity(slow))

    ran, begun, go = [], threading.Event(), threading.Event()
    own_hub.serve(calling, activities=[slow])
    instance = own_hub.start(calling)
    assert begun.wait(PATIENCE)
    own_server.restart()
    go.set()
    assert output(own_hub, instance) in (1, 2)
    assert own_hub.event_names(instance).count("TaskCompleted") == 1


def test_a_suspended_instance_stays_suspended(own_hub: Hub, own_server: Server):
    own_hub.serve(waiting)
    instance = own_hub.start(waiting)
    own_hub.client.wait_for_orchestration_start(instance)
    own_hub.client.suspend_orchestration(instance)
    own_hub.until_status(instance, OrchestrationStatus.SUSPENDED)
    own_hub.client.raise_orchestration_event(instance, "go", data=1)
    own_server.restart()
    assert again(lambda: own_hub.status(instance)) == OrchestrationStatus.SUSPENDED
    own_hub.client.resume_orchestration(instance)
    assert output(own_hub, instance) == 1


def test_what_has_ended_is_as_it_was(own_hub: Hub, own_server: Server):
    def fails(ctx, _):
        ctx.set_custom_status({"part": 1})
        raise ValueError("on purpose")

    own_hub.serve(fails)
    instance = own_hub.start(fails, {"in": 1}, tags={"a": "b"})
    before, history = own_hub.wait(instance), own_hub.event_names(instance)
    own_server.restart()
    after = again(lambda: own_hub.state(instance))
    assert after == before
    assert after.failure_details.message == "on purpose"
    assert own_hub.event_names(instance) == history


def test_an_entity_keeps_its_state_and_its_signals(own_hub: Hub, own_server: Server):
    entity = EntityInstanceId("counter", "one")
    worker = own_hub.serve(entities=[counter])
    own_hub.client.signal_entity(entity, "add", input=1)
    until_count(own_hub, "one", 1)
    worker.stop()
    for _ in range(20):
        own_hub.client.signal_entity(entity, "add", input=1)
    own_server.restart()
    own_hub.serve(entities=[counter])
    again(lambda: until_count(own_hub, "one", 21))


def test_a_lock_outlives_the_crash(own_hub: Hub, own_server: Server):
    entity = EntityInstanceId("counter", "one")

    def holding(ctx, _):
        with (yield ctx.lock_entities([entity])):
            yield ctx.wait_for_external_event("go")
            yield ctx.call_entity(entity, "add", 1)
            return (yield ctx.call_entity(entity, "get"))

    def other(ctx, _):
        yield ctx.call_entity(entity, "add", 10)

    own_hub.serve(holding, other, entities=[counter])
    first = own_hub.start(holding)
    eventually(lambda: "EntityLockGranted" in own_hub.event_names(first))
    second = own_hub.start(other)
    eventually(lambda: "EntityOperationCalled" in own_hub.event_names(second))
    own_server.restart()
    assert again(lambda: own_hub.status(second)) == OrchestrationStatus.RUNNING
    own_hub.client.raise_orchestration_event(first, "go")
    assert output(own_hub, first) == 1
    output(own_hub, second)
    until_count(own_hub, "one", 11)


def test_who_waits_hears_of_the_crash_and_may_wait_again(own_hub: Hub, own_server: Server):
    def wait():
        try:
            own_hub.client.wait_for_orchestration_completion(instance, timeout=30)
        except grpc.RpcError as error:
            heard.append(error.code())

    own_hub.serve(waiting)
    instance, heard = own_hub.start(waiting), []
    own_hub.client.wait_for_orchestration_start(instance)
    thread = threading.Thread(target=wait)
    thread.start()
    own_server.restart()
    thread.join(10)
    assert heard in ([grpc.StatusCode.UNAVAILABLE], [grpc.StatusCode.CANCELLED])
    again(lambda: own_hub.client.raise_orchestration_event(instance, "go", data=1))
    assert output(own_hub, instance) == 1


def test_a_polite_stop_loses_nothing_either(own_hub: Hub, own_server: Server):
    def step(ctx, n):
        return n + 1

    def chain(ctx, n):
        for _ in range(100):
            n = yield ctx.call_activity(step, input=n)
        return n

    own_hub.serve(chain, activities=[step])
    instances = [own_hub.start(chain, n) for n in range(5)]
    own_server.stop()
    own_server.start()
    assert [output(own_hub, it) for it in instances] == [100 + n for n in range(5)]
