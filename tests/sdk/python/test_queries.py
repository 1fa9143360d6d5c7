"""Lists of instances, whole and in pages."""

from datetime import datetime, timedelta, timezone

import grpc
import pytest
from durabletask.client import OrchestrationQuery, OrchestrationStatus
from durabletask.entities import EntityInstanceId
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf import wrappers_pb2

from hub import Hub, eventually

COMPLETED, FAILED = OrchestrationStatus.COMPLETED, OrchestrationStatus.FAILED


def echo(ctx, input):
    return input


def fails(ctx, input):
    raise ValueError("on purpose")


def waiting(ctx, _):
    yield ctx.wait_for_external_event("go")


@pytest.fixture
def zoo(hub: Hub) -> Hub:
    """A hub with two instances of each of three kinds."""
    hub.serve(echo, fails, waiting)
    for n in range(2):
        hub.start(echo, {"n": n}, instance_id=f"echo-{n}")
        hub.start(fails, instance_id=f"fails-{n}")
        hub.start(waiting, instance_id=f"waiting-{n}")
    for n in range(2):
        hub.wait(f"echo-{n}")
        hub.wait(f"fails-{n}")
        hub.client.wait_for_orchestration_start(f"waiting-{n}")
    return hub


def ids(hub: Hub, **query) -> list[str]:
    states = hub.client.get_all_orchestration_states(OrchestrationQuery(**query))
    return sorted(state.instance_id for state in states)


def test_every_instance_is_listed_once(zoo: Hub):
    kinds = ("echo", "fails", "waiting")
    assert ids(zoo) == sorted(f"{kind}-{n}" for kind in kinds for n in range(2))


def test_instances_are_listed_by_status(zoo: Hub):
    assert ids(zoo, runtime_status=[COMPLETED]) == ["echo-0", "echo-1"]
    assert ids(zoo, runtime_status=[FAILED]) == ["fails-0", "fails-1"]
    assert len(ids(zoo, runtime_status=[COMPLETED, OrchestrationStatus.RUNNING])) == 4
    assert ids(zoo, runtime_status=[OrchestrationStatus.SUSPENDED]) == []


def test_instances_are_listed_by_the_beginning_of_their_id(zoo: Hub):
    assert ids(zoo, instance_id_prefix="fails-") == ["fails-0", "fails-1"]
    assert ids(zoo, instance_id_prefix="FAILS-") == []
    assert ids(zoo, instance_id_prefix="%") == []
    assert ids(zoo, instance_id_prefix="echo_") == []


def test_instances_are_listed_by_the_time_they_were_made(zoo: Hub):
    now = datetime.now(timezone.utc)
    assert len(ids(zoo, created_time_from=now - timedelta(hours=1))) == 6
    assert ids(zoo, created_time_from=now + timedelta(hours=1)) == []
    assert ids(zoo, created_time_to=now - timedelta(hours=1)) == []
    assert len(ids(zoo, created_time_to=now + timedelta(hours=1))) == 6


def test_the_end_of_a_range_of_times_is_not_part_of_it(zoo: Hub):
    made = zoo.state("echo-0").created_at.replace(tzinfo=timezone.utc)
    assert "echo-0" in ids(zoo, created_time_from=made)
    assert "echo-0" not in ids(zoo, created_time_to=made)
    assert "echo-0" in ids(zoo, created_time_to=made + timedelta(microseconds=1))


def test_payloads_are_listed_only_if_asked_for(zoo: Hub):
    query = {"instance_id_prefix": "echo-1"}
    (bare,) = zoo.client.get_all_orchestration_states(OrchestrationQuery(**query))
    assert bare.serialized_input is None and bare.serialized_output is None
    query["fetch_inputs_and_outputs"] = True
    (full,) = zoo.client.get_all_orchestration_states(OrchestrationQuery(**query))
    assert full.get_input() == full.get_output() == {"n": 1}


