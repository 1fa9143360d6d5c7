"""Payloads near the limit, over it, and kept elsewhere."""

import grpc
import pytest
from durabletask.client import OrchestrationQuery, OrchestrationStatus, TaskHubGrpcClient
from durabletask.entities import EntityInstanceId
from durabletask.grpc_options import GrpcChannelOptions
from durabletask.payload.store import LargePayloadStorageOptions, PayloadStore
from durabletask.worker import TaskHubGrpcWorker

from hub import Hub, eventually

NEAR = 900_000
"""Characters that fit: the limit of the family is one mebibyte."""

HINT = "its setting `limits.payload_bytes`"
"""Where whoever writes Python is told what to raise: they know nothing of `Limits`."""

OVER = [5_000_000, 70_000_000]
"""Characters that are too many for a payload, and too many for a message."""


def echo(ctx, input):
    return input


def passes(ctx, size):
    return len((yield ctx.call_activity(grow, input=size)))


def grow(ctx, size):
    return "x" * size


def test_an_input_and_an_output_near_the_limit_pass(hub: Hub):
    hub.serve(echo)
    assert hub.result(echo, "x" * NEAR) == "x" * NEAR


def test_a_result_of_an_activity_near_the_limit_passes(hub: Hub):
    hub.serve(passes, activities=[grow])
    assert hub.result(passes, NEAR) == NEAR


def test_an_event_near_the_limit_passes(hub: Hub):
    def waiting(ctx, _):
        return len((yield ctx.wait_for_external_event("go")))

    hub.serve(waiting)
    instance = hub.start(waiting)
    hub.client.raise_orchestration_event(instance, "go", data="x" * NEAR)
    assert hub.output(instance) == NEAR


def test_a_state_of_an_entity_near_the_limit_passes(hub: Hub):
    def box(ctx, input):
        ctx.set_state(input)

    entity = EntityInstanceId("box", "x")
    hub.serve(entities=[box])
    hub.client.signal_entity(entity, "put", input="x" * NEAR)
    stored = eventually(lambda: (it := hub.client.get_entity(entity)) and it.get_typed_state())
    assert len(stored) == NEAR


@pytest.mark.beyond_memory
@pytest.mark.parametrize("size", OVER)
def test_an_input_over_the_limit_is_refused_with_a_hint(hub: Hub, size):
    with pytest.raises(grpc.RpcError) as caught:
        hub.start(echo, "x" * size, instance_id="too large")
    assert caught.value.code() in (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.OUT_OF_RANGE,
    )
    assert any(word in caught.value.details().lower() for word in ("limit", "large", "max"))
    assert hub.client.get_orchestration_state("too large") is None


@pytest.mark.beyond_memory
@pytest.mark.parametrize("size", OVER)
def test_an_event_over_the_limit_is_refused_and_the_instance_goes_on(hub: Hub, size):
    def waiting(ctx, _):
        return (yield ctx.wait_for_external_event("go"))

    hub.serve(waiting)
    instance = hub.start(waiting)
    with pytest.raises(grpc.RpcError):
        hub.client.raise_orchestration_event(instance, "go", data="x" * size)
    hub.client.raise_orchestration_event(instance, "go", data="small")
    assert hub.output(instance) == "small"


@pytest.mark.beyond_memory
@pytest.mark.parametrize("size", [3_000_000, 6_000_000])
def test_a_result_over_the_limit_fails_the_activity_and_not_for_ever(hub: Hub, size):
    hub.serve(passes, activities=[grow])
    state = hub.run(passes, size)
    if state.runtime_status == OrchestrationStatus.FAILED:
        message = state.failure_details.message
        assert "is too large" in message and HINT in message, message
    else:
        assert state.get_output() == size


