"""Failed instances that go on from where they failed, once the reason is mended."""

import grpc
import pytest
from durabletask.client import OrchestrationStatus
from durabletask.task import when_all

from hub import Hub, eventually

FAILED = OrchestrationStatus.FAILED


class Broken:
    """An activity that fails until it is mended, and counts its calls."""

    def __init__(self):
        self.calls = 0
        self.mended = False

    def activity(self):
        def broken(ctx, input):
            self.calls += 1
            if not self.mended:
                raise RuntimeError("broken")
            return f"mended {input}"

        return broken


def fails(hub: Hub, orchestrator, input=None, **options) -> str:
    instance = hub.start(orchestrator, input, **options)
    assert hub.wait(instance).runtime_status == FAILED
    return instance


def calls_broken(ctx, input):
    return (yield ctx.call_activity("broken", input=input))


def test_a_failed_activity_runs_again(hub: Hub):
    broken = Broken()
    hub.serve(calls_broken, activities=[broken.activity()])
    instance = fails(hub, calls_broken, "it")
    broken.mended = True
    hub.client.rewind_orchestration(instance, reason="mended")
    state = hub.wait(instance)
    assert state.runtime_status == OrchestrationStatus.COMPLETED, state
    assert state.get_output() == "mended it"
    assert state.failure_details is None
    assert broken.calls == 2


def test_what_succeeded_is_not_done_again(hub: Hub):
    def fine(ctx, n):
        fine_calls.append(n)
        return n

    def mixed(ctx, _):
        first = yield ctx.call_activity(fine, input=1)
        both = yield when_all([
            ctx.call_activity(fine, input=2),
            ctx.call_activity("broken", input="x"),
        ])
        last = yield ctx.call_activity(fine, input=3)
        return [first, *both, last]

    fine_calls, broken = [], Broken()
    hub.serve(mixed, activities=[fine, broken.activity()])
    instance = fails(hub, mixed)
    broken.mended = True
    hub.client.rewind_orchestration(instance)
    assert hub.output(instance) == [1, 2, "mended x", 3]
    assert fine_calls == [1, 2, 3]


def test_a_failed_child_is_rewound_with_its_parent(hub: Hub):
    def child(ctx, input):
        yield ctx.call_activity(before)
        return (yield ctx.call_activity("broken", input=input))

    def before(ctx, _):
        befores.append(1)

    def parent(ctx, input):
        return (yield ctx.call_sub_orchestrator(child, input=input, instance_id="child"))

    befores, broken = [], Broken()
    hub.serve(parent, child, activities=[before, broken.activity()])
    instance = fails(hub, parent, "deep")
    assert hub.status("child") == FAILED
    broken.mended = True
    hub.client.rewind_orchestration(instance, reason="mended")
    assert hub.output(instance) == "mended deep"
    assert hub.output("child") == "mended deep"
    assert len(befores) == 1


@pytest.mark.beyond_memory
def test_a_failure_three_levels_deep_is_rewound(hub: Hub):
    def nested(ctx, depth):
        if depth == 0:
            return (yield ctx.call_activity("broken", input="core"))
        return (yield ctx.call_sub_orchestrator("nested", input=depth - 1))

    broken = Broken()
    hub.serve(nested, activities=[broken.activity()])
    instance = fails(hub, nested, 2, instance_id="n")
    broken.mended = True
    hub.client.rewind_orchestration(instance)
    assert hub.output("n") == "mended core"
    assert hub.output("n:0001:0001") == "mended core"


def test_a_child_that_was_purged_is_made_anew(hub: Hub):
    def child(ctx, input):
        return (yield ctx.call_activity("broken", input=input))

    def parent(ctx, input):
        return (yield ctx.call_sub_orchestrator(child, input=input, instance_id="child"))

    broken = Broken()
    hub.serve(parent, child, activities=[broken.activity()])
    instance = fails(hub, parent, "anew")
    hub.client.purge_orchestration("child")
    broken.mended = True
    hub.client.rewind_orchestration(instance)
    assert hub.output(instance) == "mended anew"


def test_an_instance_may_be_rewound_twice(hub: Hub):
    def two_steps(ctx, _):
        first = yield ctx.call_activity("first")
        second = yield ctx.call_activity("second")
        return [first, second]

    def first(ctx, _):
        return one.activity()(ctx, 1)

    def second(ctx, _):
        return two.activity()(ctx, 2)

    one, two = Broken(), Broken()
    hub.serve(two_steps, activities=[first, second])
    instance = fails(hub, two_steps)
    for broken in (one, two):
        broken.mended = True
        hub.client.rewind_orchestration(instance, reason="again")
        state = hub.wait(instance)
    assert state.get_output() == ["mended 1", "mended 2"]
    assert [one.calls, two.calls] == [2, 2]


def test_an_instance_that_fails_again_may_be_rewound_again(hub: Hub):
    broken = Broken()
    hub.serve(calls_broken, activities=[broken.activity()])
    instance = fails(hub, calls_broken, "it")
    for calls in (2, 3):
        hub.client.rewind_orchestration(instance)
        eventually(lambda: broken.calls == calls and hub.status(instance) == FAILED)
    broken.mended = True
    hub.client.rewind_orchestration(instance)
    assert hub.output(instance) == "mended it"


def test_the_history_tells_of_the_rewind_and_not_of_the_failure(hub: Hub):
    broken = Broken()
    hub.serve(calls_broken, activities=[broken.activity()])
    instance = fails(hub, calls_broken, "it")
    broken.mended = True
    hub.client.rewind_orchestration(instance, reason="the disk was full")
    hub.output(instance)
    events = hub.client.get_orchestration_history(instance)
    names = [type(event).__name__ for event in events]
    assert names.count("ExecutionRewoundEvent") == 1
    assert names.count("TaskFailedEvent") == 0
    assert names.count("ExecutionCompletedEvent") == 1
    assert names[-1] == "ExecutionCompletedEvent"
    (rewound,) = [it for it in events if type(it).__name__ == "ExecutionRewoundEvent"]
    assert rewound.reason == "the disk was full"


def test_events_raised_after_the_rewind_are_taken(hub: Hub):
    def working(ctx, input):
        done = yield ctx.call_activity("broken", input=input)
        return [done, (yield ctx.wait_for_external_event("go"))]

    broken = Broken()
    hub.serve(working, activities=[broken.activity()])
    instance = fails(hub, working, "it")
    broken.mended = True
    hub.client.rewind_orchestration(instance)
    eventually(lambda: broken.calls == 2)
    hub.client.raise_orchestration_event(instance, "go", data="now")
    assert hub.output(instance) == ["mended it", "now"]


def test_an_unknown_instance_can_not_be_rewound(hub: Hub):
    with pytest.raises(grpc.RpcError) as caught:
        hub.client.rewind_orchestration("nobody")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_an_instance_that_did_not_fail_can_not_be_rewound(hub: Hub):
    def waiting(ctx, _):
        return (yield ctx.wait_for_external_event("go"))

    hub.serve(waiting)
    instance = hub.start(waiting)
    hub.client.wait_for_orchestration_start(instance)
    for _ in range(2):
        with pytest.raises(grpc.RpcError) as caught:
            hub.client.rewind_orchestration(instance)
        assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        hub.client.raise_orchestration_event(instance, "go", data=1)
        assert hub.output(instance) == 1
