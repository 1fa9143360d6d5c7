"""The history of an instance, read back."""

import grpc
import pytest
from durabletask import history
from durabletask.client import OrchestrationStatus
from durabletask.internal import orchestrator_service_pb2 as pb

from hub import Hub, eventually


def plus_one(ctx, n):
    return n + 1


def chain(ctx, n):
    first = yield ctx.call_activity(plus_one, input=n)
    return (yield ctx.call_activity(plus_one, input=first))


def waiting(ctx, _):
    yield ctx.wait_for_external_event("go")


def test_a_history_tells_what_happened_in_order(hub: Hub):
    hub.serve(chain, activities=[plus_one])
    instance = hub.start(chain, 1)
    hub.output(instance)
    assert [it for it in hub.event_names(instance) if it != "OrchestratorCompleted"] == [
        "OrchestratorStarted",
        "ExecutionStarted",
        "TaskScheduled",
        "OrchestratorStarted",
        "TaskCompleted",
        "TaskScheduled",
        "OrchestratorStarted",
        "TaskCompleted",
        "ExecutionCompleted",
    ]


@pytest.mark.beyond_memory
def test_a_history_says_where_turns_begin_and_not_where_they_end(hub: Hub):
    hub.serve(chain, activities=[plus_one])
    instance = hub.start(chain, 1)
    hub.output(instance)
    names = hub.event_names(instance)
    assert names.count("OrchestratorStarted") == 3
    assert "OrchestratorCompleted" not in names


@pytest.mark.beyond_memory
def test_a_history_is_that_of_the_execution_that_is_asked_for(hub: Hub):
    def twice(ctx, n):
        if n == 1:
            ctx.continue_as_new(2)
        return n

    hub.serve(twice)
    instance = hub.start(twice, 1)
    assert hub.output(instance) == 2
    started = of_type(hub, instance, history.ExecutionStartedEvent)[0]
    latest = started.orchestration_instance.execution_id
    read = hub.client.get_orchestration_history
    assert read(instance, execution_id=latest) == read(instance)
    with pytest.raises(grpc.RpcError) as caught:
        read(instance, execution_id="0" * 32)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert latest in caught.value.details()


def of_type(hub: Hub, instance: str, kind: type) -> list:
    events = hub.client.get_orchestration_history(instance)
    return [event for event in events if isinstance(event, kind)]


def test_a_history_holds_names_inputs_and_results(hub: Hub):
    hub.serve(chain, activities=[plus_one])
    instance = hub.start(chain, 1)
    hub.output(instance)
    (started,) = of_type(hub, instance, history.ExecutionStartedEvent)
    assert (started.name, started.input) == ("chain", "1")
    assert started.orchestration_instance.instance_id == instance
    scheduled = of_type(hub, instance, history.TaskScheduledEvent)
    assert [(it.event_id, it.name, it.input) for it in scheduled] == [
        (1, "plus_one", "1"),
        (2, "plus_one", "2"),
    ]
    completed = of_type(hub, instance, history.TaskCompletedEvent)
    assert [(it.task_scheduled_id, it.result) for it in completed] == [(1, "2"), (2, "3")]
    (ended,) = of_type(hub, instance, history.ExecutionCompletedEvent)
    assert ended.result == "3"
    assert ended.orchestration_status == OrchestrationStatus.COMPLETED.value


@pytest.mark.beyond_memory
def test_times_of_a_history_never_go_back(hub: Hub):
    hub.serve(chain, activities=[plus_one])
    instance = hub.start(chain, 1)
    hub.output(instance)
    times = [event.timestamp for event in hub.client.get_orchestration_history(instance)]
    assert times == sorted(times)
    assert all(time.year > 2000 for time in times)


def test_a_history_holds_failures(hub: Hub):
    def fails(ctx, _):
        raise ValueError("on purpose")

    def calling(ctx, _):
        yield ctx.call_activity(fails)

    hub.serve(calling, activities=[fails])
    instance = hub.start(calling)
    hub.wait(instance)
    (failed,) = of_type(hub, instance, history.TaskFailedEvent)
    assert failed.failure_details.message == "on purpose"
    (ended,) = of_type(hub, instance, history.ExecutionCompletedEvent)
    assert ended.orchestration_status == OrchestrationStatus.FAILED.value


def test_a_history_can_be_read_while_the_instance_runs(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting)
    hub.client.wait_for_orchestration_start(instance)
    names = hub.event_names(instance)
    assert names[:2] == ["OrchestratorStarted", "ExecutionStarted"]
    assert "ExecutionCompleted" not in names


def test_the_history_of_an_unknown_instance_is_an_error(hub: Hub):
    with pytest.raises(grpc.RpcError) as caught:
        hub.client.get_orchestration_history("nobody")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_suspensions_and_their_reasons_are_in_the_history(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting)
    hub.client.wait_for_orchestration_start(instance)
    hub.client.suspend_orchestration(instance, reason="hold")
    hub.until_status(instance, OrchestrationStatus.SUSPENDED)
    hub.client.resume_orchestration(instance, reason="go on")
    hub.client.raise_orchestration_event(instance, "go")
    hub.output(instance)
    (suspended,) = of_type(hub, instance, history.ExecutionSuspendedEvent)
    (resumed,) = of_type(hub, instance, history.ExecutionResumedEvent)
    assert (suspended.input, resumed.input) == ("hold", "go on")


@pytest.mark.beyond_memory
def test_a_history_of_ten_thousand_events_comes_in_chunks(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting)
    # Raised without a worker in the way: the events are what is counted here.
    futures = [
        hub.stub.RaiseEvent.future(
            pb.RaiseEventRequest(instanceId=instance, name="tick", input={"value": str(n)})
        )
        for n in range(10_000)
    ]
    for future in futures:
        future.result()
    hub.client.raise_orchestration_event(instance, "go")
    hub.output(instance)
    request = pb.StreamInstanceHistoryRequest(instanceId=instance)
    chunks = [list(chunk.events) for chunk in hub.stub.StreamInstanceHistory(request)]
    assert len(chunks) > 1
    raised = [
        event.eventRaised.input.value
        for chunk in chunks
        for event in chunk
        if event.HasField("eventRaised") and event.eventRaised.name == "tick"
    ]
    assert sorted(map(int, raised)) == list(range(10_000))


@pytest.mark.beyond_memory
def test_a_long_history_is_replayed(hub: Hub):
    def long(ctx, rounds):
        total = 0
        for n in range(rounds):
            total += yield ctx.call_activity(plus_one, input=n)
        return total

    hub.serve(long, activities=[plus_one])
    instance = hub.start(long, 300)
    assert hub.output(instance) == sum(range(1, 301))
    eventually(lambda: len(hub.event_names(instance)) >= 3 * 300)
