"""The fixtures: a server per process, a hub per test, and the server's log where a test fails."""

import os
from pathlib import Path

import pytest

# Before the gRPC library is loaded: tests that kill servers would make it talk a lot.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from hub import Hub  # noqa: E402
from server import Server, free_port  # noqa: E402

LOG_SHOWN = 6000
"""Characters of the server's log that a failing test shows."""


def pytest_addoption(parser):
    parser.addoption(
        "--backend",
        choices=["server", "memory"],
        default="server",
        help="memory: the SDK's own in-memory backend, which shows whether a test itself is right",
    )


def pytest_collection_modifyitems(config, items):
    # The slowest test goes first, so that the others run beside it.
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)
    if config.getoption("backend") == "memory":
        beyond = pytest.mark.skip(reason="beyond the SDK's own in-memory backend")
        for item in items:
            if item.get_closest_marker("beyond_memory") or "own_server" in item.fixturenames:
                item.add_marker(beyond)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    logs = [it.log for it in item.funcargs.values() if isinstance(it, Server)]
    if report.failed and logs:
        text = logs[-1].read_text(errors="replace")[-LOG_SHOWN:]
        report.sections.append(("the end of the server's log", text))


@pytest.fixture(scope="session")
def server(request, tmp_path_factory):
    """The server that the tests of this process share, each in a hub of its own."""
    if request.config.getoption("backend") == "memory":
        yield None
        return
    server = Server(tmp_path_factory.mktemp("server"), "--hubs-max", "1000")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def ending():
    """Threads of workers that are ending, joined when all tests are done."""
    threads = []
    yield threads
    for thread in threads:
        thread.join(10)


@pytest.fixture
def address(server):
    """Where the server listens."""
    if server is not None:
        yield server.address
        return
    from durabletask.testing import create_test_backend

    port = free_port()
    backend = create_test_backend(port=port)
    yield f"127.0.0.1:{port}"
    backend.stop()


@pytest.fixture
def hub(address, ending):
    """A hub of its own for each test."""
    hub = Hub(address)
    yield hub
    ending.extend(hub.close())


@pytest.fixture
def own_server(tmp_path):
    """A server that the test may kill."""
    server = Server(Path(tmp_path))
    yield server
    server.stop()


@pytest.fixture
def own_hub(own_server, ending):
    """A hub on a server that the test may kill."""
    hub = Hub(own_server.address)
    yield hub
    ending.extend(hub.close())
