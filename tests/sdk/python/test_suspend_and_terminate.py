"""Instances that are held, let go, and ended from outside."""

import threading
from datetime import timedelta

import grpc
import pytest
from durabletask.client import OrchestrationStatus

from hub import PATIENCE, Hub, eventually

SUSPENDED = OrchestrationStatus.SUSPENDED
RUNNING = OrchestrationStatus.RUNNING
TERMINATED = OrchestrationStatus.TERMINATED


def waiting(ctx, _):
    return (yield ctx.wait_for_external_event("go"))


def suspended(hub: Hub, orchestrator=waiting, input=None) -> str:
    instance = hub.start(orchestrator, input)
    hub.client.wait_for_orchestration_start(instance)
    hub.client.suspend_orchestration(instance, reason="hold it")
    hub.until_status(instance, SUSPENDED)
    return instance


def test_a_suspended_instance_holds_its_events_until_it_is_resumed(hub: Hub):
    hub.serve(waiting)
    instance = suspended(hub)
    hub.client.raise_orchestration_event(instance, "go", data=42)
    with pytest.raises(TimeoutError):
        hub.wait(instance, timeout=0.5)
    assert hub.status(instance) == SUSPENDED
    hub.client.resume_orchestration(instance, reason="go on")
    assert hub.output(instance) == 42


def test_a_timer_that_is_due_meanwhile_fires_after_the_resume(hub: Hub):
    def sleeping(ctx, _):
        yield ctx.create_timer(timedelta(milliseconds=200))
        return "woke"

    hub.serve(sleeping)
    instance = suspended(hub, sleeping)
    with pytest.raises(TimeoutError):
        hub.wait(instance, timeout=0.5)
    hub.client.resume_orchestration(instance)
    assert hub.output(instance) == "woke"


def test_an_activity_that_ends_meanwhile_counts_after_the_resume(hub: Hub):
    def slow(ctx, _):
        ran.append(1)
        go.wait(PATIENCE)
        return "result"

    def calling(ctx, _):
        first = yield ctx.call_activity(slow)
        second = yield ctx.call_activity(slow)
        return [first, second]

    go, ran = threading.Event(), []
    hub.serve(calling, activities=[slow])
    instance = suspended(hub, calling)
    go.set()
    with pytest.raises(TimeoutError):
        hub.wait(instance, timeout=0.3)
    hub.client.resume_orchestration(instance)
    assert hub.output(instance) == ["result", "result"]
    assert len(ran) == 2


@pytest.mark.beyond_memory
def test_suspending_twice_is_undone_by_one_resume(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting)
    for _ in range(3):
        hub.client.suspend_orchestration(instance)
    hub.until_status(instance, SUSPENDED)
    hub.client.suspend_orchestration(instance)
    hub.client.resume_orchestration(instance)
    hub.until_status(instance, RUNNING)
    hub.client.raise_orchestration_event(instance, "go", data=1)
    assert hub.output(instance) == 1


@pytest.mark.beyond_memory
def test_resuming_what_is_not_suspended_changes_nothing(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting)
    hub.client.resume_orchestration(instance)
    hub.client.wait_for_orchestration_start(instance)
    hub.client.resume_orchestration(instance)
    hub.client.resume_orchestration(instance)
    hub.client.raise_orchestration_event(instance, "go", data=1)
    assert hub.output(instance) == 1


def test_an_instance_may_be_suspended_and_resumed_many_times(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting)
    for _ in range(5):
        hub.client.suspend_orchestration(instance)
        hub.until_status(instance, SUSPENDED)
        hub.client.resume_orchestration(instance)
        hub.until_status(instance, RUNNING)
    hub.client.raise_orchestration_event(instance, "go", data=1)
    assert hub.output(instance) == 1


@pytest.mark.beyond_memory
def test_work_of_the_same_moment_as_the_suspension_is_done_once(hub: Hub):
    def note(ctx, n):
        noted.append(n)
        return n

    def working(ctx, _):
        yield ctx.wait_for_external_event("go")
        return (yield ctx.call_activity(note, input=1))

    noted = []
    instance = hub.start(working)
    hub.client.raise_orchestration_event(instance, "go")
    hub.client.suspend_orchestration(instance)
    hub.serve(working, activities=[note])
    hub.until_status(instance, SUSPENDED)
    hub.client.raise_orchestration_event(instance, "other")
    hub.client.resume_orchestration(instance)
    assert hub.output(instance) == 1
    assert noted == [1]


