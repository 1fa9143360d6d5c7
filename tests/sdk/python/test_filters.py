"""Workers that take only some of the work."""

import pytest
from durabletask.client import OrchestrationStatus
from durabletask.entities import EntityInstanceId
from durabletask.task import when_all
from durabletask.worker import (
    ActivityWorkItemFilter,
    EntityWorkItemFilter,
    OrchestrationWorkItemFilter,
    VersioningOptions,
    VersionMatchStrategy,
    WorkItemFilters,
)

from hub import Hub, eventually


def calls_work(ctx, n):
    return (yield ctx.call_activity(work, input=n))


def work(ctx, n):
    return n + 1


def other(ctx, n):
    return "other"


def version(ctx, _):
    return ctx.version


def filtered(hub: Hub, filters=None, *functions, **options):
    worker = hub.new_worker(*functions, **options)
    if filters is None:
        worker.use_work_item_filters()
    else:
        worker.use_work_item_filters(filters)
    worker.start()
    return worker


def test_a_worker_gets_what_it_has_registered(hub: Hub):
    filtered(hub, None, calls_work, activities=[work])
    assert hub.result(calls_work, 1) == 2


def test_what_nobody_registered_waits_for_who_does(hub: Hub):
    filtered(hub, None, calls_work, activities=[work])
    waiting = hub.start(other)
    assert hub.result(calls_work, 1) == 2
    assert hub.status(waiting) == OrchestrationStatus.PENDING
    filtered(hub, None, other)
    assert hub.output(waiting) == "other"


def test_orchestrations_and_activities_may_live_on_different_workers(hub: Hub):
    def fan_out(ctx, n):
        return (yield when_all([ctx.call_activity(work, input=i) for i in range(n)]))

    filtered(hub, None, fan_out)
    instance = hub.start(fan_out, 20)
    hub.client.wait_for_orchestration_start(instance)
    filtered(hub, None, activities=[work])
    assert hub.output(instance) == list(range(1, 21))


def test_a_filter_with_an_empty_category_takes_nothing_of_it(hub: Hub):
    only_activities = WorkItemFilters(activities=[ActivityWorkItemFilter("work")])
    filtered(hub, only_activities, calls_work, activities=[work])
    instance = hub.start(calls_work, 1)
    with pytest.raises(TimeoutError):
        hub.client.wait_for_orchestration_start(instance, timeout=0.4)
    filtered(hub, WorkItemFilters(orchestrations=[OrchestrationWorkItemFilter("calls_work")]),
             calls_work)
    assert hub.output(instance) == 2


def test_a_worker_without_filters_gets_everything(hub: Hub):
    worker = hub.new_worker(calls_work, other, activities=[work])
    worker.use_work_item_filters(WorkItemFilters())
    worker.use_work_item_filters(None)
    worker.start()
    assert hub.result(calls_work, 1) == 2
    assert hub.result(other) == "other"


def strict(hub: Hub, of: str):
    worker = hub.new_worker(version)
    worker.use_versioning(
        VersioningOptions(version=of, match_strategy=VersionMatchStrategy.STRICT)
    )
    worker.use_work_item_filters()
    worker.start()


def test_versions_are_a_part_of_the_filter(hub: Hub):
    strict(hub, "1.0")
    second, none = hub.start(version, version="2.0"), hub.start(version)
    assert hub.result(version, version="1.0") == "1.0"
    assert hub.status(second) == OrchestrationStatus.PENDING
    assert hub.status(none) == OrchestrationStatus.PENDING
    strict(hub, "2.0")
    assert hub.output(second) == "2.0"


def test_a_filter_may_name_several_versions(hub: Hub):
    several = WorkItemFilters(
        orchestrations=[OrchestrationWorkItemFilter("version", ["1.0", "2.0"])]
    )
    filtered(hub, several, version)
    third = hub.start(version, version="3.0")
    assert hub.result(version, version="1.0") == "1.0"
    assert hub.result(version, version="2.0") == "2.0"
    assert hub.status(third) == OrchestrationStatus.PENDING


def test_entities_are_filtered_by_name(hub: Hub):
    def red(ctx, n):
        ctx.set_state(n)

    def blue(ctx, n):
        ctx.set_state(n)

    filtered(hub, WorkItemFilters(entities=[EntityWorkItemFilter("Red")]), entities=[red, blue])
    ids = [EntityInstanceId(name, "key") for name in ("red", "blue")]
    for entity in reversed(ids):
        hub.client.signal_entity(entity, "set", input=1)
    eventually(lambda: (it := hub.client.get_entity(ids[0])) and it.get_state())
    blue_state = hub.client.get_entity(ids[1])
    assert blue_state is None or not blue_state.get_state()
    filtered(hub, WorkItemFilters(entities=[EntityWorkItemFilter("blue")]), entities=[blue])
    eventually(lambda: (it := hub.client.get_entity(ids[1])) and it.get_state())
