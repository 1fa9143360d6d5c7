// An order: what it needs is set aside, it is paid for, it is sent, and sales are counted.
"use strict";

const {
  EntityInstanceId,
  NoOpLogger,
  OrchestrationStatus,
  TaskEntity,
  TaskHubGrpcClient,
  TaskHubGrpcWorker,
} = require("@microsoft/durabletask-js");

const hub = { hostAddress: "127.0.0.1:4001", logger: new NoOpLogger() };

async function reserve(ctx, item) {
  return `${item} from shelf 7`;
}

async function ship(ctx, parcel) {
  return `${parcel}, on its way`;
}

class Sales extends TaskEntity {
  initializeState() {
    return 0;
  }

  add(amount) {
    this.state += amount;
    return this.state;
  }
}

const sales = new EntityInstanceId("sales", "books");

async function* order(ctx, item) {
  const parcel = yield ctx.callActivity(reserve, item);
  const amount = yield ctx.waitForExternalEvent("paid");
  const shipped = yield ctx.callActivity(ship, parcel);
  const total = yield ctx.entities.callEntity(sales, "add", amount);
  return `${shipped}; sold for ${total} so far`;
}

async function main() {
  const worker = new TaskHubGrpcWorker(hub);
  worker.addOrchestrator(order);
  worker.addActivity(reserve);
  worker.addActivity(ship);
  worker.addNamedEntity("sales", () => new Sales());
  await worker.start();

  const client = new TaskHubGrpcClient(hub);
  const instance = await client.scheduleNewOrchestration(order, "a book");
  await client.raiseOrchestrationEvent(instance, "paid", 12);
  const state = await client.waitForOrchestrationCompletion(instance, true, 60);
  console.log(OrchestrationStatus[state.runtimeStatus], state.serializedOutput);

  await client.stop();
  await worker.stop();
}

main();
