"""What work items hold, and what becomes of answers that come late, twice or not at all."""

import pytest
from durabletask.client import OrchestrationStatus
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf import timestamp_pb2

from bare_worker import BareWorker, finish, kinds, schedule, text
from hub import Hub, eventually

pytestmark = pytest.mark.beyond_memory


@pytest.fixture
def worker(hub: Hub):
    worker = BareWorker(hub)
    yield worker
    worker.close()


def test_a_first_turn_begins_with_the_clock_and_the_start(hub: Hub, worker):
    tags = {"team": "blue"}
    instance = hub.start("turns", "input", version="1.0", tags=tags)
    request = worker.next().orchestratorRequest
    assert request.instanceId == instance
    assert request.executionId.value
    assert list(request.pastEvents) == []
    assert kinds(request.newEvents) == ["orchestratorStarted", "executionStarted"]
    started = request.newEvents[1].executionStarted
    assert (started.name, started.version.value) == ("turns", "1.0")
    assert started.input.value == '"input"'
    assert dict(started.tags) == tags
    assert started.orchestrationInstance.instanceId == instance
    assert started.orchestrationInstance.executionId.value == request.executionId.value
    assert request.newEvents[0].timestamp.seconds > 0


def test_a_second_turn_brings_the_first_as_it_was(hub: Hub, worker):
    hub.start("turns")
    first = worker.next()
    worker.turn(first, schedule(1, "work", input=text("1")))
    activity = worker.next()
    worker.result(activity, "2")
    second = worker.next().orchestratorRequest
    assert kinds(second.pastEvents) == [
        "orchestratorStarted",
        "executionStarted",
        "taskScheduled",
        "orchestratorCompleted",
    ]
    assert list(second.pastEvents)[:2] == list(first.orchestratorRequest.newEvents)
    assert second.pastEvents[2].eventId == 1
    assert kinds(second.newEvents) == ["orchestratorStarted", "taskCompleted"]
    assert second.newEvents[1].taskCompleted.taskScheduledId == 1
    assert second.newEvents[1].taskCompleted.result.value == "2"
    assert second.executionId.value == first.orchestratorRequest.executionId.value
    assert not second.requiresHistoryStreaming


