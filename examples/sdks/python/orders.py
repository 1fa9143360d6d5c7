"""An order: what it needs is set aside, it is paid for, it is sent, and sales are counted."""

from durabletask.client import TaskHubGrpcClient
from durabletask.entities import EntityInstanceId
from durabletask.worker import TaskHubGrpcWorker

HUB = {"host_address": "127.0.0.1:4001"}


def reserve(ctx, item):
    return f"{item} from shelf 7"


def ship(ctx, parcel):
    return f"{parcel}, on its way"


def sales(ctx, amount):
    if ctx.operation == "add":
        ctx.set_state(ctx.get_state(int, 0) + amount)
    return ctx.get_state(int, 0)


def order(ctx, item):
    parcel = yield ctx.call_activity(reserve, input=item)
    amount = yield ctx.wait_for_external_event("paid")
    shipped = yield ctx.call_activity(ship, input=parcel)
    total = yield ctx.call_entity(EntityInstanceId("sales", "books"), "add", amount)
    return f"{shipped}; sold for {total} so far"


with TaskHubGrpcWorker(**HUB) as worker:
    worker.add_orchestrator(order)
    worker.add_activity(reserve)
    worker.add_activity(ship)
    worker.add_entity(sales)
    worker.start()

    client = TaskHubGrpcClient(**HUB)
    instance = client.schedule_new_orchestration(order, input="a book")
    client.raise_orchestration_event(instance, "paid", data=12)
    state = client.wait_for_orchestration_completion(instance, timeout=60)
    print(state.runtime_status.name, state.serialized_output)
    client.close()