def test_a_list_tells_names_and_reasons(zoo: Hub):
    query = OrchestrationQuery(instance_id_prefix="fails-0")
    (state,) = zoo.client.get_all_orchestration_states(query)
    assert state.name == "fails"
    assert state.runtime_status == FAILED
    assert state.failure_details.message == "on purpose"


@pytest.mark.parametrize("size", [1, 2, 4, 6, 100])
def test_pages_hold_every_instance_once(zoo: Hub, size):
    assert len(ids(zoo, max_instance_count=size)) == 6


def test_a_page_is_never_larger_than_asked_for(zoo: Hub):
    request = pb.QueryInstancesRequest(query=pb.InstanceQuery(maxInstanceCount=4))
    first = zoo.stub.QueryInstances(request)
    assert len(first.orchestrationState) == 4
    request.query.continuationToken.CopyFrom(first.continuationToken)
    second = zoo.stub.QueryInstances(request)
    assert len(second.orchestrationState) == 2
    assert second.continuationToken.value == ""


@pytest.mark.beyond_memory
def test_a_token_nobody_gave_is_refused(zoo: Hub):
    token = wrappers_pb2.StringValue(value="not a token")
    query = pb.InstanceQuery(maxInstanceCount=2, continuationToken=token)
    with pytest.raises(grpc.RpcError) as caught:
        zoo.stub.QueryInstances(pb.QueryInstancesRequest(query=query))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_entities_are_not_listed_as_instances(hub: Hub):
    def counter(ctx, n):
        ctx.set_state(n)

    entity = EntityInstanceId("counter", "one")
    hub.serve(echo, entities=[counter])
    hub.client.signal_entity(entity, "set", input=1)
    eventually(lambda: hub.client.get_entity(entity) and hub.client.get_entity(entity).get_state())
    hub.result(echo, instance_id="only")
    assert ids(hub) == ["only"]


def list_ids(hub: Hub, **query) -> list[str]:
    found, token = [], None
    while True:
        page = hub.client.list_instance_ids(continuation_token=token, **query)
        found += page.items
        token = page.continuation_token
        if not token:
            return found


def test_ids_of_ended_instances_come_in_the_order_of_their_ends(hub: Hub):
    hub.serve(echo, fails)
    names = [f"{name}" for name in "qwertyuiop"]
    for name in names:
        hub.run(fails if name in "aeiou" else echo, instance_id=name)
    assert list_ids(hub) == names
    assert list_ids(hub, page_size=3) == names
    assert list_ids(hub, runtime_status=[FAILED], page_size=1) == list("euio")


def test_ids_of_running_instances_are_not_listed(zoo: Hub):
    assert sorted(list_ids(zoo)) == ["echo-0", "echo-1", "fails-0", "fails-1"]


def test_ids_are_listed_by_the_time_of_the_end(zoo: Hub):
    now = datetime.now(timezone.utc)
    assert list_ids(zoo, completed_time_from=now + timedelta(hours=1)) == []
    assert list_ids(zoo, completed_time_to=now - timedelta(hours=1)) == []
    past, future = now - timedelta(hours=1), now + timedelta(hours=1)
    assert len(list_ids(zoo, completed_time_from=past, completed_time_to=future)) == 4


def test_a_page_of_ids_tells_whether_there_are_more(zoo: Hub):
    page = zoo.client.list_instance_ids(page_size=3)
    assert len(page.items) == 3 and page.continuation_token
    page = zoo.client.list_instance_ids(page_size=3, continuation_token=page.continuation_token)
    assert len(page.items) == 1 and not page.continuation_token


def test_a_thousand_instances_are_listed(hub: Hub):
    for n in range(1000):
        hub.stub.StartInstance(pb.CreateInstanceRequest(instanceId=f"{n:04}", name="echo"))
    expected = [f"{n:04}" for n in range(1000)]
    assert ids(hub) == expected
    assert ids(hub, max_instance_count=300) == expected
    assert ids(hub, instance_id_prefix="09") == expected[900:]
