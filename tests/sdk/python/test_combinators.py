"""Waiting for all of several things, or for any of them."""

import threading
from datetime import timedelta

from durabletask.task import TaskFailedError, when_all, when_any

from hub import PATIENCE, Hub


def number(ctx, n):
    return n


def fails(ctx, n):
    raise ValueError(f"failure {n}")


def test_all_waits_for_the_last_even_if_one_fails(hub: Hub):
    def some(ctx, _):
        begun = ctx.current_utc_datetime
        tasks = [
            ctx.call_activity(fails, input=1),
            ctx.create_timer(timedelta(milliseconds=300)),
            ctx.call_activity(number, input=2),
        ]
        try:
            yield when_all(tasks)
        except TaskFailedError as error:
            return [error.details.message, (ctx.current_utc_datetime - begun).total_seconds()]

    hub.serve(some, activities=[number, fails])
    message, seconds = hub.result(some)
    assert message == "failure 1"
    assert seconds >= 0.3


def test_any_gives_the_first_that_is_done(hub: Hub):
    def slow(ctx, _):
        go.wait(PATIENCE)
        return "slow"

    def racing(ctx, _):
        tasks = [ctx.call_activity(slow), ctx.call_activity(number, input="fast")]
        winner = yield when_any(tasks)
        return [tasks.index(winner), winner.get_result()]

    go = threading.Event()
    hub.serve(racing, activities=[slow, number])
    assert hub.result(racing) == [1, "fast"]
    go.set()


def test_the_loser_of_a_race_may_be_awaited_later(hub: Hub):
    def racing(ctx, _):
        timer = ctx.create_timer(timedelta(milliseconds=200))
        call = ctx.call_activity(number, input=7)
        winner = yield when_any([timer, call])
        yield when_all([timer, call])
        return [winner is call, call.get_result()]

    hub.serve(racing, activities=[number])
    assert hub.result(racing) == [True, 7]


def test_all_and_any_may_be_nested(hub: Hub):
    def nested(ctx, _):
        pair = when_all([ctx.call_activity(number, input=n) for n in (1, 2)])
        never = ctx.wait_for_external_event("never")
        winner = yield when_any([never, pair])
        never.cancel()
        return [winner is pair, pair.get_result()]

    hub.serve(nested, activities=[number])
    assert hub.result(nested) == [True, [1, 2]]


def test_a_failure_wins_a_race_and_may_be_handled(hub: Hub):
    def racing(ctx, _):
        failing = ctx.call_activity(fails, input=3)
        never = ctx.wait_for_external_event("never")
        winner = yield when_any([failing, never])
        return [winner is failing, failing.is_failed, failing.get_exception().details.message]

    hub.serve(racing, activities=[fails])
    assert hub.result(racing) == [True, True, "failure 3"]


def test_a_window_of_calls_slides_until_all_are_done(hub: Hub):
    def sliding(ctx, total):
        waiting = list(range(total))
        running, done = {}, []
        while waiting or running:
            while waiting and len(running) < 5:
                n = waiting.pop(0)
                running[ctx.call_activity(number, input=n)] = n
            finished = yield when_any(list(running))
            done.append(finished.get_result())
            del running[finished]
        return sorted(done)

    hub.serve(sliding, activities=[number])
    assert hub.result(sliding, 30) == list(range(30))
