"""The SDK's recurring schedules, which are entities and orchestrations themselves."""

from datetime import timedelta

from durabletask.scheduled import (
    ScheduleCreationOptions,
    ScheduledTaskClient,
    ScheduleStatus,
    ScheduleUpdateOptions,
)

from hub import Hub, eventually


def recorder():
    runs = []

    def record(ctx, input):
        runs.append(input)

    return record, runs


def serve(hub: Hub, orchestrator) -> ScheduledTaskClient:
    worker = hub.new_worker(orchestrator)
    worker.configure_scheduled_tasks()
    worker.start()
    return ScheduledTaskClient(hub.client, operation_timeout=30)


def every_second(schedule: str, input="tick", **more) -> ScheduleCreationOptions:
    return ScheduleCreationOptions(
        schedule_id=schedule,
        orchestration_name="record",
        interval=timedelta(seconds=1),
        orchestration_input=input,
        **more,
    )


def test_a_schedule_starts_its_orchestration_again_and_again(hub: Hub):
    record, runs = recorder()
    schedules = serve(hub, record)
    schedule = schedules.create_schedule(every_second("s"))
    eventually(lambda: len(runs) >= 2)
    assert set(runs) == {"tick"}
    described = schedule.describe()
    assert described.status == ScheduleStatus.ACTIVE
    assert described.orchestration_name == "record"
    schedule.delete()
    eventually(lambda: schedules.get_schedule("s") is None)


def test_a_paused_schedule_rests_until_it_is_resumed(hub: Hub):
    record, runs = recorder()
    schedule = serve(hub, record).create_schedule(every_second("s"))
    eventually(lambda: runs)
    schedule.pause()
    assert schedule.describe().status == ScheduleStatus.PAUSED
    before = len(runs)
    schedule.resume()
    assert schedule.describe().status == ScheduleStatus.ACTIVE
    eventually(lambda: len(runs) > before + 1)


def test_a_schedule_can_be_changed(hub: Hub):
    record, runs = recorder()
    schedule = serve(hub, record).create_schedule(every_second("s", "old"))
    schedule.update(ScheduleUpdateOptions(orchestration_input="new"))
    eventually(lambda: "new" in runs)


def test_schedules_are_listed(hub: Hub):
    record, _ = recorder()
    schedules = serve(hub, record)
    for name in ("a", "b"):
        schedules.create_schedule(every_second(name))
    assert sorted(it.schedule_id for it in schedules.list_schedules()) == ["a", "b"]
    assert schedules.get_schedule("c") is None
