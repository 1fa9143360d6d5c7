"""The SDK's export of histories, which is entities, activities and orchestrations itself."""

import json
from datetime import datetime, timedelta, timezone

from durabletask.client import OrchestrationStatus
from durabletask.extensions.history_export import (
    ExportDestination,
    ExportFormat,
    ExportFormatKind,
    ExportHistoryClient,
    ExportJobCreationOptions,
    ExportJobStatus,
    ExportMode,
)

from hub import Hub


class Shelf:
    """Keeps what is exported in this process."""

    def __init__(self):
        self.histories: dict[str, dict] = {}

    def write(self, *, instance_id, payload, **_):
        self.histories[instance_id] = json.loads(payload)


def echo(ctx, input):
    return input


def fails(ctx, _):
    raise ValueError("on purpose")


def export(hub: Hub, shelf: Shelf, **options):
    exports = ExportHistoryClient(hub.client, shelf)
    worker = hub.new_worker(echo, fails)
    exports.register_worker(worker)
    worker.start()
    instances = [hub.start(echo, n) for n in range(7)] + [hub.start(fails)]
    for instance in instances:
        hub.wait(instance)
    now = datetime.now(timezone.utc)
    job = exports.create_job(
        ExportJobCreationOptions(
            mode=ExportMode.BATCH,
            completed_time_from=now - timedelta(hours=1),
            completed_time_to=now,
            destination=ExportDestination(container="histories"),
            format=ExportFormat(kind=ExportFormatKind.JSON),
            **options,
        )
    )
    return instances, exports.wait_for_job(job.job_id, timeout=30)


def test_a_job_exports_every_history_page_by_page(hub: Hub):
    shelf = Shelf()
    instances, job = export(hub, shelf, max_instances_per_batch=3)
    assert job.status == ExportJobStatus.COMPLETED, job
    assert (job.exported_instances, job.failed_instances) == (8, 0)
    assert set(instances) == set(shelf.histories)


def test_a_job_exports_what_its_filter_names(hub: Hub):
    shelf = Shelf()
    instances, job = export(hub, shelf, runtime_status=[OrchestrationStatus.FAILED])
    assert job.exported_instances == 1
    assert set(shelf.histories) == {instances[-1]}
