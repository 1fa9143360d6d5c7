"""Activities and children that are tried again."""

from datetime import timedelta

from durabletask.client import OrchestrationStatus
from durabletask.task import RetryPolicy, TaskFailedError

from hub import Hub


def every(milliseconds: int, attempts: int, **more) -> RetryPolicy:
    interval = timedelta(milliseconds=milliseconds)
    return RetryPolicy(first_retry_interval=interval, max_number_of_attempts=attempts, **more)


def test_an_activity_is_tried_until_it_succeeds(hub: Hub):
    calls = []

    def flaky(ctx, input):
        calls.append(input)
        if len(calls) < 4:
            raise RuntimeError("not yet")
        return len(calls)

    def trying(ctx, input):
        return (yield ctx.call_activity(flaky, input=input, retry_policy=every(10, 5)))

    hub.serve(trying, activities=[flaky])
    assert hub.result(trying, "same input") == 4
    assert calls == ["same input"] * 4


def test_the_last_failure_is_the_one_that_counts(hub: Hub):
    calls = []

    def failing(ctx, _):
        calls.append(1)
        raise RuntimeError(f"failure {len(calls)}")

    def trying(ctx, _):
        yield ctx.call_activity(failing, retry_policy=every(10, 3))

    hub.serve(trying, activities=[failing])
    assert "failure 3" in hub.failure(trying).message
    assert len(calls) == 3


def test_retries_wait_longer_each_time_up_to_a_limit(hub: Hub):
    def failing(ctx, _):
        raise RuntimeError("always")

    def trying(ctx, _):
        policy = every(
            40, 5, backoff_coefficient=2.0, max_retry_interval=timedelta(milliseconds=100)
        )
        try:
            yield ctx.call_activity(failing, retry_policy=policy)
        except TaskFailedError:
            return True

    hub.serve(trying, activities=[failing])
    instance = hub.start(trying)
    assert hub.output(instance)
    events = hub.client.get_orchestration_history(instance)
    started = [it.timestamp for it in events if type(it).__name__ == "OrchestratorStartedEvent"]
    fired = [it.fire_at for it in events if type(it).__name__ == "TimerFiredEvent"]
    # A turn that saw the failure made the timer, and its clock is what the delay counts from.
    delays = [min(fire - start for start in started if start < fire) for fire in fired]
    assert [round(it.total_seconds() * 1000) for it in delays] == [40, 80, 100, 100]


def test_retries_end_when_their_time_is_over(hub: Hub):
    calls = []

    def failing(ctx, _):
        calls.append(1)
        raise RuntimeError("always")

    def trying(ctx, _):
        policy = every(400, 1000, retry_timeout=timedelta(milliseconds=100))
        yield ctx.call_activity(failing, retry_policy=policy)

    hub.serve(trying, activities=[failing])
    state = hub.run(trying)
    assert state.runtime_status == OrchestrationStatus.FAILED
    assert 1 <= len(calls) <= 2


def test_a_child_is_tried_again_under_the_same_id(hub: Hub):
    runs = []

    def child(ctx, _):
        runs.append(ctx.instance_id)
        if len(runs) < 3:
            raise RuntimeError("not yet")
        return len(runs)

    def parent(ctx, _):
        return (yield ctx.call_sub_orchestrator(child, retry_policy=every(10, 5)))

    hub.serve(parent, child)
    assert hub.result(parent, instance_id="p") == 3
    assert runs == ["p:0001"] * 3
    assert hub.status("p:0001") == OrchestrationStatus.COMPLETED


def test_an_activity_within_a_retried_child_runs_once_per_attempt(hub: Hub):
    calls = []

    def work(ctx, _):
        calls.append(1)
        return len(calls)

    def child(ctx, _):
        done = yield ctx.call_activity(work)
        if done < 2:
            raise RuntimeError("not yet")
        return done

    def parent(ctx, _):
        return (yield ctx.call_sub_orchestrator(child, retry_policy=every(10, 5)))

    hub.serve(parent, child, activities=[work])
    assert hub.result(parent) == 2
    assert len(calls) == 2


def test_several_calls_are_retried_side_by_side(hub: Hub):
    calls = {}

    def flaky(ctx, n):
        calls[n] = calls.get(n, 0) + 1
        if calls[n] <= n:
            raise RuntimeError("not yet")
        return n

    def trying(ctx, total):
        tasks = [
            ctx.call_activity(flaky, input=n, retry_policy=every(10, 10)) for n in range(total)
        ]
        results = []
        for task in tasks:
            results.append((yield task))
        return results

    hub.serve(trying, activities=[flaky])
    assert hub.result(trying, 5) == [0, 1, 2, 3, 4]
    assert calls == {0: 1, 1: 2, 2: 3, 3: 4, 4: 5}
