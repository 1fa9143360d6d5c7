"""Orchestrations that call orchestrations."""

import pytest
from durabletask.client import OrchestrationStatus
from durabletask.task import TaskFailedError, when_all

from hub import Hub, eventually


def child(ctx, input):
    return [ctx.instance_id, ctx.parent_instance_id, input]


def test_a_child_gets_its_input_and_its_parent_gets_the_result(hub: Hub):
    def parent(ctx, input):
        return (yield ctx.call_sub_orchestrator(child, input=input, instance_id="the child"))

    hub.serve(parent, child)
    assert hub.result(parent, 5)[2] == 5


@pytest.mark.beyond_memory
def test_a_child_knows_its_parent(hub: Hub):
    def parent(ctx, _):
        return (yield ctx.call_sub_orchestrator(child, instance_id="the child"))

    hub.serve(parent, child)
    assert hub.result(parent, instance_id="p") == ["the child", "p", None]


def test_a_child_without_an_id_gets_one_that_tells_its_parent(hub: Hub):
    def parent(ctx, _):
        first = yield ctx.call_sub_orchestrator(child)
        second = yield ctx.call_sub_orchestrator("child")
        return [first[0], second[0]]

    hub.serve(parent, child)
    assert hub.result(parent, instance_id="p") == ["p:0001", "p:0002"]


def test_a_child_is_an_instance_of_its_own(hub: Hub):
    def parent(ctx, _):
        return (yield ctx.call_sub_orchestrator(child, input=1, instance_id="own"))

    hub.serve(parent, child)
    hub.result(parent)
    state = hub.state("own")
    assert state.name == "child"
    assert state.runtime_status == OrchestrationStatus.COMPLETED
    assert state.get_input() == 1


def test_many_children_with_activities_run_side_by_side(hub: Hub):
    def double(ctx, n):
        return 2 * n

    def working(ctx, n):
        return (yield ctx.call_activity(double, input=n))

    def parent(ctx, n):
        return (yield when_all([ctx.call_sub_orchestrator(working, input=i) for i in range(n)]))

    hub.serve(parent, working, activities=[double])
    assert hub.result(parent, 50) == [2 * n for n in range(50)]


def test_children_may_have_children(hub: Hub):
    def nested(ctx, depth):
        if depth == 0:
            return [ctx.instance_id]
        below = yield ctx.call_sub_orchestrator("nested", input=depth - 1)
        return [ctx.instance_id, *below]

    hub.serve(nested)
    assert hub.result(nested, 5, instance_id="n") == ["n" + ":0001" * n for n in range(6)]


def test_a_failed_child_fails_its_parent_with_its_details(hub: Hub):
    def failing(ctx, _):
        raise ValueError("the child gave up")

    def parent(ctx, _):
        yield ctx.call_sub_orchestrator(failing)

    hub.serve(parent, failing)
    details = hub.failure(parent)
    assert "the child gave up" in details.message
    assert details.inner_failure.message == "the child gave up"


@pytest.mark.beyond_memory
def test_the_type_of_a_childs_failure_reaches_its_parent(hub: Hub):
    def failing(ctx, _):
        raise ValueError("the child gave up")

    def parent(ctx, _):
        try:
            yield ctx.call_sub_orchestrator(failing)
        except TaskFailedError as error:
            return error.details.error_type

    hub.serve(parent, failing)
    assert hub.result(parent) == "builtins.ValueError"


def test_a_parent_may_handle_the_failure_of_a_child(hub: Hub):
    def failing(ctx, _):
        raise ValueError("the child gave up")

    def parent(ctx, _):
        try:
            yield ctx.call_sub_orchestrator(failing)
        except TaskFailedError as error:
            return error.details.message

    hub.serve(parent, failing)
    assert hub.result(parent) == "the child gave up"


def test_a_terminated_child_is_a_failure_to_its_parent(hub: Hub):
    def waiting(ctx, _):
        yield ctx.wait_for_external_event("never")

    def parent(ctx, _):
        try:
            yield ctx.call_sub_orchestrator(waiting, instance_id="waiting")
        except TaskFailedError:
            return "the child was ended"

    hub.serve(parent, waiting)
    instance = hub.start(parent)
    eventually(lambda: hub.client.get_orchestration_state("waiting"))
    hub.client.terminate_orchestration("waiting")
    assert hub.output(instance) == "the child was ended"


def test_a_child_can_not_take_the_id_of_a_running_instance(hub: Hub):
    def waiting(ctx, _):
        yield ctx.wait_for_external_event("go")
        return "first"

    def parent(ctx, _):
        try:
            yield ctx.call_sub_orchestrator(waiting, instance_id="taken")
        except TaskFailedError as error:
            return error.details.message

    hub.serve(parent, waiting)
    hub.start(waiting, instance_id="taken")
    assert "taken" in hub.result(parent)
    hub.client.raise_orchestration_event("taken", "go")
    assert hub.output("taken") == "first"


def test_a_child_may_take_the_id_of_an_instance_that_ended(hub: Hub):
    def parent(ctx, _):
        first = yield ctx.call_sub_orchestrator(child, input=1, instance_id="again")
        second = yield ctx.call_sub_orchestrator(child, input=2, instance_id="again")
        return [first[2], second[2]]

    hub.serve(parent, child)
    assert hub.result(parent) == [1, 2]


def test_a_child_that_is_not_awaited_runs_to_its_end(hub: Hub):
    def parent(ctx, _):
        ctx.call_sub_orchestrator(child, input=3, instance_id="forgotten")
        return "done"

    hub.serve(parent, child)
    assert hub.result(parent) == "done"
    eventually(lambda: hub.client.get_orchestration_state("forgotten"))
    assert hub.output("forgotten")[2] == 3


def test_a_child_that_continues_as_new_answers_its_parent_at_the_end(hub: Hub):
    def counting(ctx, n):
        yield ctx.create_timer(ctx.current_utc_datetime)
        if n < 5:
            ctx.continue_as_new(n + 1)
            return
        return n

    def parent(ctx, _):
        return (yield ctx.call_sub_orchestrator(counting, input=0))

    hub.serve(parent, counting)
    assert hub.result(parent) == 5
