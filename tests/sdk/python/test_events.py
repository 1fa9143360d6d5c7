"""Events from outside: early, late, many, and from other orchestrations."""

from datetime import timedelta

import grpc
import pytest
from durabletask.client import OrchestrationStatus
from durabletask.task import when_all, when_any

from hub import Hub, eventually


def waiting(ctx, name):
    return (yield ctx.wait_for_external_event(name))


def test_an_event_wakes_the_instance_that_waits(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting, "go")
    hub.client.wait_for_orchestration_start(instance)
    hub.client.raise_orchestration_event(instance, "go", data={"a": [1, None]})
    assert hub.output(instance) == {"a": [1, None]}


def test_an_event_may_come_before_any_worker(hub: Hub):
    instance = hub.start(waiting, "go")
    hub.client.raise_orchestration_event(instance, "go", data="early")
    hub.serve(waiting)
    assert hub.output(instance) == "early"


def test_an_event_may_come_before_it_is_waited_for(hub: Hub):
    def later(ctx, _):
        yield ctx.wait_for_external_event("second")
        return (yield ctx.wait_for_external_event("first"))

    hub.serve(later)
    instance = hub.start(later)
    hub.client.raise_orchestration_event(instance, "first", data=1)
    hub.client.raise_orchestration_event(instance, "second", data=2)
    assert hub.output(instance) == 1


def test_the_name_of_an_event_has_no_case(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting, "ApproVal")
    hub.client.raise_orchestration_event(instance, "aPPROvAL", data="yes")
    assert hub.output(instance) == "yes"


def test_an_event_may_carry_nothing(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting, "go")
    hub.client.raise_orchestration_event(instance, "go")
    assert hub.output(instance) is None


def test_events_of_one_name_are_taken_in_the_order_they_came(hub: Hub):
    def collecting(ctx, n):
        taken = []
        for _ in range(n):
            taken.append((yield ctx.wait_for_external_event("item")))
        return taken

    hub.serve(collecting)
    instance = hub.start(collecting, 300)
    for n in range(300):
        hub.client.raise_orchestration_event(instance, "item", data=n)
    assert hub.output(instance) == list(range(300))


def test_several_events_may_be_waited_for_together(hub: Hub):
    def all_of(ctx, names):
        return (yield when_all([ctx.wait_for_external_event(name) for name in names]))

    hub.serve(all_of)
    instance = hub.start(all_of, ["a", "b", "c", "a"])
    for name in ["c", "a", "b", "a"]:
        hub.client.raise_orchestration_event(instance, name, data=name)
    assert hub.output(instance) == ["a", "b", "c", "a"]


@pytest.mark.parametrize("raised", [True, False])
def test_an_event_may_be_waited_for_with_a_limit(hub: Hub, raised):
    def limited(ctx, seconds):
        approval = ctx.wait_for_external_event("approval")
        limit = ctx.create_timer(timedelta(seconds=seconds))
        winner = yield when_any([approval, limit])
        if winner is approval:
            limit.cancel()
            return approval.get_result()
        return "too late"

    hub.serve(limited)
    instance = hub.start(limited, 3600 if raised else 0.2)
    if raised:
        hub.client.raise_orchestration_event(instance, "approval", data="approved")
    assert hub.output(instance) == ("approved" if raised else "too late")


@pytest.mark.parametrize("first", ["red", "blue"])
def test_the_first_of_two_events_wins(hub: Hub, first):
    def racing(ctx, _):
        red, blue = ctx.wait_for_external_event("red"), ctx.wait_for_external_event("blue")
        winner = yield when_any([red, blue])
        loser = blue if winner is red else red
        loser.cancel()
        return ["red" if winner is red else "blue", winner.get_result(), loser.is_cancelled]

    hub.serve(racing)
    instance = hub.start(racing)
    hub.client.raise_orchestration_event(instance, first, data=1)
    assert hub.output(instance) == [first, 1, True]


def test_an_orchestration_may_raise_an_event_of_another(hub: Hub):
    def sending(ctx, target):
        ctx.send_event(target, "Greeting", data={"from": ctx.instance_id})
        return "sent"

    hub.serve(waiting, sending)
    target = hub.start(waiting, "greeting")
    hub.client.wait_for_orchestration_start(target)
    assert hub.result(sending, target, instance_id="sender") == "sent"
    assert hub.output(target) == {"from": "sender"}


def test_orchestrations_may_talk_back_and_forth(hub: Hub):
    def ping(ctx, other):
        seen = []
        for n in range(10):
            ctx.send_event(other, "ping", data=n)
            seen.append((yield ctx.wait_for_external_event("pong")))
        return seen

    def pong(ctx, other):
        for _ in range(10):
            n = yield ctx.wait_for_external_event("ping")
            ctx.send_event(other, "pong", data=-n)
        return "done"

    hub.serve(ping, pong)
    hub.start(pong, "ping", instance_id="pong")
    hub.client.wait_for_orchestration_start("pong")
    assert hub.result(ping, "pong", instance_id="ping") == [-n for n in range(10)]
    assert hub.output("pong") == "done"


def test_an_event_for_nobody_is_dropped_and_the_sender_goes_on(hub: Hub):
    def sending(ctx, _):
        ctx.send_event("nobody", "lost", data=1)
        yield ctx.create_timer(timedelta(milliseconds=1))
        return "went on"

    hub.serve(sending)
    instance = hub.start(sending)
    assert hub.output(instance) == "went on"
    assert "EventSent" in hub.event_names(instance)


def test_an_event_nobody_waits_for_does_not_hold_up_the_end(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting, "go")
    for name in ["other", "another", "go"]:
        hub.client.raise_orchestration_event(instance, name, data=name)
    assert hub.output(instance) == "go"


def test_raising_an_event_of_an_unknown_instance_is_an_error(hub: Hub):
    with pytest.raises(grpc.RpcError) as caught:
        hub.client.raise_orchestration_event("nobody", "go")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert "nobody" in caught.value.details()


def test_raising_an_event_of_an_ended_instance_changes_nothing(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting, "go")
    hub.client.raise_orchestration_event(instance, "go", data="first")
    assert hub.output(instance) == "first"
    before = hub.event_names(instance)
    hub.client.raise_orchestration_event(instance, "go", data="second")
    assert hub.output(instance) == "first"
    assert hub.event_names(instance) == before


def test_an_event_that_nobody_takes_leaves_the_instance_running(hub: Hub):
    hub.serve(waiting)
    instance = hub.start(waiting, "go")
    hub.client.raise_orchestration_event(instance, "stop")
    eventually(lambda: "EventRaised" in hub.event_names(instance))
    assert hub.status(instance) == OrchestrationStatus.RUNNING
