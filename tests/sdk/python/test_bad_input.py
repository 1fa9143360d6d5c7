"""Requests that make no sense are refused with a reason, and harm nobody."""

import grpc
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf import duration_pb2, timestamp_pb2
from google.protobuf.wrappers_pb2 import StringValue

from bare_worker import BareWorker, finish
from hub import Hub

pytestmark = pytest.mark.beyond_memory

FAR = timestamp_pb2.Timestamp(seconds=2**62, nanos=-5)

SENSELESS = {
    "a start without a name": ("StartInstance", pb.CreateInstanceRequest(instanceId="x")),
    "a start of an entity": (
        "StartInstance",
        pb.CreateInstanceRequest(instanceId="@e@x", name="n"),
    ),
    "a start at no time": (
        "StartInstance",
        pb.CreateInstanceRequest(instanceId="x", name="n", scheduledStartTimestamp=FAR),
    ),
    "an event without a name": ("RaiseEvent", pb.RaiseEventRequest(instanceId="x")),
    "an event for no instance": ("RaiseEvent", pb.RaiseEventRequest(name="n")),
    "a question about no instance": ("GetInstance", pb.GetInstanceRequest()),
    "a wait for no instance": ("WaitForInstanceCompletion", pb.GetInstanceRequest()),
    "a signal to what is no entity": (
        "SignalEntity",
        pb.SignalEntityRequest(instanceId="x", name="op"),
    ),
    "a signal without a name": ("SignalEntity", pb.SignalEntityRequest(instanceId="@e@x")),
    "a question about what is no entity": ("GetEntity", pb.GetEntityRequest(instanceId="x")),
    "a purge of nothing": ("PurgeInstances", pb.PurgeInstancesRequest()),
    "a purge within no time": (
        "PurgeInstances",
        pb.PurgeInstancesRequest(
            purgeInstanceFilter=pb.PurgeInstanceFilter(
                timeout=duration_pb2.Duration(seconds=-1)
            )
        ),
    ),
    "a query from no time": (
        "QueryInstances",
        pb.QueryInstancesRequest(query=pb.InstanceQuery(createdTimeFrom=FAR)),
    ),
    "a termination of no instance": ("TerminateInstance", pb.TerminateRequest()),
    "a history of no instance": ("StreamInstanceHistory", pb.StreamInstanceHistoryRequest()),
    "a token of a page without end": (
        "QueryInstances",
        pb.QueryInstancesRequest(
            query=pb.InstanceQuery(continuationToken=StringValue(value="x" * 100_000))
        ),
    ),
    "an operation without end": (
        "SignalEntity",
        pb.SignalEntityRequest(instanceId="@e@x", name="x" * 5_000),
    ),
    "an id with a control character": (
        "StartInstance",
        pb.CreateInstanceRequest(instanceId="a\u0000b", name="n"),
    ),
    "an id with a slash": ("StartInstance", pb.CreateInstanceRequest(instanceId="a/b", name="n")),
    "an id without end": (
        "StartInstance",
        pb.CreateInstanceRequest(instanceId="x" * 100_000, name="n"),
    ),
}


@pytest.mark.parametrize("what", SENSELESS)
def test_what_makes_no_sense_is_refused_with_a_reason(hub: Hub, what):
    method, request = SENSELESS[what]
    with pytest.raises(grpc.RpcError) as caught:
        answer = getattr(hub.stub, method)(request, timeout=10)
        if method == "StreamInstanceHistory":
            list(answer)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT, caught.value
    assert caught.value.details()


def test_bytes_that_are_no_message_are_refused(hub: Hub, address):
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary("/TaskHubSidecarService/StartInstance")
        for junk in (b"\xff" * 50, b"\x0a\xff\xff\xff\xff\x0f", b"\x00"):
            with pytest.raises(grpc.RpcError):
                call(junk, timeout=10)
    assert hub.client.get_orchestration_state("nobody") is None


def test_a_method_nobody_has_is_refused(address):
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary("/TaskHubSidecarService/MakeCoffee")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"", timeout=10)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    "action",
    [
        pb.OrchestratorAction(id=1),
        pb.OrchestratorAction(id=1, scheduleTask=pb.ScheduleTaskAction()),
        pb.OrchestratorAction(id=1, createTimer=pb.CreateTimerAction()),
        pb.OrchestratorAction(id=1, createTimer=pb.CreateTimerAction(fireAt=FAR)),
        pb.OrchestratorAction(id=1, createSubOrchestration=pb.CreateSubOrchestrationAction()),
        pb.OrchestratorAction(id=1, sendEvent=pb.SendEventAction()),
        pb.OrchestratorAction(id=1, sendEntityMessage=pb.SendEntityMessageAction()),
        pb.OrchestratorAction(id=-7, rewindOrchestration=pb.RewindOrchestrationAction()),
        pb.OrchestratorAction(
            id=1,
            completeOrchestration=pb.CompleteOrchestrationAction(
                orchestrationStatus=pb.ORCHESTRATION_STATUS_PENDING
            ),
        ),
    ],
    ids=lambda it: str(it.WhichOneof("orchestratorActionType")),
)
def test_an_answer_that_makes_no_sense_leaves_the_server_and_the_others_alone(hub: Hub, action):
    worker = BareWorker(hub)
    hub.start("senseless")
    item = worker.next()
    try:
        worker.turn(item, action)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
        assert error.details()
    sane = hub.start("sane", instance_id="sane")
    while (item := worker.next()).orchestratorRequest.instanceId != sane:
        pass
    worker.turn(item, finish(1, "1"))
    assert hub.output(sane) == 1
    worker.close()
