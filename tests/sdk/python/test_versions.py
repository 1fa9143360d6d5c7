"""Versions of orchestrations, and workers that take only some of them."""

import pytest
from durabletask.client import OrchestrationStatus
from durabletask.worker import VersionFailureStrategy, VersioningOptions, VersionMatchStrategy

from hub import Hub

FAIL, REJECT = VersionFailureStrategy.FAIL, VersionFailureStrategy.REJECT
STRICT, OLDER = VersionMatchStrategy.STRICT, VersionMatchStrategy.CURRENT_OR_OLDER


def version(ctx, _):
    return ctx.version


def serve_version(hub: Hub, of: str, match, failure=FAIL, *orchestrators, **options):
    worker = hub.new_worker(*(orchestrators or (version,)), **options)
    worker.use_versioning(
        VersioningOptions(
            version=of, default_version=of, match_strategy=match, failure_strategy=failure
        )
    )
    worker.start()
    return worker


def test_the_version_of_a_start_reaches_the_orchestration(hub: Hub):
    hub.serve(version)
    assert hub.result(version, version="1.2.3") == "1.2.3"
    assert hub.result(version) is None


def test_the_default_version_of_a_client_is_used(hub: Hub):
    hub.serve(version)
    hub.client.default_version = "7.0"
    assert hub.result(version) == "7.0"


@pytest.mark.parametrize(
    ("match", "of", "fits"),
    [
        (STRICT, "1.0", True),
        (STRICT, "1.0.1", False),
        (STRICT, "0.9", False),
        (OLDER, "1.0", True),
        (OLDER, "0.9", True),
        (OLDER, "1.10", False),
        (OLDER, None, True),
        (VersionMatchStrategy.NONE, "99", True),
    ],
)
def test_a_worker_takes_the_versions_its_strategy_allows(hub: Hub, match, of, fits):
    serve_version(hub, "1.0", match)
    state = hub.run(version, version=of)
    if fits:
        assert state.runtime_status == OrchestrationStatus.COMPLETED, state
    else:
        assert state.runtime_status == OrchestrationStatus.FAILED
        assert state.failure_details.error_type == "VersionMismatch"


@pytest.mark.beyond_memory
def test_what_one_worker_rejects_another_does(hub: Hub):
    serve_version(hub, "1.0", STRICT, REJECT)
    instance = hub.start(version, version="2.0")
    serve_version(hub, "2.0", STRICT, REJECT)
    assert hub.output(instance) == "2.0"
    assert hub.result(version, version="1.0") == "1.0"


@pytest.mark.beyond_memory
def test_what_every_worker_rejects_keeps_the_others_going(hub: Hub):
    serve_version(hub, "1.0", STRICT, REJECT)
    instance = hub.start(version, version="2.0")
    for _ in range(20):
        assert hub.result(version, version="1.0") == "1.0"
    assert hub.status(instance) == OrchestrationStatus.PENDING


def test_children_get_the_version_they_are_called_with(hub: Hub):
    def parent(ctx, _):
        own = yield ctx.call_sub_orchestrator(version, version="5.0")
        default = yield ctx.call_sub_orchestrator(version)
        return [ctx.version, own, default]

    serve_version(hub, "4.0", VersionMatchStrategy.NONE, FAIL, parent, version)
    assert hub.result(parent, version="3.0") == ["3.0", "5.0", "4.0"]


def test_continuing_as_new_may_change_the_version(hub: Hub):
    def moving(ctx, rounds):
        if rounds:
            ctx.continue_as_new(rounds - 1, new_version=f"{rounds}.0")
            return
        return ctx.version

    hub.serve(moving)
    assert hub.result(moving, 3, version="9.0") == "1.0"
