"""Instances that run once more, under their own id or another."""

import grpc
import pytest
from durabletask.client import OrchestrationStatus

from hub import Hub


def recording(runs):
    def record(ctx, input):
        runs.append([ctx.instance_id, input])
        return [len(runs), input]

    return record


def test_an_instance_restarts_under_its_own_id_with_its_first_input(hub: Hub):
    runs = []
    record = recording(runs)
    hub.serve(record)
    instance = hub.start(record, "input")
    assert hub.output(instance) == [1, "input"]
    assert hub.client.restart_orchestration(instance) == instance
    assert hub.output(instance) == [2, "input"]
    assert runs == [[instance, "input"]] * 2


def test_an_instance_restarts_under_a_new_id_and_stays_as_it_was(hub: Hub):
    runs = []
    record = recording(runs)
    hub.serve(record)
    instance = hub.start(record, "input")
    hub.output(instance)
    other = hub.client.restart_orchestration(instance, restart_with_new_instance_id=True)
    assert other and other != instance
    assert hub.output(other) == [2, "input"]
    assert hub.output(instance) == [1, "input"]


def test_a_failed_instance_can_be_restarted(hub: Hub):
    tries = []

    def second_time_lucky(ctx, _):
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("first time")
        return "second time"

    hub.serve(second_time_lucky)
    instance = hub.start(second_time_lucky)
    assert hub.wait(instance).runtime_status == OrchestrationStatus.FAILED
    hub.client.restart_orchestration(instance)
    state = hub.wait(instance)
    assert state.get_output() == "second time"
    assert state.failure_details is None


def test_a_terminated_instance_can_be_restarted(hub: Hub):
    def waiting(ctx, _):
        return (yield ctx.wait_for_external_event("go"))

    hub.serve(waiting)
    instance = hub.start(waiting)
    hub.client.terminate_orchestration(instance)
    hub.wait(instance)
    hub.client.restart_orchestration(instance)
    hub.client.raise_orchestration_event(instance, "go", data=1)
    assert hub.output(instance) == 1


@pytest.mark.beyond_memory
def test_version_and_tags_are_kept(hub: Hub):
    def version(ctx, _):
        return ctx.version

    hub.serve(version)
    instance = hub.start(version, version="3.1", tags={"team": "blue"})
    hub.output(instance)
    hub.client.restart_orchestration(instance)
    assert hub.output(instance) == "3.1"
    (started,) = [
        it
        for it in hub.client.get_orchestration_history(instance)
        if type(it).__name__ == "ExecutionStartedEvent"
    ]
    assert started.tags == {"team": "blue"}


def test_nothing_of_the_first_run_is_left_in_the_history(hub: Hub):
    def chain(ctx, _):
        for _ in range(3):
            yield ctx.call_activity(nothing)

    def nothing(ctx, _):
        pass

    hub.serve(chain, activities=[nothing])
    instance = hub.start(chain)
    hub.output(instance)
    first = hub.event_names(instance)
    hub.client.restart_orchestration(instance)
    hub.output(instance)
    assert hub.event_names(instance) == first


def test_an_unknown_instance_can_not_be_restarted(hub: Hub):
    with pytest.raises(grpc.RpcError) as caught:
        hub.client.restart_orchestration("nobody")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def waiting(ctx, _):
    yield ctx.wait_for_external_event("never")


def test_a_running_instance_can_not_be_restarted_under_its_own_id(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting)
    hub.client.wait_for_orchestration_start(instance)
    with pytest.raises(grpc.RpcError) as caught:
        hub.client.restart_orchestration(instance)
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.beyond_memory
def test_beside_a_running_instance_another_can_be_started_like_it(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting, 7)
    hub.client.wait_for_orchestration_start(instance)
    other = hub.client.restart_orchestration(instance, restart_with_new_instance_id=True)
    assert other != instance
    state = hub.client.wait_for_orchestration_start(other, fetch_payloads=True)
    assert state.serialized_input == "7"
    assert hub.status(instance) == OrchestrationStatus.RUNNING
