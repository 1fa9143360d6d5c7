"""Hubs are worlds of their own, and the scheduler's client and worker find them by name."""

import grpc
import pytest
from azure.core.credentials import AccessToken
from durabletask.azuremanaged.client import DurableTaskSchedulerClient
from durabletask.azuremanaged.worker import DurableTaskSchedulerWorker
from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.entities import EntityInstanceId
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.worker import TaskHubGrpcWorker

from entities import count_of, counter, until_count
from hub import Hub

pytestmark = pytest.mark.beyond_memory


@pytest.fixture
def other(hub: Hub, address, ending):
    """A second hub on the same server."""
    other = Hub(address)
    yield other
    ending.extend(other.close())


def test_two_hubs_hold_the_same_ids_and_names(hub: Hub, other: Hub):
    def here(ctx, _):
        return [hub.name, (yield ctx.call_activity("where"))]

    def there(ctx, _):
        return [other.name, (yield ctx.call_activity("where"))]

    here.__name__ = there.__name__ = "same"
    for it, orchestrator in ((hub, here), (other, there)):
        def where(ctx, _, name=it.name):
            return name

        it.serve(orchestrator, activities=[where])
        it.start("same", it.name, instance_id="x")
    for it in (hub, other):
        assert it.output("x") == [it.name, it.name]
        assert it.state("x").get_input() == it.name
        assert len(it.client.get_all_orchestration_states()) == 1


def test_events_and_ends_stay_in_their_hub(hub: Hub, other: Hub):
    def waiting(ctx, _):
        return (yield ctx.wait_for_external_event("go"))

    for it in (hub, other):
        it.serve(waiting)
        it.start(waiting, instance_id="x")
    hub.client.raise_orchestration_event("x", "go", data="here")
    assert hub.output("x") == "here"
    other.client.terminate_orchestration("x", output="there")
    assert other.wait("x").get_output() == "there"
    hub.client.purge_orchestration("x")
    assert hub.client.get_orchestration_state("x") is None
    assert other.client.get_orchestration_state("x") is not None


def test_entities_stay_in_their_hub(hub: Hub, other: Hub):
    entity = EntityInstanceId("counter", "x")
    for it in (hub, other):
        it.serve(entities=[counter])
    hub.client.signal_entity(entity, "add", input=1)
    until_count(hub, "x", 1)
    assert count_of(other, "x") is None
    assert [str(it.id) for it in hub.client.get_all_entities()] == ["@counter@x"]
    assert other.client.get_all_entities() == []


def test_a_client_that_names_no_hub_is_in_the_default_one(address):
    def echo(ctx, input):
        return input

    named = Hub(address, "default")
    with TaskHubGrpcWorker(host_address=address) as worker:
        worker.add_orchestrator(echo)
        worker.start()
        with TaskHubGrpcClient(host_address=address) as client:
            instance = client.schedule_new_orchestration(echo, input=1)
            assert client.wait_for_orchestration_completion(instance).get_output() == 1
            assert named.output(instance) == 1
    named.close()


class Settings(dict):
    """A connection string of the Durable Task Scheduler, taken apart."""

    def __init__(self, text: str):
        super().__init__(part.split("=", 1) for part in text.split(";"))

    def options(self) -> dict:
        assert self["Authentication"] == "None"
        return {
            "host_address": self["Endpoint"],
            "taskhub": self["TaskHub"],
            "token_credential": None,
            "secure_channel": self["Endpoint"].startswith("https:"),
        }


def test_a_connection_string_of_the_scheduler_works(hub: Hub, address):
    def chain(ctx, n):
        return (yield ctx.call_activity(double, input=n))

    def double(ctx, n):
        return 2 * n

    text = f"Endpoint=http://{address};TaskHub={hub.name};Authentication=None"
    options = Settings(text).options()
    with DurableTaskSchedulerWorker(**options) as worker:
        worker.add_orchestrator(chain)
        worker.add_activity(double)
        worker.start()
        with DurableTaskSchedulerClient(**options) as client:
            instance = client.schedule_new_orchestration(chain, input=21)
            assert client.wait_for_orchestration_completion(instance).get_output() == 42
    assert hub.output(instance) == 42


def test_a_token_that_nobody_asked_for_does_no_harm(hub: Hub, address):
    class Credential:
        def get_token(self, *scopes, **_):
            return AccessToken("secret", 4102444800)

    options = {
        "host_address": address,
        "taskhub": hub.name,
        "token_credential": Credential(),
        "secure_channel": False,
    }
    with DurableTaskSchedulerClient(**options) as client:
        assert client.get_orchestration_state("nobody") is None


def test_a_hub_can_be_made_emptied_and_deleted(hub: Hub):
    def echo(ctx, input):
        return input

    hub.stub.CreateTaskHub(pb.CreateTaskHubRequest())
    hub.serve(echo)
    assert hub.result(echo, 1, instance_id="x") == 1
    hub.stub.CreateTaskHub(pb.CreateTaskHubRequest(recreateIfExists=False))
    assert hub.output("x") == 1
    hub.stub.CreateTaskHub(pb.CreateTaskHubRequest(recreateIfExists=True))
    assert hub.client.get_orchestration_state("x") is None
    hub.stub.DeleteTaskHub(pb.DeleteTaskHubRequest())


def test_a_worker_of_a_hub_that_is_deleted_works_for_the_next_of_its_name(hub: Hub):
    def waiting(ctx, _):
        return (yield ctx.wait_for_external_event("go"))

    def echo(ctx, input):
        return (yield ctx.call_activity("again", input=input))

    def again(ctx, input):
        return input

    hub.serve(waiting, echo, activities=[again])
    hub.start(waiting, instance_id="old")
    hub.until_status("old", OrchestrationStatus.RUNNING)
    hub.stub.DeleteTaskHub(pb.DeleteTaskHubRequest())
    assert hub.client.get_orchestration_state("old") is None
    assert hub.result(echo, 1) == 1
    hub.stub.CreateTaskHub(pb.CreateTaskHubRequest(recreateIfExists=True))
    assert hub.result(echo, 2) == 2


def test_a_name_that_can_not_be_a_hub_is_refused(address):
    for name in ["../up", "a/b", "x" * 300]:
        bad = Hub(address, name)
        with pytest.raises(grpc.RpcError) as caught:
            bad.client.get_orchestration_state("x")
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT, name
        assert caught.value.details()
        bad.close()
