"""What an orchestration sees of itself, and what its caller sees of it."""

import logging
import uuid
from datetime import datetime, timedelta

import pytest
from durabletask.client import OrchestrationStatus

from hub import Hub, eventually


def echo(ctx, input):
    return input


def test_an_orchestration_that_does_nothing_completes(hub: Hub):
    def empty(ctx, _):
        pass

    hub.serve(empty)
    state = hub.run(empty)
    assert state.name == "empty"
    assert state.runtime_status == OrchestrationStatus.COMPLETED
    assert state.serialized_input is None
    assert state.serialized_output is None
    assert state.failure_details is None


@pytest.mark.parametrize(
    "value",
    [
        0,
        False,
        "",
        "plain",
        "zażółć 漢字 🦀 \u0000 \u2028",
        -1.5,
        2**53 + 1,
        [],
        {},
        [1, [2, {"three": None}]],
        {"a": {"b": ["c", 4, True]}},
    ],
    ids=repr,
)
def test_input_and_output_come_back_as_they_were(hub: Hub, value):
    hub.serve(echo)
    state = hub.run(echo, value)
    assert state.get_input() == value
    assert state.get_output() == value


def test_payloads_are_left_out_unless_asked_for(hub: Hub):
    hub.serve(echo)
    instance = hub.start(echo, "payload")
    hub.wait(instance)
    state = hub.client.get_orchestration_state(instance, fetch_payloads=False)
    assert state.serialized_input is None
    assert state.serialized_output is None
    assert state.runtime_status == OrchestrationStatus.COMPLETED


def test_an_orchestration_knows_its_id(hub: Hub):
    def identity(ctx, _):
        return [ctx.instance_id, ctx.parent_instance_id]

    hub.serve(identity)
    assert hub.result(identity, instance_id="chosen by: me") == ["chosen by: me", None]


def test_an_instance_nobody_started_is_not_known(hub: Hub):
    assert hub.client.get_orchestration_state("nobody") is None


def test_times_of_an_instance_are_in_order(hub: Hub):
    hub.serve(echo)
    before = datetime.utcnow() - timedelta(seconds=1)
    state = hub.run(echo)
    assert before < state.created_at <= state.last_updated_at
    assert state.last_updated_at < datetime.utcnow() + timedelta(seconds=1)


def test_an_instance_waits_as_pending_until_a_worker_comes(hub: Hub):
    instance = hub.start(echo, 1)
    assert hub.status(instance) == OrchestrationStatus.PENDING
    hub.serve(echo)
    assert hub.output(instance) == 1


def test_a_waiting_instance_is_running(hub: Hub):
    def waiting(ctx, _):
        yield ctx.wait_for_external_event("never")

    hub.serve(waiting)
    instance = hub.start(waiting)
    state = hub.client.wait_for_orchestration_start(instance, timeout=30)
    assert state.runtime_status == OrchestrationStatus.RUNNING


def test_the_clock_of_an_orchestration_never_goes_back_and_replays_alike(hub: Hub):
    def clock(ctx, _):
        times = [ctx.current_utc_datetime]
        for _ in range(3):
            yield ctx.create_timer(timedelta(milliseconds=20))
            times.append(ctx.current_utc_datetime)
        seen.append(times)
        return [time.isoformat() for time in times]

    seen = []
    hub.serve(clock)
    times = [datetime.fromisoformat(time) for time in hub.result(clock)]
    assert times == sorted(times)
    assert times[-1] - times[0] >= timedelta(milliseconds=60)
    assert abs(times[0] - datetime.utcnow()) < timedelta(minutes=1)


def test_uuids_differ_from_each_other_and_are_the_same_on_replay(hub: Hub):
    def uuids(ctx, _):
        made = [ctx.new_uuid(), ctx.new_uuid()]
        yield ctx.create_timer(timedelta(milliseconds=1))
        made.append(ctx.new_uuid())
        yield ctx.create_timer(timedelta(milliseconds=1))
        seen.append(made)
        return made

    seen = []
    hub.serve(uuids)
    result = hub.result(uuids)
    assert len(set(result)) == 3
    assert all(uuid.UUID(it).version == 5 for it in result)
    assert seen == [result]
    assert not set(hub.result(uuids)) & set(result)


def test_a_replay_safe_logger_says_everything_once(hub: Hub, caplog):
    logger = logging.getLogger("orchestration")
    caplog.set_level(logging.INFO, "orchestration")

    def chatty(ctx, _):
        log = ctx.create_replay_safe_logger(logger)
        for step in range(4):
            log.info("step %d", step)
            yield ctx.create_timer(timedelta(milliseconds=1))

    hub.serve(chatty)
    hub.result(chatty)
    said = [record.message for record in caplog.records if record.name == "orchestration"]
    assert said == [f"step {step}" for step in range(4)]


def test_a_custom_status_is_seen_while_the_instance_runs(hub: Hub):
    def reporting(ctx, _):
        ctx.set_custom_status("asked")
        answer = yield ctx.wait_for_external_event("answer")
        ctx.set_custom_status({"answered": answer})
        yield ctx.wait_for_external_event("end")

    hub.serve(reporting)
    instance = hub.start(reporting)
    eventually(lambda: hub.state(instance).get_custom_status() == "asked")
    hub.client.raise_orchestration_event(instance, "answer", data=42)
    eventually(lambda: hub.state(instance).get_custom_status() == {"answered": 42})
    hub.client.raise_orchestration_event(instance, "end")
    assert hub.wait(instance).get_custom_status() == {"answered": 42}


def test_an_orchestration_that_raises_fails_with_its_reason(hub: Hub):
    def raising(ctx, _):
        raise ValueError("no such city")

    hub.serve(raising)
    details = hub.failure(raising)
    assert details.message == "no such city"
    assert details.is_caused_by(ValueError)
    assert "in raising" in details.stack_trace


def test_an_orchestration_nobody_registered_fails_and_says_so(hub: Hub):
    hub.serve(echo)
    assert "unheard_of" in hub.failure("unheard_of").message


def test_a_result_that_can_not_be_written_fails_the_orchestration(hub: Hub):
    def unprintable(ctx, _):
        return {object()}

    hub.serve(unprintable)
    assert hub.failure(unprintable).error_type.endswith("JsonEncodeOutputException")


def test_code_that_changed_under_a_running_instance_is_found(hub: Hub):
    def changing(ctx, _):
        if not changed:
            yield ctx.create_timer(timedelta(milliseconds=1))
        yield ctx.wait_for_external_event("go")

    changed = []
    hub.serve(changing)
    instance = hub.start(changing)
    eventually(lambda: "TimerFired" in hub.event_names(instance))
    changed.append(True)
    hub.client.raise_orchestration_event(instance, "go")
    state = hub.wait(instance)
    assert state.runtime_status == OrchestrationStatus.FAILED
    assert state.failure_details.is_caused_by("NonDeterminismError")


def test_a_hundred_instances_at_once_all_complete(hub: Hub):
    def twice(ctx, n):
        return (yield ctx.call_activity(double, input=n))

    def double(ctx, n):
        return 2 * n

    hub.serve(twice, activities=[double])
    instances = [hub.start(twice, n) for n in range(100)]
    assert [hub.output(it) for it in instances] == [2 * n for n in range(100)]