def test_a_suspended_instance_can_be_terminated(hub: Hub):
    hub.serve(waiting)
    instance = suspended(hub)
    hub.client.terminate_orchestration(instance, output="enough")
    state = hub.wait(instance)
    assert state.runtime_status == TERMINATED
    assert state.get_output() == "enough"


@pytest.mark.beyond_memory
def test_terminating_a_suspended_instance_does_not_repeat_its_work(hub: Hub):
    def note(ctx, _):
        noted.append(1)
        go.wait(PATIENCE)

    def working(ctx, _):
        yield ctx.wait_for_external_event("go")
        yield ctx.call_activity(note)

    noted, go = [], threading.Event()
    instance = hub.start(working)
    hub.client.raise_orchestration_event(instance, "go")
    hub.client.suspend_orchestration(instance)
    worker = hub.serve(working, activities=[note])
    hub.until_status(instance, SUSPENDED)
    hub.client.terminate_orchestration(instance)
    assert hub.wait(instance).runtime_status == TERMINATED
    go.set()
    worker.stop()
    assert len(noted) <= 1


def test_terminating_ends_an_instance_with_the_output_given(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting)
    hub.client.wait_for_orchestration_start(instance)
    hub.client.terminate_orchestration(instance, output={"reason": ["no", "need"]})
    state = hub.wait(instance)
    assert state.runtime_status == TERMINATED
    assert state.get_output() == {"reason": ["no", "need"]}
    assert state.failure_details is None


def test_terminating_without_an_output_gives_none(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting)
    hub.client.terminate_orchestration(instance)
    state = hub.wait(instance)
    assert state.runtime_status == TERMINATED
    assert state.get_output() is None


@pytest.mark.beyond_memory
def test_terminating_reaches_the_children_of_the_children(hub: Hub):
    def parent(ctx, depth):
        yield ctx.call_sub_orchestrator("parent" if depth else "waiting", input=depth - 1)

    hub.serve(parent, waiting)
    hub.start(parent, 2, instance_id="p")
    ids = ["p" + ":0001" * n for n in range(4)]
    eventually(lambda: hub.client.get_orchestration_state(ids[-1]))
    hub.client.terminate_orchestration("p", output="all", recursive=True)
    for it in ids:
        assert hub.wait(it).runtime_status == TERMINATED


@pytest.mark.beyond_memory
def test_terminating_a_parent_alone_leaves_its_children(hub: Hub):
    def parent(ctx, _):
        yield ctx.call_sub_orchestrator(waiting, instance_id="child")

    hub.serve(parent, waiting)
    instance = hub.start(parent)
    eventually(lambda: hub.client.get_orchestration_state("child"))
    hub.client.terminate_orchestration(instance, recursive=False)
    assert hub.wait(instance).runtime_status == TERMINATED
    hub.client.raise_orchestration_event("child", "go", data="still here")
    assert hub.output("child") == "still here"


def test_terminating_what_has_ended_changes_nothing(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting)
    hub.client.raise_orchestration_event(instance, "go", data="result")
    assert hub.output(instance) == "result"
    hub.client.terminate_orchestration(instance, output="too late")
    assert hub.output(instance) == "result"


@pytest.mark.beyond_memory
def test_an_instance_that_never_ran_can_be_terminated_without_a_worker(hub: Hub):
    instance = hub.start(waiting)
    hub.client.terminate_orchestration(instance, output="never ran")
    state = hub.wait(instance)
    assert state.runtime_status == TERMINATED
    assert state.get_output() == "never ran"


@pytest.mark.beyond_memory
def test_terminating_needs_no_worker(hub: Hub):
    worker = hub.serve(waiting)
    instance = hub.start(waiting)
    hub.client.wait_for_orchestration_start(instance)
    worker.stop()
    hub.client.terminate_orchestration(instance)
    assert hub.wait(instance).runtime_status == TERMINATED


@pytest.mark.parametrize("verb", ["suspend", "resume"])
def test_holding_an_unknown_instance_is_an_error(hub: Hub, verb):
    with pytest.raises(grpc.RpcError) as caught:
        getattr(hub.client, f"{verb}_orchestration")("nobody")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("verb", ["suspend", "resume"])
def test_holding_what_has_ended_changes_nothing(hub: Hub, verb):
    hub.serve(waiting)
    instance = hub.start(waiting)
    hub.client.raise_orchestration_event(instance, "go", data="result")
    hub.wait(instance)
    getattr(hub.client, f"{verb}_orchestration")(instance)
    assert hub.output(instance) == "result"
