// Orchestrations of the JavaScript SDK: activities, children, timers, events, rounds.
"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");
const { setTimeout: sleep } = require("node:timers/promises");

const {
  OrchestrationStatus,
  RetryPolicy,
  whenAll,
  whenAny,
} = require("@microsoft/durabletask-js");

const { eventually, withServer } = require("./hub.js");

const shared = withServer();

const plusOne = (_, n) => n + 1;

async function echo(ctx, input) {
  return input;
}

async function* waiting(ctx, name) {
  return yield ctx.waitForExternalEvent(name);
}

for (const value of [0, "", "zażółć 漢字 🦀", [1, [null, { a: true }]], { b: -1.5 }]) {
  test(`input and output come back as they were: ${JSON.stringify(value)}`, async () => {
    const hub = shared.hub();
    await hub.serve({ orchestrators: [echo] });
    assert.deepEqual(await hub.result(echo, value), value);
  });
}

test("an orchestration without input gives none", async () => {
  const hub = shared.hub();
  await hub.serve({ orchestrators: [echo] });
  assert.equal(await hub.result(echo), undefined);
});

test("a chain passes each result on", async () => {
  const hub = shared.hub();
  async function* chain(ctx, n) {
    for (let step = 0; step < 10; step++) n = yield ctx.callActivity(plusOne, n);
    return n;
  }
  await hub.serve({ orchestrators: [chain], activities: [plusOne] });
  assert.equal(await hub.result(chain, 5), 15);
});

test("fan-out gives results in the order of the calls", async () => {
  const hub = shared.hub();
  async function* fanOut(ctx, n) {
    const calls = Array.from({ length: n }, (_, i) => ctx.callActivity(plusOne, i));
    return yield whenAll(calls);
  }
  await hub.serve({ orchestrators: [fanOut], activities: [plusOne] });
  const expected = Array.from({ length: 100 }, (_, i) => i + 1);
  assert.deepEqual(await hub.result(fanOut, 100), expected);
});

test("a failed activity fails its orchestration with its reason", async () => {
  const hub = shared.hub();
  function boom() {
    throw new RangeError("not today");
  }
  async function* calling(ctx) {
    return yield ctx.callActivity(boom);
  }
  await hub.serve({ orchestrators: [calling], activities: [boom] });
  assert.match((await hub.failure(calling)).message, /not today/);
});

test("an orchestration may handle a failure", async () => {
  const hub = shared.hub();
  function boom() {
    throw new RangeError("not today");
  }
  async function* handling(ctx) {
    try {
      yield ctx.callActivity(boom);
    } catch (error) {
      return yield ctx.callActivity(plusOne, 41);
    }
  }
  await hub.serve({ orchestrators: [handling], activities: [boom, plusOne] });
  assert.equal(await hub.result(handling), 42);
});

test("an activity is tried again until it succeeds", async () => {
  const hub = shared.hub();
  let calls = 0;
  function flaky() {
    if (++calls < 3) throw new Error("not yet");
    return calls;
  }
  async function* trying(ctx) {
    const retry = new RetryPolicy({
      maxNumberOfAttempts: 5,
      firstRetryIntervalInMilliseconds: 10,
    });
    return yield ctx.callActivity(flaky, undefined, { retry });
  }
  await hub.serve({ orchestrators: [trying], activities: [flaky] });
  assert.equal(await hub.result(trying), 3);
});

test("what may not be tried again fails at once", async () => {
  const hub = shared.hub();
  let calls = 0;
  function flaky() {
    calls++;
    throw new Error("fatal");
  }
  async function* trying(ctx) {
    const retry = async (context) => !/fatal/.test(context.lastFailure.message ?? "fatal");
    yield ctx.callActivity(flaky, undefined, { retry });
  }
  await hub.serve({ orchestrators: [trying], activities: [flaky] });
  assert.match((await hub.failure(trying)).message, /fatal/);
  assert.equal(calls, 1);
});

test("a child is tried again under the same id", async () => {
  const hub = shared.hub();
  const runs = [];
  async function child(ctx) {
    runs.push(ctx.instanceId);
    if (runs.length < 3) throw new Error("not yet");
    return runs.length;
  }
  async function* parent(ctx) {
    const retry = new RetryPolicy({
      maxNumberOfAttempts: 5,
      firstRetryIntervalInMilliseconds: 10,
    });
    return yield ctx.callSubOrchestrator(child, undefined, { retry, instanceId: "child" });
  }
  await hub.serve({ orchestrators: [parent, child] });
  assert.equal(await hub.result(parent), 3);
  assert.deepEqual(runs, ["child", "child", "child"]);
});

test("a child knows its parent", async () => {
  const hub = shared.hub();
  async function child(ctx, input) {
    return [ctx.parent?.instanceId, ctx.parent?.name, input];
  }
  async function* parent(ctx) {
    return yield ctx.callSubOrchestrator(child, 7);
  }
  await hub.serve({ orchestrators: [parent, child] });
  const result = await hub.result(parent, undefined, { instanceId: "p" });
  assert.deepEqual(result, ["p", "parent", 7]);
});

test("children of every round get ids of their own", async () => {
  const hub = shared.hub();
  async function child(ctx, seen) {
    return [...seen, ctx.instanceId];
  }
  async function* rounds(ctx, seen) {
    seen = yield ctx.callSubOrchestrator(child, seen);
    if (seen.length < 4) {
      ctx.continueAsNew(seen, false);
      return;
    }
    return seen;
  }
  await hub.serve({ orchestrators: [rounds, child] });
  const ids = await hub.result(rounds, []);
  assert.equal(new Set(ids).size, 4, ids.join());
});

