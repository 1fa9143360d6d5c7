"""The peer DBOS under the works W1 and W2: one process with its durable defaults.

Takes an order and prints figures as every measuring process does. Its clients are tasks in the
same process that call it directly: it is spared the HTTP exchanges that the others pay in W1.
"""

import asyncio
import json
import logging
import os
import sys
import time
import uuid

from dbos import DBOS, SetWorkflowID

REPLY = "Sunny, 21 degrees"


@DBOS.step()
async def step() -> None:
    pass


@DBOS.workflow()
async def chain(steps: int) -> str:
    for _ in range(steps):
        await step()
    return "done"


@DBOS.workflow()
async def weather() -> str:
    return await DBOS.recv_async("reply", timeout_seconds=60)


async def client(tally: "Tally") -> None:
    while True:
        began = time.monotonic()
        name = str(uuid.uuid4())
        with SetWorkflowID(name):
            handle = await DBOS.start_workflow_async(weather)
        answer, _ = await asyncio.gather(
            handle.get_result(), DBOS.send_async(name, REPLY, "reply")
        )
        if answer != REPLY:
            raise RuntimeError(f"a request was answered {answer}")
        tally.done(began)


async def caller(tally: "Tally") -> None:
    while True:
        began = time.monotonic()
        handle = await DBOS.start_workflow_async(chain, 5)
        await handle.get_result()
        tally.done(began)


class Tally:
    """What callers did so far, watched as `harness/src/load.rs` does."""

    def __init__(self) -> None:
        self.operations: list[tuple[float, float]] = []

    def done(self, began: float) -> None:
        now = time.monotonic()
        self.operations.append((now, now - began))

    async def reached(self, count: int, earliest: float, latest: float) -> float:
        while True:
            now = time.monotonic()
            if now >= latest or (now >= earliest and len(self.operations) >= count):
                return now
            await asyncio.sleep(0.005)

    async def figures(self, callers: int, pace: dict) -> dict:
        start = time.monotonic()
        cap = start + seconds(pace["cap"])
        half = start + seconds(pace["cap"]) / 2
        since = await self.reached(callers, start + seconds(pace["warm_up"]), half)
        enough = len(self.operations) + 2 * callers
        until = await self.reached(enough, since + seconds(pace["window"]), cap)
        took = sorted(took for ended, took in self.operations if since <= ended < until)
        if not took:
            return {"values": {}, "unfinished": True}

        def percentile(part: int) -> float:
            return took[(len(took) - 1) * part // 100] * 1e3

        rate = len(took) / (until - since)
        values = {"per_second": rate, "p50_ms": percentile(50), "p99_ms": percentile(99)}
        return {"values": values, "unfinished": False}


def seconds(duration: dict) -> float:
    return duration["secs"] + duration["nanos"] / 1e9


async def measure(order: dict) -> None:
    tally = Tally()
    [(work, what)] = order["task"].items()
    count, run = {
        "weather": (what.get("clients"), client),
        "chains": (what.get("at_a_time"), caller),
    }[work]
    callers = [asyncio.create_task(run(tally)) for _ in range(count)]
    watched = asyncio.create_task(tally.figures(count, order["pace"]))
    done, _ = await asyncio.wait([watched, *callers], return_when=asyncio.FIRST_COMPLETED)
    # The callers go on for ever: one that is done has failed.
    print(json.dumps(done.pop().result()), flush=True)
    # As if it had been killed, like the others.
    os._exit(0)


def main() -> None:
    order = json.loads(sys.argv[1])
    logging.disable(logging.WARNING)
    DBOS(config={"name": "bench", "system_database_url": order["place"]["database"]})
    DBOS.launch()
    asyncio.run(measure(order))


if __name__ == "__main__":
    main()
