"""Waiting for an instance, with a limit, together, and in vain."""

import threading
import time

import grpc
import pytest
from durabletask.client import OrchestrationStatus
from durabletask.internal import orchestrator_service_pb2 as pb

from hub import PATIENCE, Hub


def waiting(ctx, _):
    return (yield ctx.wait_for_external_event("go"))


def request(instance: str) -> pb.GetInstanceRequest:
    return pb.GetInstanceRequest(instanceId=instance, getInputsAndOutputs=True)


def test_a_wait_ends_when_its_time_is_over(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        hub.client.wait_for_orchestration_completion(instance, timeout=0.5)
    assert 0.4 < time.monotonic() - begun < 10
    hub.client.raise_orchestration_event(instance, "go", data=1)
    assert hub.output(instance) == 1


def test_a_wait_for_what_has_ended_ends_at_once(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting)
    hub.client.raise_orchestration_event(instance, "go", data=1)
    hub.output(instance)
    for call in (hub.stub.WaitForInstanceCompletion, hub.stub.WaitForInstanceStart):
        answer = call(request(instance), timeout=PATIENCE)
        assert answer.orchestrationState.output.value == "1"


def test_many_wait_for_the_same_instance(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting)
    call = hub.stub.WaitForInstanceCompletion
    waits = [call.future(request(instance), timeout=PATIENCE) for _ in range(8)]
    hub.client.raise_orchestration_event(instance, "go", data="all")
    for wait in waits:
        assert wait.result(PATIENCE).orchestrationState.output.value == '"all"'


@pytest.mark.beyond_memory
def test_a_thousand_waits_do_not_hold_up_other_calls(hub: Hub):
    hub.serve(waiting)
    instances = [hub.start(waiting) for _ in range(10)]
    waits = [
        hub.stub.WaitForInstanceCompletion.future(request(instances[n % 10])) for n in range(1000)
    ]
    assert hub.status(instances[0]) in (OrchestrationStatus.RUNNING, OrchestrationStatus.PENDING)
    for instance in instances:
        hub.client.raise_orchestration_event(instance, "go", data=1)
    for wait in waits:
        assert wait.result(PATIENCE).orchestrationState.output.value == "1"


@pytest.mark.beyond_memory
def test_a_wait_that_is_cancelled_leaves_the_others(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting)
    waits = [hub.stub.WaitForInstanceCompletion.future(request(instance)) for _ in range(20)]
    for wait in waits[::2]:
        wait.cancel()
    hub.client.raise_orchestration_event(instance, "go", data=2)
    for wait in waits[1::2]:
        assert wait.result(PATIENCE).orchestrationState.output.value == "2"
    assert all(wait.cancelled() for wait in waits[::2])


def test_a_wait_for_an_instance_that_comes_later_is_answered(hub: Hub):
    wait = hub.stub.WaitForInstanceCompletion.future(request("later"), timeout=PATIENCE)
    hub.serve(waiting)
    hub.start(waiting, instance_id="later")
    hub.client.raise_orchestration_event("later", "go", data=3)
    hub.output("later")
    answer = wait.result(PATIENCE)
    assert answer.exists and answer.orchestrationState.output.value == "3"


@pytest.mark.beyond_memory
def test_a_wait_for_nobody_ends_with_its_time(hub: Hub):
    with pytest.raises(TimeoutError):
        hub.client.wait_for_orchestration_completion("nobody", timeout=0.5)


@pytest.mark.beyond_memory
def test_a_wait_with_its_time_over_on_arrival_ends(hub: Hub):
    instance = hub.start(waiting)
    with pytest.raises(grpc.RpcError) as caught:
        hub.stub.WaitForInstanceCompletion(request(instance), timeout=0.001)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_who_waits_hears_of_every_kind_of_end(hub: Hub):
    def fails(ctx, _):
        yield ctx.wait_for_external_event("go")
        raise ValueError("on purpose")

    hub.serve(waiting, fails)
    instances = [hub.start(waiting), hub.start(fails), hub.start(waiting)]
    states = {}

    def wait(instance):
        states[instance] = hub.wait(instance).runtime_status

    threads = [threading.Thread(target=wait, args=[it]) for it in instances]
    for thread in threads:
        thread.start()
    hub.client.raise_orchestration_event(instances[0], "go")
    hub.client.raise_orchestration_event(instances[1], "go")
    hub.client.terminate_orchestration(instances[2])
    for thread in threads:
        thread.join(30)
    assert [states[it] for it in instances] == [
        OrchestrationStatus.COMPLETED,
        OrchestrationStatus.FAILED,
        OrchestrationStatus.TERMINATED,
    ]