test("a timer never fires early", async () => {
  const hub = shared.hub();
  async function* sleeping(ctx) {
    const begun = ctx.currentUtcDateTime.getTime();
    yield ctx.createTimer(0.3);
    return ctx.currentUtcDateTime.getTime() - begun;
  }
  await hub.serve({ orchestrators: [sleeping] });
  assert.ok((await hub.result(sleeping)) >= 300);
});

test("an event wins over a timer of a year", async () => {
  const hub = shared.hub();
  async function* racing(ctx) {
    const timer = ctx.createTimer(365 * 86_400);
    const event = ctx.waitForExternalEvent("go");
    const winner = yield whenAny([timer, event]);
    if (winner === event) timer.cancel();
    return winner === event ? event.getResult() : "too late";
  }
  await hub.serve({ orchestrators: [racing] });
  const instance = await hub.start(racing);
  await hub.client.raiseOrchestrationEvent(instance, "GO", { by: "event" });
  assert.deepEqual(await hub.output(instance), { by: "event" });
});

test("events that came early are taken in order", async () => {
  const hub = shared.hub();
  async function* collecting(ctx, n) {
    const taken = [];
    while (taken.length < n) taken.push(yield ctx.waitForExternalEvent("item"));
    return taken;
  }
  const instance = await hub.start(collecting, 50);
  for (let n = 0; n < 50; n++) await hub.client.raiseOrchestrationEvent(instance, "item", n);
  await hub.serve({ orchestrators: [collecting] });
  assert.deepEqual(await hub.output(instance), Array.from({ length: 50 }, (_, n) => n));
});

test("events are kept for the next round if asked for", async () => {
  const hub = shared.hub();
  async function* collecting(ctx, taken) {
    taken.push(yield ctx.waitForExternalEvent("item"));
    if (taken.length < 10) {
      ctx.continueAsNew(taken, true);
      return;
    }
    return taken;
  }
  const instance = await hub.start(collecting, []);
  for (let n = 0; n < 10; n++) await hub.client.raiseOrchestrationEvent(instance, "item", n);
  await hub.serve({ orchestrators: [collecting] });
  assert.deepEqual(await hub.output(instance), Array.from({ length: 10 }, (_, n) => n));
});

test("an orchestration raises an event of another", async () => {
  const hub = shared.hub();
  async function sending(ctx, target) {
    ctx.sendEvent(target, "go", "hello");
    return "sent";
  }
  await hub.serve({ orchestrators: [waiting, sending] });
  const target = await hub.start(waiting, "go");
  await hub.client.waitForOrchestrationStart(target, false, 30);
  assert.equal(await hub.result(sending, target), "sent");
  assert.equal(await hub.output(target), "hello");
});

test("guids differ, and are the same on replay", async () => {
  const hub = shared.hub();
  async function* guids(ctx) {
    const made = [ctx.newGuid(), ctx.newGuid()];
    yield ctx.createTimer(0.001);
    made.push(ctx.newGuid());
    yield ctx.createTimer(0.001);
    return made;
  }
  await hub.serve({ orchestrators: [guids] });
  assert.equal(new Set(await hub.result(guids)).size, 3);
});

test("a replay-safe logger says everything once", async () => {
  const hub = shared.hub();
  const said = [];
  const silent = () => {};
  const logger = { info: (it) => said.push(it), error: silent, warn: silent, debug: silent };
  async function* chatty(ctx) {
    const log = ctx.createReplaySafeLogger(logger);
    for (let n = 0; n < 4; n++) {
      log.info(`step ${n}`);
      yield ctx.createTimer(0.001);
    }
  }
  await hub.serve({ orchestrators: [chatty] });
  await hub.result(chatty);
  assert.deepEqual(said, ["step 0", "step 1", "step 2", "step 3"]);
});

test("a custom status is seen while the instance runs", async () => {
  const hub = shared.hub();
  async function* reporting(ctx) {
    ctx.setCustomStatus({ asked: true });
    return yield ctx.waitForExternalEvent("go");
  }
  await hub.serve({ orchestrators: [reporting] });
  const instance = await hub.start(reporting);
  await eventually(async () => {
    const state = await hub.client.getOrchestrationState(instance);
    return state.serializedCustomStatus === '{"asked":true}';
  });
  await hub.client.raiseOrchestrationEvent(instance, "go", 1);
  assert.equal(await hub.output(instance), 1);
});

test("an instance starts at once unless it is for later", async () => {
  const hub = shared.hub();
  await hub.serve({ orchestrators: [echo] });
  assert.equal(await hub.result(echo, 1), 1);
  const due = Date.now() + 600;
  const instance = await hub.start(echo, 2, { startAt: new Date(due) });
  assert.equal(await hub.status(instance), OrchestrationStatus.PENDING);
  assert.equal(await hub.output(instance), 2);
  assert.ok(Date.now() >= due);
});

test("a wait gives up after its time and the instance goes on", async () => {
  const hub = shared.hub();
  await hub.serve({ orchestrators: [waiting] });
  const instance = await hub.start(waiting, "go");
  const wait = hub.client.waitForOrchestrationCompletion(instance, true, 0.3);
  await assert.rejects(wait, /Timed out/);
  await sleep(1);
  await hub.client.raiseOrchestrationEvent(instance, "go", "still here");
  assert.equal(await hub.output(instance), "still here");
});
