"""Orchestrations that begin again with an empty history."""

from datetime import timedelta

import pytest
from durabletask import history
from durabletask.client import OrchestrationStatus
from durabletask.task import when_all

from hub import Hub, eventually


def test_each_round_begins_with_the_input_the_last_one_gave(hub: Hub):
    def counting(ctx, n):
        yield ctx.create_timer(timedelta(milliseconds=1))
        if n < 20:
            ctx.continue_as_new(n + 1)
            return
        return n

    hub.serve(counting)
    instance = hub.start(counting, 0)
    state = hub.wait(instance)
    assert state.get_output() == 20
    assert state.get_input() == 20
    assert state.instance_id == instance
    assert hub.event_names(instance).count("ExecutionStarted") == 1


def test_a_round_may_begin_again_without_waiting_for_anything(hub: Hub):
    def counting(ctx, n):
        if n < 30:
            ctx.continue_as_new(n + 1)
            return
        return n

    hub.serve(counting)
    assert hub.result(counting, 0) == 30


def test_events_that_nobody_took_are_kept_if_asked_for(hub: Hub):
    def collecting(ctx, taken):
        taken.append((yield ctx.wait_for_external_event("item")))
        if len(taken) < 20:
            ctx.continue_as_new(taken, save_events=True)
            return
        return taken

    instance = hub.start(collecting, [])
    for n in range(20):
        hub.client.raise_orchestration_event(instance, "item", data=n)
    hub.serve(collecting)
    assert hub.output(instance) == list(range(20))


def test_events_of_several_names_keep_their_order(hub: Hub):
    def collecting(ctx, rounds):
        yield ctx.wait_for_external_event("go")
        if rounds:
            ctx.continue_as_new(rounds - 1, save_events=True)
            return
        reds = [ctx.wait_for_external_event("red") for _ in range(2)]
        blues = [ctx.wait_for_external_event("Blue") for _ in range(2)]
        return [(yield when_all(reds)), (yield when_all(blues))]

    hub.serve(collecting)
    instance = hub.start(collecting, 3)
    for name, data in [("red", 1), ("BLUE", 2), ("Red", 3), ("blue", 4)]:
        hub.client.raise_orchestration_event(instance, name, data=data)
    for _ in range(4):
        hub.client.raise_orchestration_event(instance, "go")
    assert hub.output(instance) == [[1, 3], [2, 4]]


def test_events_that_come_between_rounds_are_not_lost(hub: Hub):
    def collecting(ctx, taken):
        for _ in range(3):
            taken.append((yield ctx.wait_for_external_event("item")))
        if len(taken) < 90:
            ctx.continue_as_new(taken, save_events=True)
            return
        return taken

    hub.serve(collecting)
    instance = hub.start(collecting, [])
    for n in range(90):
        hub.client.raise_orchestration_event(instance, "item", data=n)
    assert hub.output(instance) == list(range(90))


def test_an_answer_meant_for_an_earlier_round_does_not_reach_the_next(hub: Hub):
    def slow(ctx, n):
        if n == 0:
            eventually(lambda: released)
        return n

    def racing(ctx, n):
        call = ctx.call_activity(slow, input=n)
        if n == 0:
            yield ctx.wait_for_external_event("next")
            ctx.continue_as_new(1)
            return
        yield ctx.wait_for_external_event("end")
        return (yield call)

    released = []
    hub.serve(racing, activities=[slow])
    instance = hub.start(racing, 0)
    hub.client.raise_orchestration_event(instance, "next")
    eventually(lambda: hub.state(instance).get_input() == 1)
    released.append(True)
    hub.client.raise_orchestration_event(instance, "end")
    assert hub.output(instance) == 1


@pytest.mark.beyond_memory
def test_a_timer_of_an_earlier_round_does_not_fire_in_the_next(hub: Hub):
    def racing(ctx, n):
        timer = ctx.create_timer(timedelta(milliseconds=200 if n == 0 else 600))
        if n == 0:
            yield ctx.wait_for_external_event("next")
            ctx.continue_as_new(1)
            return
        begun = ctx.current_utc_datetime
        yield timer
        return (ctx.current_utc_datetime - begun).total_seconds()

    hub.serve(racing)
    instance = hub.start(racing, 0)
    hub.client.raise_orchestration_event(instance, "next")
    assert hub.output(instance) >= 0.6


def test_children_of_each_round_may_have_the_same_ids(hub: Hub):
    def child(ctx, n):
        return n * 10

    def parent(ctx, n):
        result = yield ctx.call_sub_orchestrator(child, input=n)
        if n < 4:
            ctx.continue_as_new(n + 1)
            return
        return result

    hub.serve(parent, child)
    assert hub.result(parent, 0) == 40


def test_an_instance_between_rounds_is_seen_as_running(hub: Hub):
    def waiting(ctx, n):
        yield ctx.wait_for_external_event("next")
        if n < 3:
            ctx.continue_as_new(n + 1)
            return
        return n

    hub.serve(waiting)
    instance = hub.start(waiting, 0)
    seen = set()
    for n in range(3):
        hub.client.raise_orchestration_event(instance, "next")
        eventually(lambda: seen.add(hub.status(instance)) or hub.state(instance).get_input() > n)
    hub.client.raise_orchestration_event(instance, "next")
    assert hub.output(instance) == 3
    assert OrchestrationStatus.CONTINUED_AS_NEW not in seen


@pytest.mark.beyond_memory
def test_each_round_is_an_execution_of_its_own(hub: Hub):
    def counting(ctx, n):
        if n < 2:
            ctx.continue_as_new(n + 1)
            return
        yield ctx.wait_for_external_event("end")

    hub.serve(counting)
    first = hub.start(counting, 5)
    second = hub.start(counting, 0)
    def begun(instance, n):
        events = hub.client.get_orchestration_history(instance)
        started = [it for it in events if isinstance(it, history.ExecutionStartedEvent)]
        return next((it for it in started if it.input == str(n)), None)

    ids = set()
    for instance, n in ((first, 5), (second, 2)):
        eventually(lambda: begun(instance, n))
        ids.add(begun(instance, n).orchestration_instance.execution_id)
    assert len(ids) == 2 and None not in ids


@pytest.mark.beyond_memory
def test_tags_and_version_stay_unless_a_new_version_is_given(hub: Hub):
    def moving(ctx, n):
        if n == 0:
            ctx.continue_as_new(1)
        elif n == 1:
            ctx.continue_as_new(2, new_version="2.0")
        return ctx.version

    hub.serve(moving)
    instance = hub.start(moving, 0, version="1.0", tags={"team": "blue"})
    assert hub.output(instance) == "2.0"
    (started,) = [
        it
        for it in hub.client.get_orchestration_history(instance)
        if type(it).__name__ == "ExecutionStartedEvent"
    ]
    assert started.tags == {"team": "blue"}
