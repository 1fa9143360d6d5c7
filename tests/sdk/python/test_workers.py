"""Workers that die, come back, and share the load."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from durabletask.client import OrchestrationStatus
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.task import when_all

from bare_worker import BareWorker, finish, schedule
from hub import PATIENCE, Hub, eventually
from server import Server
from worker_process import chain, deadly, stuck

pytestmark = pytest.mark.beyond_memory


class Process:
    """A worker in a process of its own."""

    def __init__(self, hub: Hub, name: str):
        script = Path(__file__).with_name("worker_process.py")
        command = [sys.executable, str(script), hub.address, hub.name, name]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.says("started")

    def says(self, line: str) -> None:
        """Waits until the worker says this."""
        assert self._process.stdout.readline().strip() == line

    def ends(self) -> int:
        """Waits until the process ends by itself, and answers with its exit code."""
        code = self._process.wait(PATIENCE)
        self._process.stdout.close()
        return code

    def kill(self) -> None:
        """Ends the process as a crash would."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture
def process(hub: Hub):
    """Starts workers by name."""
    processes = []

    def start(name: str) -> Process:
        processes.append(Process(hub, name))
        return processes[-1]

    yield start
    for it in processes:
        it.kill()


def test_another_worker_takes_over_at_once_what_a_dead_one_had(hub: Hub, process):
    first = process("hangs")
    instance = hub.start(stuck)
    first.says("hanging")
    first.kill()
    process("second")
    assert hub.output(instance) == "second"


def test_work_goes_on_while_workers_are_killed(hub: Hub, process):
    process("survivor")
    victim = process("victim")
    instances = [hub.start(chain, 100) for _ in range(10)]
    eventually(lambda: any("victim" in str(it) for it in results_of(hub, instances[0])))
    victim.kill()
    for instance in instances:
        assert len(hub.output(instance)) == 100


def results_of(hub: Hub, instance: str) -> list:
    events = hub.client.get_orchestration_history(instance)
    return [it.result for it in events if type(it).__name__ == "TaskCompletedEvent"]


def test_several_workers_share_the_load(hub: Hub, process):
    for name in ("one", "two", "three"):
        process(name)
    instances = [hub.start(chain, 30) for _ in range(20)]
    by = [name for instance in instances for name in hub.output(instance)]
    assert len(by) == 600
    for name in ("one", "two", "three"):
        assert by.count(name) >= 60, {it: by.count(it) for it in set(by)}


def test_a_worker_that_stops_lets_running_work_end(hub: Hub):
    def slow(ctx, _):
        ran.append(1)
        begun.set()
        go.wait(PATIENCE)
        return "result"

    def calling(ctx, _):
        return (yield ctx.call_activity(slow))

    ran, begun, go = [], threading.Event(), threading.Event()
    worker = hub.serve(calling, activities=[slow])
    instance = hub.start(calling)
    assert begun.wait(PATIENCE)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    go.set()
    stopping.join()
    hub.serve(calling, activities=[slow])
    assert hub.output(instance) == "result"


def test_an_instance_moves_to_another_worker_between_turns(hub: Hub):
    def waiting(ctx, n):
        return (yield when_all([ctx.wait_for_external_event("go") for _ in range(n)]))

    instance = hub.start(waiting, 3)
    for n in range(3):
        worker = hub.serve(waiting)
        hub.client.wait_for_orchestration_start(instance)
        hub.client.raise_orchestration_event(instance, "go", data=n)
        eventually(lambda: hub.event_names(instance).count("EventRaised") == n + 1)
        worker.stop()
    hub.serve(waiting)
    assert hub.output(instance) == [0, 1, 2]


def test_a_result_of_a_worker_that_is_leaving_counts(hub: Hub):
    instance = hub.start("turns")
    leaving = BareWorker(hub)
    leaving.turn(leaving.next(), schedule(1, "work"))
    activity = leaving.next()
    leaving.leave()
    staying = BareWorker(hub)
    leaving.result(activity, '"late"')
    turn = staying.next()
    while not turn.HasField("orchestratorRequest"):
        turn = staying.next()
    assert turn.orchestratorRequest.newEvents[1].taskCompleted.result.value == '"late"'
    staying.turn(turn, finish(2, "1"))
    assert hub.output(instance) == 1
    leaving.close()
    staying.close()


def test_what_a_broken_connection_had_comes_back_at_once(hub: Hub):
    instance = hub.start("turns")
    first = BareWorker(hub)
    lost = first.next()
    second = BareWorker(hub)
    first.close()
    item = second.next()
    assert item.orchestratorRequest.instanceId == instance
    assert item.completionToken != lost.completionToken
    second.turn(item, schedule(1, "work"))
    activity = second.next()
    third = BareWorker(hub)
    second.close()
    again = third.next()
    assert again.activityRequest.taskId == activity.activityRequest.taskId == 1
    third.result(again, "x")
    third.turn(third.next(), finish(2, '"done"'))
    assert hub.output(instance) == "done"
    third.close()


def test_work_that_takes_every_worker_down_is_given_up(tmp_path, ending):
    server = Server(tmp_path, "--losses", "2")
    hub = Hub(server.address)
    instance = hub.start(deadly)
    for name in ("first", "second", "third"):
        assert Process(hub, name).ends() == 1
    last = Process(hub, "last")
    assert hub.output(instance) == "PoisonWorkItem"
    last.kill()
    ending.extend(hub.close())
    server.stop()


def test_workers_that_come_and_go_lose_nothing(hub: Hub):
    def step(ctx, n):
        return n + 1

    def adding(ctx, n):
        for _ in range(30):
            n = yield ctx.call_activity(step, input=n)
        return n

    instances = [hub.start(adding, n) for n in range(20)]
    stopping = []
    for _ in range(5):
        worker = hub.serve(adding, activities=[step])
        eventually(lambda: hub.status(instances[0]) != OrchestrationStatus.PENDING)
        stopping.append(threading.Thread(target=worker.stop))
        stopping[-1].start()
    hub.serve(adding, activities=[step])
    assert [hub.output(it) for it in instances] == [30 + n for n in range(20)]
    for thread in stopping:
        thread.join()
