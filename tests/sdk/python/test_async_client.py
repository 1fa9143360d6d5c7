"""The SDK's client for asyncio."""

import asyncio

import grpc
import pytest
from durabletask.client import AsyncTaskHubGrpcClient, OrchestrationQuery, OrchestrationStatus
from durabletask.entities import EntityInstanceId

from entities import counter
from hub import Hub


def waiting(ctx, input):
    return [input, (yield ctx.wait_for_external_event("go"))]


def run(hub: Hub, story):
    """Runs a coroutine with a client of its own."""

    async def with_client():
        client = AsyncTaskHubGrpcClient(host_address=hub.address, metadata=hub.metadata)
        try:
            await story(client)
        finally:
            await client.close()

    asyncio.run(with_client())


def test_an_instance_is_started_raised_awaited_and_purged(hub: Hub):
    async def story(client):
        instance = await client.schedule_new_orchestration(waiting, input=1)
        state = await client.wait_for_orchestration_start(instance, timeout=30)
        assert state.runtime_status == OrchestrationStatus.RUNNING
        await client.raise_orchestration_event(instance, "go", data=2)
        state = await client.wait_for_orchestration_completion(instance, timeout=30)
        assert state.get_output() == [1, 2]
        assert (await client.list_instance_ids()).items == [instance]
        assert (await client.purge_orchestration(instance)).deleted_instance_count == 1
        assert await client.get_orchestration_state(instance) is None

    hub.serve(waiting)
    run(hub, story)


def test_an_instance_is_held_let_go_and_ended(hub: Hub):
    async def story(client):
        instance = await client.schedule_new_orchestration(waiting)
        await client.wait_for_orchestration_start(instance, timeout=30)
        await client.suspend_orchestration(instance)
        while (await client.get_orchestration_state(instance)).runtime_status != (
            OrchestrationStatus.SUSPENDED
        ):
            await asyncio.sleep(0.02)
        await client.resume_orchestration(instance)
        await client.terminate_orchestration(instance, output="ended")
        state = await client.wait_for_orchestration_completion(instance, timeout=30)
        assert state.runtime_status == OrchestrationStatus.TERMINATED
        assert state.get_output() == "ended"
        await client.restart_orchestration(instance)
        await client.raise_orchestration_event(instance, "go", data=3)
        state = await client.wait_for_orchestration_completion(instance, timeout=30)
        assert state.get_output() == [None, 3]

    hub.serve(waiting)
    run(hub, story)


def test_a_hundred_instances_are_awaited_together(hub: Hub):
    async def story(client):
        starts = [client.schedule_new_orchestration(waiting, input=n) for n in range(100)]
        instances = await asyncio.gather(*starts)
        await asyncio.gather(*[
            client.raise_orchestration_event(it, "go", data="x") for it in instances
        ])
        # The in-memory backend has ten threads: no more than that may wait at a time.
        for n in range(0, 100, 5):
            waits = [
                client.wait_for_orchestration_completion(it, timeout=30)
                for it in instances[n : n + 5]
            ]
            states = await asyncio.gather(*waits)
            assert [it.get_output() for it in states] == [[m, "x"] for m in range(n, n + 5)]
        query = OrchestrationQuery(max_instance_count=30)
        assert len(await client.get_all_orchestration_states(query)) == 100

    hub.serve(waiting)
    run(hub, story)


def test_an_entity_is_signalled_and_read(hub: Hub):
    async def story(client):
        entity = EntityInstanceId("counter", "x")
        await client.signal_entity(entity, "add", input=5)
        while not (found := await client.get_entity(entity)) or not found.get_state():
            await asyncio.sleep(0.02)
        assert found.get_typed_state(int) == 5
        assert len(await client.get_all_entities()) == 1
        assert (await client.clean_entity_storage()).empty_entities_removed == 0

    hub.serve(entities=[counter])
    run(hub, story)


def test_errors_and_limits_arrive_as_they_do_elsewhere(hub: Hub):
    async def story(client):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.raise_orchestration_event("nobody", "go")
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        instance = await client.schedule_new_orchestration(waiting)
        with pytest.raises(TimeoutError):
            await client.wait_for_orchestration_completion(instance, timeout=0.3)

    run(hub, story)
