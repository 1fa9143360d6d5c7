"""One task hub as the users of the SDK see it: the SDK's own client and workers."""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import grpc
from durabletask.client import OrchestrationState, OrchestrationStatus, TaskHubGrpcClient
from durabletask.grpc_options import GrpcChannelOptions, GrpcWorkerResiliencyOptions
from durabletask.internal import orchestrator_service_pb2_grpc as stubs
from durabletask.internal.grpc_interceptor import DefaultClientInterceptorImpl
from durabletask.task import FailureDetails
from durabletask.worker import TaskHubGrpcWorker

PATIENCE = 60.0
"""Seconds until a test stops waiting for what should come at once."""

CHANNEL = [
    ("grpc.initial_reconnect_backoff_ms", 50),
    # An attempt has at least this long, whatever its name says.
    ("grpc.min_reconnect_backoff_ms", 5000),
    ("grpc.max_reconnect_backoff_ms", 200),
]
"""How to find a server again soon after it was killed."""


class Hub:
    """A task hub with one client, any number of workers, and the bare protocol."""

    def __init__(self, address: str, name: str | None = None):
        self.address = address
        self.name = name or f"test-{uuid.uuid4().hex[:12]}"
        self.metadata = [("taskhub", self.name)]
        self.client = TaskHubGrpcClient(
            host_address=address,
            metadata=self.metadata,
            logger=logging.getLogger("client"),
            channel_options=GrpcChannelOptions(raw_options=CHANNEL),
        )
        self._channel = grpc.intercept_channel(
            grpc.insecure_channel(address, CHANNEL), DefaultClientInterceptorImpl(self.metadata)
        )
        self.stub = stubs.TaskHubSidecarServiceStub(self._channel)
        self._workers: list[TaskHubGrpcWorker] = []
        self._stopping: list[threading.Thread] = []

    def new_worker(
        self, *orchestrators, activities=(), entities=(), **options
    ) -> TaskHubGrpcWorker:
        """A worker of the SDK that knows these functions and waits to be started."""
        options.setdefault(
            "resiliency_options",
            GrpcWorkerResiliencyOptions(
                reconnect_backoff_base_seconds=0.05, reconnect_backoff_cap_seconds=0.2
            ),
        )
        worker = TaskHubGrpcWorker(
            host_address=self.address,
            metadata=self.metadata,
            logger=logging.getLogger("worker"),
            channel_options=GrpcChannelOptions(raw_options=CHANNEL),
            **options,
        )
        for orchestrator in orchestrators:
            worker.add_orchestrator(orchestrator)
        for activity in activities:
            worker.add_activity(activity)
        for entity in entities:
            worker.add_entity(entity)
        self._workers.append(worker)
        return worker

    def serve(self, *orchestrators, **options) -> TaskHubGrpcWorker:
        """A worker that knows these functions, started."""
        worker = self.new_worker(*orchestrators, **options)
        worker.start()
        return worker

    def start(self, orchestrator, input: Any = None, **options) -> str:
        """Starts an instance and answers with its id."""
        return self.client.schedule_new_orchestration(orchestrator, input=input, **options)

    def wait(self, instance_id: str, timeout: float = PATIENCE) -> OrchestrationState:
        """The state of an instance once it has ended."""
        state = self.client.wait_for_orchestration_completion(instance_id, timeout=timeout)
        assert state is not None, f"{instance_id} is not known"
        return state

    def run(self, orchestrator, input: Any = None, **options) -> OrchestrationState:
        """The state of a new instance once it has ended."""
        return self.wait(self.start(orchestrator, input, **options))

    def output(self, instance_id: str) -> Any:
        """What an instance gave, once it has completed."""
        state = self.wait(instance_id)
        assert state.runtime_status == OrchestrationStatus.COMPLETED, state
        return state.get_output()

    def result(self, orchestrator, input: Any = None, **options) -> Any:
        """What a new instance gave, once it has completed."""
        return self.output(self.start(orchestrator, input, **options))

    def failure(self, orchestrator, input: Any = None, **options) -> FailureDetails:
        """Why a new instance failed, once it has."""
        state = self.run(orchestrator, input, **options)
        assert state.runtime_status == OrchestrationStatus.FAILED, state
        assert state.failure_details is not None
        return state.failure_details

    def state(self, instance_id: str) -> OrchestrationState:
        """The state of an instance as it is now."""
        state = self.client.get_orchestration_state(instance_id)
        assert state is not None, f"{instance_id} is not known"
        return state

    def status(self, instance_id: str) -> OrchestrationStatus:
        """The status of an instance as it is now."""
        return self.state(instance_id).runtime_status

    def until_status(self, instance_id: str, status: OrchestrationStatus) -> None:
        """Waits until an instance has this status."""
        eventually(lambda: self.status(instance_id) == status)

    def event_names(self, instance_id: str) -> list[str]:
        """The history of an instance, as the names of its events."""
        events = self.client.get_orchestration_history(instance_id)
        return [type(event).__name__.removesuffix("Event") for event in events]

    def stop(self, worker: TaskHubGrpcWorker) -> None:
        """Lets a worker end in the background: its threads need a second to notice."""
        if worker in self._workers:
            self._workers.remove(worker)
        thread = threading.Thread(target=worker.stop, daemon=True)
        thread.start()
        self._stopping.append(thread)

    def close(self) -> list[threading.Thread]:
        """Ends all that is open; the threads answered are those of the workers that end."""
        for worker in list(self._workers):
            self.stop(worker)
        self.client.close()
        self._channel.close()
        return self._stopping


def eventually(holds: Callable[[], Any], within: float = PATIENCE) -> Any:
    """Asks again and again, for what no call of the protocol can wait for."""
    deadline = time.monotonic() + within
    while not (answer := holds()):
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)
    return answer
