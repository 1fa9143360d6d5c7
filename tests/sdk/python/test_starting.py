"""Starts for later, ids that are taken, and tags."""

import time
from datetime import datetime, timedelta, timezone

import grpc
import pytest
from durabletask.client import OrchestrationStatus
from durabletask.internal import orchestrator_service_pb2 as pb

from hub import Hub

PENDING = OrchestrationStatus.PENDING


def soon(**delta) -> datetime:
    return datetime.now(timezone.utc) + timedelta(**delta)


def echo(ctx, input):
    return input


def waiting(ctx, _):
    return (yield ctx.wait_for_external_event("go"))


@pytest.mark.beyond_memory
def test_an_instance_for_later_does_not_start_early(hub: Hub):
    def when(ctx, _):
        return ctx.current_utc_datetime.replace(tzinfo=timezone.utc).isoformat()

    hub.serve(when)
    due = soon(milliseconds=700)
    instance = hub.start(when, start_at=due)
    assert hub.status(instance) == PENDING
    assert datetime.fromisoformat(hub.output(instance)) >= due
    assert soon() >= due


@pytest.mark.beyond_memory
def test_an_instance_for_later_keeps_what_is_raised_before(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting, start_at=soon(milliseconds=500))
    hub.client.raise_orchestration_event(instance, "go", data="early")
    assert hub.status(instance) == PENDING
    assert hub.output(instance) == "early"


@pytest.mark.beyond_memory
def test_an_instance_for_later_can_be_terminated_before(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting, start_at=soon(days=400))
    assert hub.status(instance) == PENDING
    hub.client.terminate_orchestration(instance, output="not needed")
    assert hub.wait(instance).get_output() == "not needed"


@pytest.mark.parametrize("ago", [0, 1, 10**9])
def test_a_start_in_the_past_is_a_start_now(hub: Hub, ago):
    hub.serve(echo)
    assert hub.result(echo, 1, start_at=soon(seconds=-ago)) == 1


def test_waiting_for_the_start_of_an_instance_for_later_can_time_out(hub: Hub):
    begun = time.monotonic()
    instance = hub.start(waiting, start_at=soon(days=1))
    with pytest.raises(TimeoutError):
        hub.client.wait_for_orchestration_start(instance, timeout=0.3)
    assert time.monotonic() - begun < 5


def test_the_id_of_a_running_instance_is_taken(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting)
    hub.client.wait_for_orchestration_start(instance)
    with pytest.raises(grpc.RpcError) as caught:
        hub.start(waiting, instance_id=instance)
    assert caught.value.code() == grpc.StatusCode.ALREADY_EXISTS
    assert instance in caught.value.details()


@pytest.mark.beyond_memory
def test_the_first_of_two_starts_at_once_wins(hub: Hub):
    answers = [
        hub.stub.StartInstance.future(pb.CreateInstanceRequest(instanceId="one", name="waiting"))
        for _ in range(10)
    ]
    codes = [answer.exception() and answer.exception().code() for answer in answers]
    assert codes.count(None) == 1
    assert set(codes) == {None, grpc.StatusCode.ALREADY_EXISTS}


def policy(*statuses) -> pb.OrchestrationIdReusePolicy:
    return pb.OrchestrationIdReusePolicy(replaceableStatus=[it.value for it in statuses])


def test_an_instance_that_ended_may_be_replaced_where_the_policy_says_so(hub: Hub):
    hub.serve(echo)
    assert hub.result(echo, 1, instance_id="x") == 1
    again = policy(OrchestrationStatus.COMPLETED)
    assert hub.result(echo, 2, instance_id="x", reuse_id_policy=again) == 2


@pytest.mark.beyond_memory
def test_an_instance_that_ended_is_replaced_where_there_is_no_policy(hub: Hub):
    hub.serve(echo)
    assert hub.result(echo, 1, instance_id="x") == 1
    assert hub.result(echo, 2, instance_id="x") == 2


@pytest.mark.beyond_memory
def test_who_may_replace_what_runs_must_take_what_was_terminated(hub: Hub):
    with pytest.raises(grpc.RpcError) as caught:
        hub.start(echo, 1, reuse_id_policy=policy(OrchestrationStatus.RUNNING), instance_id="x")
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "cannot exclude 'Terminated'" in caught.value.details()


def test_an_instance_of_another_status_is_not_replaced(hub: Hub):
    hub.serve(echo)
    assert hub.result(echo, 1, instance_id="x") == 1
    with pytest.raises(grpc.RpcError) as caught:
        failed_only = policy(OrchestrationStatus.FAILED)
        hub.start(echo, 2, instance_id="x", reuse_id_policy=failed_only)
    assert caught.value.code() == grpc.StatusCode.ALREADY_EXISTS
    assert hub.output("x") == 1


def test_a_running_instance_may_be_replaced_where_the_policy_says_so(hub: Hub):
    hub.serve(waiting)
    hub.start(waiting, instance_id="x")
    hub.client.wait_for_orchestration_start("x")
    running = policy(OrchestrationStatus.RUNNING, PENDING, OrchestrationStatus.TERMINATED)
    hub.start(waiting, instance_id="x", reuse_id_policy=running)
    hub.client.raise_orchestration_event("x", "go", data="second")
    assert hub.output("x") == "second"


ODD = ["with space", "ünï", "(a+b)=c&d;e", "x" * 100, "UPPER", "%41", "a:b"]


@pytest.mark.parametrize("odd", ODD)
def test_an_id_may_be_almost_anything(hub: Hub, odd):
    hub.serve(echo)
    assert hub.start(echo, 1, instance_id=odd) == odd
    assert hub.output(odd) == 1


def test_ids_that_differ_only_in_case_are_two_instances(hub: Hub):
    hub.serve(echo)
    assert hub.result(echo, 1, instance_id="abc") == 1
    assert hub.result(echo, 2, instance_id="ABC") == 2
    assert hub.output("abc") == 1


@pytest.mark.beyond_memory
def test_tags_of_a_start_are_kept(hub: Hub):
    hub.serve(echo)
    tags = {"team": "blue", "empty": "", "ünï": "cödé"}
    instance = hub.start(echo, tags=tags)
    hub.wait(instance)
    got = hub.stub.GetInstance(pb.GetInstanceRequest(instanceId=instance))
    assert dict(got.orchestrationState.tags) == tags
    (started,) = [
        it
        for it in hub.client.get_orchestration_history(instance)
        if type(it).__name__ == "ExecutionStartedEvent"
    ]
    assert started.tags == tags
