// The server is killed while a JavaScript worker is at work, and the work goes on.
"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { EntityInstanceId, TaskEntity } = require("@microsoft/durabletask-js");

const { eventually, withServer } = require("./hub.js");

const shared = withServer();

/** Calls until the server is there again. */
function again(call) {
  return eventually(async () => {
    try {
      return [await call()];
    } catch (error) {
      assert.ok([1, 14].includes(error.code), error);
    }
  }).then(([answer]) => answer);
}

test("a chain goes on where it was", async () => {
  const hub = shared.hub();
  const steps = [];
  const reached = {};
  const tenth = new Promise((resolve) => (reached.tenth = resolve));
  function step(_, n) {
    steps.push(n);
    if (n === 10) reached.tenth();
    return n + 1;
  }
  async function* chain(ctx, n) {
    while (n < 20) n = yield ctx.callActivity(step, n);
    return n;
  }
  await hub.serve({ orchestrators: [chain], activities: [step] });
  const instance = await hub.start(chain, 0);
  await tenth;
  await shared.server.kill();
  await shared.server.again();
  assert.equal(await again(() => hub.output(instance)), 20);
  assert.equal(new Set(steps).size, 20);
  assert.ok(steps.length <= 22, steps.join());
});

test("events, timers and entities outlive the server", async () => {
  const hub = shared.hub();
  class Log extends TaskEntity {
    initializeState() {
      return [];
    }
    note(it) {
      this.state.push(it);
    }
  }
  const id = new EntityInstanceId("log", "x");
  async function* waiting(ctx) {
    const timer = ctx.createTimer(0.5);
    const event = yield ctx.waitForExternalEvent("go");
    yield timer;
    yield ctx.entities.callEntity(id, "note", event);
    return event;
  }
  const instance = await hub.start(waiting);
  await hub.client.raiseOrchestrationEvent(instance, "go", "early");
  await hub.client.signalEntity(id, "note", "signal");
  await shared.server.kill();
  await shared.server.again();
  await hub.serve({ orchestrators: [waiting], entities: { log: Log } });
  assert.equal(await again(() => hub.output(instance)), "early");
  const entity = await hub.client.getEntity(id);
  assert.deepEqual([...entity.state].sort(), ["early", "signal"]);
});
