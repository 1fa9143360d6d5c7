"""A worker in a process of its own, which tests may kill: `worker_process.py ADDRESS HUB NAME`."""

import logging
import os
import sys
import threading
import time

from durabletask.task import TaskFailedError

from hub import Hub


def chain(ctx, n):
    """Calls one activity after the other; answers with who did each."""
    done = []
    for step in range(n):
        done.append((yield ctx.call_activity(work, input=step)))
    return done


def stuck(ctx, _):
    """Calls an activity that only a worker of another name gets done."""
    return (yield ctx.call_activity(hang))


def deadly(ctx, _):
    """Calls an activity that no worker survives; answers with what it hears of it."""
    try:
        yield ctx.call_activity(die)
    except TaskFailedError as failed:
        return failed.details.error_type


def work(ctx, step):
    """Answers with the name of its worker."""
    return NAME


def hang(ctx, _):
    """Never ends in the worker called `hangs`."""
    print("hanging", flush=True)
    while NAME == "hangs":
        time.sleep(0.1)
    return NAME


def die(ctx, _):
    """Ends its worker."""
    os._exit(1)


if __name__ == "__main__":
    ADDRESS, HUB, NAME = sys.argv[1:]
    logging.disable()
    os.environ["GRPC_VERBOSITY"] = "NONE"
    Hub(ADDRESS, HUB).serve(chain, stuck, deadly, activities=[work, hang, die])
    print("started", flush=True)
    # The SDK's threads can not work on once the main one has ended.
    threading.Event().wait()