def test_versions_tags_and_traces_travel_with_an_activity(hub: Hub, worker):
    hub.start("turns")
    trace = pb.TraceContext(traceParent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    action = schedule(
        1, "work", input=text("in"), version=text("2.1"), tags={"k": "v"}, parentTraceContext=trace
    )
    worker.turn(worker.next(), action)
    request = worker.next().activityRequest
    assert (request.name, request.version.value, request.taskId) == ("work", "2.1", 1)
    assert request.input.value == "in"
    assert dict(request.tags) == {"k": "v"}
    assert request.parentTraceContext.traceParent == trace.traceParent
    assert request.orchestrationInstance.executionId.value


def test_a_trace_of_an_orchestration_comes_back_in_its_next_turn(hub: Hub, worker):
    hub.start("turns")
    begun = timestamp_pb2.Timestamp(seconds=1_700_000_000, nanos=5_000)
    trace = pb.OrchestrationTraceContext(spanID=text("c" * 16), spanStartTime=begun)
    worker.turn(worker.next(), schedule(1, "work"), orchestrationTraceContext=trace)
    worker.result(worker.next(), "x")
    got = worker.next().orchestratorRequest.orchestrationTraceContext
    assert got.spanID.value == "c" * 16
    assert got.spanStartTime == begun


def test_a_child_is_told_of_its_parent(hub: Hub, worker):
    parent = hub.start("parent")
    first = worker.next()
    create = pb.CreateSubOrchestrationAction(
        instanceId="child", name="kid", version=text("3"), input=text("in"), tags={"a": "b"}
    )
    worker.turn(first, pb.OrchestratorAction(id=1, createSubOrchestration=create))
    started = worker.next().orchestratorRequest.newEvents[1].executionStarted
    assert (started.name, started.version.value, started.input.value) == ("kid", "3", "in")
    assert dict(started.tags) == {"a": "b"}
    assert started.parentInstance.taskScheduledId == 1
    assert started.parentInstance.name.value == "parent"
    above = started.parentInstance.orchestrationInstance
    assert above.instanceId == parent
    assert above.executionId.value == first.orchestratorRequest.executionId.value


def test_an_activity_may_be_called_again_under_the_same_id(hub: Hub, worker):
    instance = hub.start("turns")
    for value in ("1", "2"):
        worker.turn(worker.next(), schedule(1, "work"))
        worker.result(worker.next(), value)
    worker.turn(worker.next(), finish(2, '"done"'))
    assert hub.output(instance) == "done"


def test_a_turn_answered_twice_counts_once(hub: Hub, worker):
    instance = hub.start("turns")
    item = worker.next()
    worker.turn(item, schedule(1, "work"))
    worker.turn(item, schedule(1, "work"))
    worker.turn(item, finish(1, '"wrong"'))
    activity = worker.next()
    assert worker.nothing()
    worker.result(activity, "x")
    worker.turn(worker.next(), finish(2, '"right"'))
    assert hub.output(instance) == "right"


def test_an_activity_answered_twice_counts_once(hub: Hub, worker):
    instance = hub.start("turns")
    worker.turn(worker.next(), schedule(1, "work"))
    activity = worker.next()
    worker.result(activity, "first")
    worker.result(activity, "second")
    turn = worker.next()
    assert turn.orchestratorRequest.newEvents[1].taskCompleted.result.value == "first"
    worker.turn(turn, finish(2, "1"))
    hub.output(instance)
    assert hub.event_names(instance).count("TaskCompleted") == 1


@pytest.mark.parametrize("token", ["nonsense", "0", "9" * 40, "a\u0000b"])
def test_a_token_nobody_gave_changes_nothing(hub: Hub, worker, token):
    instance = hub.start("turns")
    item = worker.next()
    forged = pb.WorkItem()
    forged.CopyFrom(item)
    forged.completionToken = token
    worker.turn(forged, finish(1, '"forged"'))
    worker.turn(item, schedule(1, "work"))
    activity = worker.next()
    forged.CopyFrom(activity)
    forged.completionToken = token
    worker.result(forged, '"forged"')
    worker.result(activity, '"true"')
    turn = worker.next()
    assert turn.orchestratorRequest.newEvents[1].taskCompleted.result.value == '"true"'
    worker.turn(turn, finish(2, "7"))
    assert hub.output(instance) == 7


def test_an_answer_to_an_instance_that_was_replaced_changes_nothing(hub: Hub, worker):
    hub.start("turns", instance_id="x")
    stale = worker.next()
    hub.client.terminate_orchestration("x")
    # The turn that is out may be answered first; either way the instance ends.
    worker.turn(stale, schedule(1, "work"))
    hub.wait("x")
    hub.client.purge_orchestration("x")
    hub.start("turns", "new", instance_id="x")
    worker.turn(stale, finish(1, '"stale"'))
    assert hub.status("x") != OrchestrationStatus.COMPLETED


def test_an_abandoned_turn_comes_back_with_the_same_events(hub: Hub, worker):
    instance = hub.start("turns")
    first = worker.next()
    token = first.completionToken
    hub.stub.AbandonTaskOrchestratorWorkItem(
        pb.AbandonOrchestrationTaskRequest(completionToken=token)
    )
    second = worker.next()
    again = second.orchestratorRequest
    assert again.instanceId == instance
    assert kinds(again.newEvents)[:2] == ["orchestratorStarted", "executionStarted"]
    assert second.completionToken != token
    worker.turn(first, finish(1, '"stale"'))
    worker.turn(second, finish(1, '"fresh"'))
    assert hub.output(instance) == "fresh"


def test_an_abandoned_activity_comes_back(hub: Hub, worker):
    instance = hub.start("turns")
    worker.turn(worker.next(), schedule(1, "work", input=text("same")))
    first = worker.next()
    token = first.completionToken
    hub.stub.AbandonTaskActivityWorkItem(pb.AbandonActivityTaskRequest(completionToken=token))
    second = worker.next()
    assert second.activityRequest.input.value == "same"
    worker.result(first, "stale")
    worker.result(second, "fresh")
    turn = worker.next()
    assert turn.orchestratorRequest.newEvents[1].taskCompleted.result.value == "fresh"
    worker.turn(turn, finish(2, "1"))
    hub.output(instance)


def test_an_abandoned_batch_of_an_entity_comes_back_whole(hub: Hub, worker):
    for n in range(3):
        hub.stub.SignalEntity(
            pb.SignalEntityRequest(instanceId="@e@1", name=f"op{n}", requestId=f"r{n}")
        )
    seen = []
    item = worker.next()
    hub.stub.AbandonTaskEntityWorkItem(
        pb.AbandonEntityTaskRequest(completionToken=item.completionToken)
    )
    while len(seen) < 3:
        item = worker.next()
        operations = operations_of(item)
        seen += operations
        results = [pb.OperationResult(success=pb.OperationResultSuccess()) for _ in operations]
        hub.stub.CompleteEntityTask(
            pb.EntityBatchResult(
                completionToken=item.completionToken, results=results, entityState=text("1")
            )
        )
    assert seen == ["op0", "op1", "op2"]


def test_a_batch_of_an_entity_comes_back_where_the_worker_lacks_its_state(hub: Hub, worker):
    for state in ("1", "2"):
        hub.stub.SignalEntity(pb.SignalEntityRequest(instanceId="@e@1", name="set"))
        item = worker.next()
        hub.stub.CompleteEntityTask(
            pb.EntityBatchResult(completionToken=item.completionToken, requiresState=True)
        )
        item = worker.next()
        assert operations_of(item) == ["set"]
        result = pb.OperationResult(success=pb.OperationResultSuccess())
        hub.stub.CompleteEntityTask(
            pb.EntityBatchResult(
                completionToken=item.completionToken, results=[result], entityState=text(state)
            )
        )
        asked = pb.GetEntityRequest(instanceId="@e@1", includeState=True)
        eventually(lambda: hub.stub.GetEntity(asked).entity.serializedState.value == state)


def operations_of(item: pb.WorkItem) -> list[str]:
    if item.HasField("entityRequest"):
        return [operation.operation for operation in item.entityRequest.operations]
    events = item.entityRequestV2.operationRequests
    return [getattr(it, it.WhichOneof("eventType")).operation for it in events]


def test_a_worker_gets_no_more_turns_than_it_can_take(hub: Hub):
    worker = BareWorker(hub, maxConcurrentOrchestrationWorkItems=2)
    instances = [hub.start("turns") for _ in range(5)]
    out = [worker.next(), worker.next()]
    for _ in range(3):
        assert worker.nothing()
        worker.turn(out.pop(0), finish(1, "1"))
        out.append(worker.next())
    for item in out:
        worker.turn(item, finish(1, "1"))
    assert [hub.output(it) for it in instances] == [1] * 5
    worker.close()


def test_a_worker_gets_no_more_activities_than_it_can_take(hub: Hub):
    worker = BareWorker(hub, maxConcurrentActivityWorkItems=1)
    hub.start("turns")
    worker.turn(worker.next(), *[schedule(n, "work") for n in (1, 2, 3)])
    done = set()
    while len(done) < 3:
        item = worker.next()
        if item.HasField("orchestratorRequest"):
            worker.turn(item)
            continue
        while more := worker.within(0.2):
            assert more.HasField("orchestratorRequest"), "a second activity came"
            worker.turn(more)
        done.add(item.activityRequest.taskId)
        worker.result(item, "x")
    assert done == {1, 2, 3}
    worker.close()


def test_an_instance_is_with_one_worker_at_a_time(hub: Hub):
    workers = [BareWorker(hub) for _ in range(3)]
    instance = hub.start("turns")
    items = eventually(lambda: [it for it in map(BareWorker.poll, workers) if it])
    hub.client.raise_orchestration_event(instance, "b")
    assert len(items) == 1
    assert all(worker.nothing() for worker in workers)
    for worker in workers:
        worker.close()
