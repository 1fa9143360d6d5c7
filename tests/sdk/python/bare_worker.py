"""A worker that speaks the bare protocol, to do what the SDK's own never does."""

import queue
import threading

import grpc
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs
from durabletask.internal.grpc_interceptor import DefaultClientInterceptorImpl
from google.protobuf import wrappers_pb2

from hub import PATIENCE, Hub


class BareWorker:
    """One stream of work items on a connection of its own, answered by the test."""

    def __init__(self, hub: Hub, **request):
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channel = grpc.insecure_channel(hub.address, options)
        named = grpc.intercept_channel(self._channel, DefaultClientInterceptorImpl(hub.metadata))
        self._stub = stubs.TaskHubSidecarServiceStub(named)
        self._items: queue.Queue = queue.Queue()
        self._call = self._stub.GetWorkItems(pb.GetWorkItemsRequest(**request))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for item in self._call:
                if not item.HasField("healthPing"):
                    self._items.put(item)
        except Exception as ended:
            self._items.put(ended)

    def next(self, timeout: float = PATIENCE) -> pb.WorkItem:
        """The next item that is not a ping."""
        item = self._items.get(timeout=timeout)
        if isinstance(item, Exception):
            raise item
        return item

    def within(self, seconds: float) -> pb.WorkItem | None:
        """The next item, if one comes this soon."""
        try:
            return self.next(seconds)
        except queue.Empty:
            return None

    def nothing(self) -> bool:
        """Whether no item comes for a while."""
        item = self.within(0.3)
        assert item is None, f"an item came: {item}"
        return True

    def poll(self) -> pb.WorkItem | None:
        """An item that has come already, if one has."""
        return self.next() if self.has_some() else None

    def has_some(self) -> bool:
        """Whether an item has come."""
        return not self._items.empty()

    def leave(self) -> None:
        """Cancels the stream and keeps the connection, as a worker does that finishes its work."""
        self._call.cancel()

    def close(self) -> None:
        """Ends the connection, as a worker does that dies."""
        self._call.cancel()
        self._channel.close()

    def turn(self, item: pb.WorkItem, *actions: pb.OrchestratorAction, **more) -> None:
        """Answers an orchestration's turn."""
        request = item.orchestratorRequest
        self._stub.CompleteOrchestratorTask(
            pb.OrchestratorResponse(
                instanceId=request.instanceId,
                completionToken=item.completionToken,
                actions=actions,
                **more,
            )
        )

    def result(self, item: pb.WorkItem, value: str) -> None:
        """Answers an activity."""
        request = item.activityRequest
        self._stub.CompleteActivityTask(
            pb.ActivityResponse(
                instanceId=request.orchestrationInstance.instanceId,
                taskId=request.taskId,
                completionToken=item.completionToken,
                result=text(value),
            )
        )


def text(value: str) -> wrappers_pb2.StringValue:
    return wrappers_pb2.StringValue(value=value)


def schedule(id: int, name: str, **more) -> pb.OrchestratorAction:
    """The action that calls an activity."""
    return pb.OrchestratorAction(id=id, scheduleTask=pb.ScheduleTaskAction(name=name, **more))


def finish(id: int, result: str, **more) -> pb.OrchestratorAction:
    """The action that completes an orchestration."""
    more.setdefault("orchestrationStatus", pb.ORCHESTRATION_STATUS_COMPLETED)
    return pb.OrchestratorAction(
        id=id, completeOrchestration=pb.CompleteOrchestrationAction(result=text(result), **more)
    )


def kinds(events) -> list[str]:
    """The kinds of events, in their order."""
    return [event.WhichOneof("eventType") for event in events]
