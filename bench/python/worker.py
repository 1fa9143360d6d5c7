"""A worker of the Python SDK with the functions of W2, until its standard input ends."""
import sys

from durabletask.worker import TaskHubGrpcWorker


def step(_, __):
    return None


def chain(context, steps):
    for _ in range(steps):
        yield context.call_activity(step)
    return "done"


with TaskHubGrpcWorker(host_address=sys.argv[1]) as worker:
    worker.add_activity(step)
    worker.add_orchestrator(chain)
    worker.start()
    sys.stdin.read()
