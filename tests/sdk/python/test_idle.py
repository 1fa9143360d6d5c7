"""A worker that has nothing to do for over two minutes keeps its connection."""

import logging
import time

import pytest

from hub import Hub

LONGER_THAN_THE_WORKER_IS_PATIENT = 125
"""Seconds; the SDK drops a connection on which nothing came for 120."""


@pytest.mark.timeout(300)
@pytest.mark.beyond_memory
def test_an_idle_worker_hears_from_the_server_and_stays(hub: Hub, caplog):
    def echo(ctx, input):
        return input

    caplog.set_level(logging.INFO, "worker")
    # As a user makes it, not with the impatience of the other tests.
    worker = hub.new_worker(echo, resiliency_options=None)
    worker.start()
    assert hub.result(echo, 1) == 1
    time.sleep(LONGER_THAN_THE_WORKER_IS_PATIENT)
    assert hub.result(echo, 2) == 2
    said = [record.message for record in caplog.records if record.name == "worker"]
    assert sum("Successfully connected" in it for it in said) == 1, said
    assert not any("Timed out" in it for it in said), said
