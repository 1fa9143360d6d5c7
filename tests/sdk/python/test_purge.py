"""Instances that are deleted with all that they left."""

from datetime import datetime, timedelta, timezone

import grpc
import pytest
from durabletask.client import OrchestrationStatus
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.task import TaskFailedError

from hub import Hub, eventually

COMPLETED, FAILED = OrchestrationStatus.COMPLETED, OrchestrationStatus.FAILED


def echo(ctx, input):
    return input


def fails(ctx, _):
    raise ValueError("on purpose")


def waiting(ctx, _):
    yield ctx.wait_for_external_event("go")


def parent(ctx, _):
    yield ctx.call_sub_orchestrator(echo)
    yield ctx.call_sub_orchestrator(echo)


def guest(ctx, _):
    try:
        yield ctx.call_sub_orchestrator(waiting, instance_id="host")
    except TaskFailedError:
        return "refused"


def known(hub: Hub, instance: str) -> bool:
    return hub.client.get_orchestration_state(instance) is not None


def test_an_instance_that_ended_is_purged(hub: Hub):
    hub.serve(echo)
    instance = hub.start(echo, 1)
    hub.output(instance)
    result = hub.client.purge_orchestration(instance)
    assert (result.deleted_instance_count, result.is_complete) == (1, True)
    assert not known(hub, instance)
    assert hub.client.purge_orchestration(instance).deleted_instance_count == 0


def test_an_unknown_instance_is_purged_of_nothing(hub: Hub):
    assert hub.client.purge_orchestration("nobody").deleted_instance_count == 0


def test_a_running_instance_is_not_purged(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting)
    hub.client.wait_for_orchestration_start(instance)
    assert hub.client.purge_orchestration(instance).deleted_instance_count == 0
    assert hub.status(instance) == OrchestrationStatus.RUNNING


@pytest.mark.beyond_memory
def test_a_purged_instance_leaves_no_history(hub: Hub):
    hub.serve(echo)
    instance = hub.start(echo)
    hub.output(instance)
    hub.client.purge_orchestration(instance)
    with pytest.raises(grpc.RpcError) as caught:
        hub.client.get_orchestration_history(instance)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_the_id_of_a_purged_instance_is_free(hub: Hub):
    hub.serve(echo)
    assert hub.result(echo, 1, instance_id="x") == 1
    hub.client.purge_orchestration("x")
    assert hub.result(echo, 2, instance_id="x") == 2


@pytest.mark.beyond_memory
def test_children_are_purged_with_their_parent_if_asked_for(hub: Hub):
    hub.serve(parent, echo)
    hub.result(parent, instance_id="p")
    assert known(hub, "p:0001") and known(hub, "p:0002")
    assert hub.client.purge_orchestration("p", recursive=True).deleted_instance_count == 3
    assert not any(known(hub, it) for it in ("p", "p:0001", "p:0002"))


@pytest.mark.beyond_memory
def test_who_has_the_id_that_a_child_was_to_have_stays(hub: Hub):
    hub.serve(waiting, guest)
    host = hub.start(waiting, instance_id="host")
    assert hub.result(guest, instance_id="guest") == "refused"
    hub.client.terminate_orchestration(host)
    hub.wait(host)
    assert hub.client.purge_orchestration("guest", recursive=True).deleted_instance_count == 1
    assert known(hub, host)


def test_children_stay_where_only_the_parent_is_purged(hub: Hub):
    hub.serve(parent, echo)
    hub.result(parent, instance_id="p")
    assert hub.client.purge_orchestration("p", recursive=False).deleted_instance_count == 1
    assert not known(hub, "p")
    assert known(hub, "p:0001") and known(hub, "p:0002")


def test_instances_are_purged_by_status(hub: Hub):
    hub.serve(echo, fails, waiting)
    kept, running = hub.start(fails), hub.start(waiting)
    gone = [hub.start(echo) for _ in range(3)]
    for instance in [*gone, kept]:
        hub.wait(instance)
    result = hub.client.purge_orchestrations_by(runtime_status=[COMPLETED])
    assert (result.deleted_instance_count, result.is_complete) == (3, True)
    assert not any(known(hub, it) for it in gone)
    assert known(hub, kept) and known(hub, running)


def test_instances_are_purged_by_the_time_they_were_made(hub: Hub):
    hub.serve(echo)
    instance = hub.start(echo)
    hub.wait(instance)
    now, hour = datetime.now(timezone.utc), timedelta(hours=1)
    purge = hub.client.purge_orchestrations_by
    assert purge(created_time_from=now + hour).deleted_instance_count == 0
    assert purge(created_time_to=now - hour).deleted_instance_count == 0
    both = purge(created_time_from=now - hour, created_time_to=now + hour)
    assert both.deleted_instance_count == 1


def test_a_filter_purges_only_what_has_ended(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting)
    hub.client.wait_for_orchestration_start(instance)
    every = list(OrchestrationStatus)
    result = hub.client.purge_orchestrations_by(runtime_status=every)
    assert result.deleted_instance_count == 0
    assert known(hub, instance)


def test_many_instances_are_purged_by_one_filter(hub: Hub):
    hub.serve(echo)
    instances = [hub.start(echo) for _ in range(250)]
    for instance in instances:
        hub.wait(instance)
    purged = 0
    while True:
        result = hub.client.purge_orchestrations_by(timeout=timedelta(seconds=10))
        purged += result.deleted_instance_count
        if result.is_complete:
            break
    assert purged == 250
    assert hub.client.get_all_orchestration_states() == []


@pytest.mark.beyond_memory
def test_instances_are_purged_by_a_list_of_ids(hub: Hub):
    hub.serve(echo, waiting)
    gone = [hub.start(echo) for _ in range(3)]
    running = hub.start(waiting)
    for instance in gone:
        hub.wait(instance)
    batch = pb.InstanceBatch(instanceIds=[*gone, running, "nobody"])
    answer = hub.stub.PurgeInstances(pb.PurgeInstancesRequest(instanceBatch=batch))
    assert answer.deletedInstanceCount == 3
    assert known(hub, running) and not any(known(hub, it) for it in gone)


@pytest.mark.beyond_memory
def test_what_will_not_end_gracefully_is_ended_by_force(hub: Hub):
    instances = [hub.start(waiting) for _ in range(2)]
    worker = hub.new_worker(echo)
    worker.use_work_item_filters()
    worker.start()
    done = hub.start(echo)
    hub.wait(done)
    batch = pb.InstanceBatch(instanceIds=[*instances, "nobody"])
    answer = hub.stub.SkipGracefulOrchestrationTerminations(
        pb.SkipGracefulOrchestrationTerminationsRequest(instanceBatch=batch)
    )
    assert not set(answer.unterminatedInstanceIds) & set(instances)
    for instance in instances:
        eventually(lambda: hub.status(instance) == OrchestrationStatus.TERMINATED)
    assert hub.status(done) == COMPLETED