@pytest.mark.beyond_memory
def test_an_output_over_the_limit_fails_the_orchestration_and_not_for_ever(hub: Hub):
    def huge(ctx, _):
        return "x" * 6_000_000

    hub.serve(huge)
    instance = hub.start(huge)
    eventually(lambda: is_over(hub, instance))
    state = hub.client.get_orchestration_state(instance, fetch_payloads=False)
    if state.runtime_status == OrchestrationStatus.FAILED:
        assert HINT in state.failure_details.message, state.failure_details


def is_over(hub: Hub, instance: str) -> bool:
    state = hub.client.get_orchestration_state(instance, fetch_payloads=False)
    return state.runtime_status in (OrchestrationStatus.FAILED, OrchestrationStatus.COMPLETED)


@pytest.mark.beyond_memory
def test_a_history_too_large_for_the_worker_ends_with_a_reason(hub: Hub):
    """The SDK takes no message over 4 MiB, and it can not ask for a history in parts."""

    def hoarding(ctx, rounds):
        for _ in range(rounds):
            yield ctx.call_activity(grow, input=NEAR)
        return "done"

    def small(ctx, _):
        return "small"

    hub.serve(hoarding, small, activities=[grow])
    instance = hub.start(hoarding, 8)
    eventually(lambda: is_over(hub, instance))
    state = hub.client.get_orchestration_state(instance, fetch_payloads=False)
    assert state.runtime_status == OrchestrationStatus.FAILED
    assert any(word in state.failure_details.message.lower() for word in ("limit", "large", "max"))
    assert hub.result(small) == "small"


def test_large_payloads_are_listed_in_pages_that_a_client_can_take(hub: Hub):
    hub.serve(echo)
    for n in range(8):
        hub.result(echo, "x" * NEAR, instance_id=str(n))
    query = OrchestrationQuery(max_instance_count=2, fetch_inputs_and_outputs=True)
    states = hub.client.get_all_orchestration_states(query)
    assert len(states) == 8
    assert {len(state.get_output()) for state in states} == {NEAR}


def test_a_client_may_receive_more_than_its_library_does_by_itself(hub: Hub):
    hub.serve(echo)
    instance = hub.start(echo, "x" * (3 * NEAR))
    more = GrpcChannelOptions(max_receive_message_length=16 << 20)
    with TaskHubGrpcClient(
        host_address=hub.address, metadata=hub.metadata, channel_options=more
    ) as client:
        state = client.wait_for_orchestration_completion(instance)
    assert len(state.get_output()) == 3 * NEAR
    # Without payloads it is small.
    state = hub.client.wait_for_orchestration_completion(instance, fetch_payloads=False)
    assert state.runtime_status == OrchestrationStatus.COMPLETED


class Shelf(PayloadStore):
    """Keeps payloads in this process, where the SDK would take a store in some cloud."""

    def __init__(self):
        self.kept: dict[str, bytes] = {}
        self._options = LargePayloadStorageOptions(threshold_bytes=1000)

    @property
    def options(self):
        return self._options

    def upload(self, data, *, instance_id=None):
        token = f"shelf:{len(self.kept)}"
        self.kept[token] = data
        return token

    async def upload_async(self, data, *, instance_id=None):
        return self.upload(data, instance_id=instance_id)

    def download(self, token):
        return self.kept[token]

    async def download_async(self, token):
        return self.download(token)

    def is_known_token(self, value):
        return value.startswith("shelf:")


def test_payloads_may_be_kept_elsewhere(hub: Hub):
    shelf = Shelf()
    with TaskHubGrpcWorker(
        host_address=hub.address, metadata=hub.metadata, payload_store=shelf
    ) as worker:
        worker.add_orchestrator(passes)
        worker.add_activity(grow)
        worker.start()
        with TaskHubGrpcClient(
            host_address=hub.address, metadata=hub.metadata, payload_store=shelf
        ) as client:
            instance = client.schedule_new_orchestration(passes, input=5_000_000)
            state = client.wait_for_orchestration_completion(instance)
    assert state.get_output() == 5_000_000
    assert shelf.kept
