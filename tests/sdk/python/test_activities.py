"""Activities: what goes in, what comes out, and how their failures arrive."""

import threading

import pytest
from durabletask.exception_properties import ExceptionPropertiesProvider
from durabletask.task import TaskFailedError, when_all
from durabletask.worker import ConcurrencyOptions

from hub import PATIENCE, Hub


def call_boom(ctx, input):
    return (yield ctx.call_activity("boom", input=input))


def test_a_chain_passes_each_result_on(hub: Hub):
    def plus_one(ctx, n):
        return n + 1

    def chain(ctx, n):
        results = [n]
        for _ in range(10):
            results.append((yield ctx.call_activity(plus_one, input=results[-1])))
        return results

    hub.serve(chain, activities=[plus_one])
    assert hub.result(chain, 0) == list(range(11))


def test_an_activity_knows_who_called_it(hub: Hub):
    def who(ctx, _):
        return [ctx.orchestration_id, ctx.task_id]

    def caller(ctx, _):
        first = yield ctx.call_activity(who)
        second = yield ctx.call_activity(who)
        return [first, second]

    hub.serve(caller, activities=[who])
    assert hub.result(caller, instance_id="caller") == [["caller", 1], ["caller", 2]]


@pytest.mark.parametrize("value", [None, "", 0, [], "ü" * 1000, {"nested": [1, None]}], ids=repr)
def test_what_an_activity_is_given_and_gives_is_not_changed(hub: Hub, value):
    def echo(ctx, input):
        return input

    def caller(ctx, input):
        return (yield ctx.call_activity(echo, input=input))

    hub.serve(caller, activities=[echo])
    assert hub.result(caller, value) == value


def test_fan_out_gives_results_in_the_order_of_the_calls(hub: Hub):
    def square(ctx, n):
        return n * n

    def fan_out(ctx, n):
        return (yield when_all([ctx.call_activity(square, input=i) for i in range(n)]))

    hub.serve(fan_out, activities=[square])
    assert hub.result(fan_out, 200) == [n * n for n in range(200)]


def test_activities_of_one_instance_run_at_the_same_time(hub: Hub):
    def meet(ctx, _):
        meeting.wait(PATIENCE)
        return True

    def fan_out(ctx, n):
        return (yield when_all([ctx.call_activity(meet) for _ in range(n)]))

    meeting = threading.Barrier(4)
    hub.serve(fan_out, activities=[meet])
    assert hub.result(fan_out, 4) == [True] * 4


def test_a_failed_activity_fails_the_orchestration_with_its_details(hub: Hub):
    def boom(ctx, input):
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError(input) from inner

    hub.serve(call_boom, activities=[boom])
    details = hub.failure(call_boom, "not today")
    assert "not today" in details.message
    assert details.error_type == "durabletask.task.TaskFailedError"
    assert details.inner_failure.message == "not today"
    assert details.inner_failure.is_caused_by(ValueError)
    assert "in boom" in details.inner_failure.stack_trace
    assert details.inner_failure.inner_failure.is_caused_by(KeyError)


def test_an_orchestration_may_handle_the_failure_of_an_activity(hub: Hub):
    def boom(ctx, input):
        raise ValueError(input)

    def undone(ctx, reason):
        return f"undone: {reason}"

    def handling(ctx, input):
        try:
            yield ctx.call_activity(boom, input=input)
        except TaskFailedError as error:
            assert error.details.is_caused_by(ValueError)
            return (yield ctx.call_activity(undone, input=error.details.message))

    hub.serve(handling, activities=[boom, undone])
    assert hub.result(handling, "broken") == "undone: broken"


@pytest.mark.beyond_memory
def test_a_failure_without_a_message_is_a_failure(hub: Hub):
    def boom(ctx, _):
        raise ValueError

    hub.serve(call_boom, activities=[boom])
    assert hub.failure(call_boom).inner_failure.is_caused_by(ValueError)


def test_an_activity_nobody_registered_fails_and_says_so(hub: Hub):
    hub.serve(call_boom)
    assert "'boom'" in hub.failure(call_boom).inner_failure.message


def test_properties_of_an_exception_reach_the_caller(hub: Hub):
    class Reasons(ExceptionPropertiesProvider):
        def get_exception_properties(self, exception):
            return {"code": 7, "tags": ["a", None], "nested": {"yes": True}}

    def boom(ctx, _):
        raise ValueError("with properties")

    hub.serve(call_boom, activities=[boom], exception_properties_provider=Reasons())
    properties = hub.failure(call_boom).inner_failure.properties
    assert properties == {"code": 7, "tags": ["a", None], "nested": {"yes": True}}


def test_an_activity_that_is_not_awaited_runs_all_the_same(hub: Hub):
    def note(ctx, _):
        noted.set()

    def forgetful(ctx, _):
        ctx.call_activity(note)
        return "done"

    noted = threading.Event()
    hub.serve(forgetful, activities=[note])
    assert hub.result(forgetful) == "done"
    assert noted.wait(PATIENCE)


def test_an_activity_runs_once_where_nothing_fails(hub: Hub):
    def count(ctx, n):
        counted.append(n)

    def many(ctx, _):
        for n in range(20):
            yield ctx.call_activity(count, input=n)

    counted = []
    hub.serve(many, activities=[count])
    hub.result(many)
    assert counted == list(range(20))


def test_a_worker_for_one_activity_at_a_time_gets_them_all_done(hub: Hub):
    def alone(ctx, n):
        inside.append(n)
        together.append(len(inside))
        inside.remove(n)
        return n

    def fan_out(ctx, n):
        return (yield when_all([ctx.call_activity(alone, input=i) for i in range(n)]))

    inside, together = [], []
    limits = ConcurrencyOptions(
        maximum_concurrent_activity_work_items=1,
        maximum_concurrent_orchestration_work_items=1,
    )
    hub.serve(fan_out, activities=[alone], concurrency_options=limits)
    assert hub.result(fan_out, 20) == list(range(20))
    assert set(together) == {1}


@pytest.mark.beyond_memory
def test_a_result_that_comes_after_the_end_changes_nothing(hub: Hub):
    def slow(ctx, _):
        go.wait(PATIENCE)

    def racing(ctx, _):
        ctx.call_activity(slow)
        yield ctx.wait_for_external_event("end")
        return "ended"

    go = threading.Event()
    worker = hub.serve(racing, activities=[slow])
    instance = hub.start(racing)
    hub.client.raise_orchestration_event(instance, "end")
    assert hub.output(instance) == "ended"
    before = hub.event_names(instance)
    go.set()
    worker.stop()
    assert hub.output(instance) == "ended"
    assert hub.event_names(instance) == before
