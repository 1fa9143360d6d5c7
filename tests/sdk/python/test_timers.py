"""Timers: never early, once, and as long as anybody likes."""

import time
from datetime import datetime, timedelta, timezone

import pytest
from durabletask.task import when_all, when_any

from hub import Hub, eventually


def sleeping(ctx, milliseconds):
    due = ctx.current_utc_datetime + timedelta(milliseconds=milliseconds)
    yield ctx.create_timer(due)
    return (ctx.current_utc_datetime - due).total_seconds()


@pytest.mark.parametrize("milliseconds", [1, 50, 700])
def test_a_timer_never_fires_early(hub: Hub, milliseconds):
    hub.serve(sleeping)
    started = time.time()
    late = hub.result(sleeping, milliseconds)
    assert 0 <= late
    assert time.time() - started >= milliseconds / 1000


@pytest.mark.parametrize("milliseconds", [0, -1, -(10**9)])
def test_a_timer_that_is_due_fires_at_once(hub: Hub, milliseconds):
    hub.serve(sleeping)
    hub.result(sleeping, milliseconds)


def test_a_timer_may_be_given_as_a_time_with_a_zone(hub: Hub):
    def zoned(ctx, _):
        due = ctx.current_utc_datetime.replace(tzinfo=timezone.utc) + timedelta(milliseconds=50)
        yield ctx.create_timer(due.astimezone(timezone(timedelta(hours=5))))
        return True

    hub.serve(zoned)
    assert hub.result(zoned)


def test_timers_fire_in_the_order_of_their_times(hub: Hub):
    def ordered(ctx, _):
        waits = [30, 10, 20, 40, 15]
        pending = {ctx.create_timer(timedelta(milliseconds=20 * it)): it for it in waits}
        fired = []
        while pending:
            done = yield when_any(list(pending))
            fired.append(pending.pop(done))
        return fired

    hub.serve(ordered)
    assert hub.result(ordered) == [10, 15, 20, 30, 40]


def test_many_timers_all_fire(hub: Hub):
    def many(ctx, n):
        due = ctx.current_utc_datetime + timedelta(milliseconds=50)
        yield when_all([ctx.create_timer(due + timedelta(milliseconds=i)) for i in range(n)])
        return n

    hub.serve(many)
    assert hub.result(many, 100) == 100


def test_a_long_timer_is_made_of_short_ones(hub: Hub):
    hub.serve(sleeping, maximum_timer_interval=timedelta(milliseconds=100))
    instance = hub.start(sleeping, 350)
    assert hub.output(instance) >= 0
    assert hub.event_names(instance).count("TimerFired") == 4


@pytest.mark.parametrize("days", [1, 40, 400, 40_000])
def test_a_timer_may_be_as_long_as_a_life(hub: Hub, days):
    def long(ctx, days):
        timer = ctx.create_timer(timedelta(days=days))
        event = ctx.wait_for_external_event("wake")
        winner = yield when_any([timer, event])
        return winner is event

    hub.serve(long, maximum_timer_interval=None)
    instance = hub.start(long, days)
    eventually(lambda: "TimerCreated" in hub.event_names(instance))
    hub.client.raise_orchestration_event(instance, "wake")
    assert hub.output(instance) is True


def test_a_timer_fires_once(hub: Hub):
    hub.serve(sleeping)
    instance = hub.start(sleeping, 20)
    hub.wait(instance)
    assert hub.event_names(instance).count("TimerFired") == 1


def test_the_time_a_timer_fired_for_is_the_time_it_was_made_for(hub: Hub):
    hub.serve(sleeping)
    instance = hub.start(sleeping, 30)
    hub.wait(instance)
    events = hub.client.get_orchestration_history(instance)
    by_name = {type(event).__name__: event for event in events}
    created, fired = by_name["TimerCreatedEvent"], by_name["TimerFiredEvent"]
    assert fired.fire_at == created.fire_at
    assert fired.timer_id == created.event_id


def test_a_timer_that_lost_its_race_does_not_hold_up_the_end(hub: Hub):
    def racing(ctx, _):
        timer = ctx.create_timer(timedelta(hours=1))
        event = ctx.wait_for_external_event("go")
        yield when_any([timer, event])
        timer.cancel()
        return datetime.isoformat(ctx.current_utc_datetime)

    hub.serve(racing)
    instance = hub.start(racing)
    hub.client.raise_orchestration_event(instance, "go")
    hub.output(instance)
