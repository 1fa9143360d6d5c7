// Entities of the JavaScript SDK: signalled, called, locked, emptied.
"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { EntityInstanceId, TaskEntity } = require("@microsoft/durabletask-js");

const { eventually, withServer } = require("./hub.js");

const shared = withServer();

class Counter extends TaskEntity {
  initializeState() {
    return 0;
  }
  add(n) {
    this.state += n;
    return this.state;
  }
  get() {
    return this.state;
  }
  addThenFail(n) {
    this.state += n;
    throw new Error("after all");
  }
  forget() {
    this.state = null;
  }
  tell(key) {
    this.context.signalEntity(new EntityInstanceId("counter", key), "add", 100);
  }
  begin(id) {
    this.context.scheduleNewOrchestration("echo", id, { instanceId: id });
  }
}

const entities = { counter: Counter };
const ONE = new EntityInstanceId("counter", "one");
const TWO = new EntityInstanceId("counter", "two");

async function echo(ctx, input) {
  return input;
}

async function countOf(hub, id) {
  const entity = await hub.client.getEntity(id);
  return entity?.includesState ? entity.state : undefined;
}

function until(hub, id, count) {
  return eventually(async () => (await countOf(hub, id)) === count);
}

test("a signal changes the state", async () => {
  const hub = shared.hub();
  for (let n = 1; n <= 10; n++) await hub.client.signalEntity(ONE, "add", n);
  await hub.serve({ entities });
  await until(hub, ONE, 55);
});

test("an orchestration calls an entity and gets the answer", async () => {
  const hub = shared.hub();
  async function* calling(ctx, n) {
    const answers = [];
    while (n--) answers.push(yield ctx.entities.callEntity(ONE, "add", 1));
    return answers;
  }
  await hub.serve({ orchestrators: [calling], entities });
  assert.deepEqual(await hub.result(calling, 5), [1, 2, 3, 4, 5]);
});

test("a failed operation fails its caller and leaves the state", async () => {
  const hub = shared.hub();
  async function* calling(ctx) {
    yield ctx.entities.callEntity(ONE, "add", 3);
    try {
      yield ctx.entities.callEntity(ONE, "addThenFail", 100);
    } catch (error) {
      return [error.message.includes("after all"), yield ctx.entities.callEntity(ONE, "get")];
    }
  }
  await hub.serve({ orchestrators: [calling], entities });
  assert.deepEqual(await hub.result(calling), [true, 3]);
});

test("an orchestration signals, and entities signal and start", async () => {
  const hub = shared.hub();
  async function signalling(ctx) {
    ctx.entities.signalEntity(ONE, "tell", "two");
    ctx.entities.signalEntity(ONE, "begin", "begun");
    return "sent";
  }
  await hub.serve({ orchestrators: [signalling, echo], entities });
  assert.equal(await hub.result(signalling), "sent");
  await until(hub, TWO, 100);
  await eventually(() => hub.client.getOrchestrationState("begun"));
  assert.equal(await hub.output("begun"), "begun");
});

test("critical sections do not overlap", async () => {
  const hub = shared.hub();
  async function* careful(ctx) {
    const lock = yield ctx.entities.lockEntities(TWO, ONE);
    const count = yield ctx.entities.callEntity(ONE, "get");
    yield ctx.createTimer(0.001);
    yield ctx.entities.callEntity(ONE, "add", 1);
    const after = yield ctx.entities.callEntity(ONE, "get");
    lock.release();
    return after - count;
  }
  await hub.serve({ orchestrators: [careful], entities });
  const instances = [];
  for (let n = 0; n < 10; n++) instances.push(await hub.start(careful));
  for (const instance of instances) assert.equal(await hub.output(instance), 1);
  assert.equal(await countOf(hub, ONE), 10);
});

test("a lock is let go where nobody releases it", async () => {
  const hub = shared.hub();
  async function* careless(ctx) {
    yield ctx.entities.lockEntities(ONE);
    return "forgot";
  }
  async function* calling(ctx) {
    return yield ctx.entities.callEntity(ONE, "add", 1);
  }
  await hub.serve({ orchestrators: [careless, calling], entities });
  assert.equal(await hub.result(careless), "forgot");
  assert.equal(await hub.result(calling), 1);
});

test("a lock tells who holds it", async () => {
  const hub = shared.hub();
  async function* holding(ctx) {
    yield ctx.entities.callEntity(ONE, "add", 1);
    const lock = yield ctx.entities.lockEntities(ONE);
    yield ctx.waitForExternalEvent("go");
    lock.release();
  }
  await hub.serve({ orchestrators: [holding], entities });
  const instance = await hub.start(holding);
  await eventually(async () => (await hub.client.getEntity(ONE))?.lockedBy === instance);
  await hub.client.raiseOrchestrationEvent(instance, "go");
  await hub.output(instance);
  await eventually(async () => !(await hub.client.getEntity(ONE)).lockedBy);
});

test("an emptied entity is gone", async () => {
  const hub = shared.hub();
  await hub.serve({ entities });
  await hub.client.signalEntity(ONE, "add", 1);
  await until(hub, ONE, 1);
  await hub.client.signalEntity(ONE, "forget");
  await eventually(async () => (await hub.client.getEntity(ONE)) === undefined);
});

test("a signal for later does not come early", async () => {
  const hub = shared.hub();
  await hub.serve({ entities });
  const signalTime = new Date(Date.now() + 500);
  await hub.client.signalEntity(ONE, "add", 1, { signalTime });
  await until(hub, ONE, 1);
  assert.ok(Date.now() >= signalTime.getTime());
});

test("entities are listed in pages", async () => {
  const hub = shared.hub();
  await hub.serve({ entities });
  for (let n = 0; n < 5; n++) {
    const id = new EntityInstanceId("counter", `k${n}`);
    await hub.client.signalEntity(id, "add", n + 1);
    await until(hub, id, n + 1);
  }
  const found = [];
  const query = { instanceIdStartsWith: "@counter@", pageSize: 2 };
  for await (const entity of hub.client.getEntities(query)) found.push(entity.state);
  assert.deepEqual(found.sort(), [1, 2, 3, 4, 5]);
  assert.equal((await hub.client.cleanEntityStorage()).orphanedLocksReleased, 0);
});
