// What the JavaScript client can do to instances: hold, end, restart, rewind, list, purge.
"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");

const {
  OrchestrationStatus,
  PurgeInstanceCriteria,
  VersionFailureStrategy,
  VersionMatchStrategy,
  terminateOptions,
} = require("@microsoft/durabletask-js");

const { eventually, withServer } = require("./hub.js");

const shared = withServer();
const { COMPLETED, FAILED, PENDING, RUNNING, SUSPENDED, TERMINATED } = OrchestrationStatus;

async function echo(ctx, input) {
  return input;
}

async function* waiting(ctx) {
  return yield ctx.waitForExternalEvent("go");
}

function until(hub, instance, status) {
  return eventually(async () => (await hub.status(instance)) === status);
}

test("a suspended instance holds its events until it is resumed", async () => {
  const hub = shared.hub();
  await hub.serve({ orchestrators: [waiting] });
  const instance = await hub.start(waiting);
  await hub.client.waitForOrchestrationStart(instance, false, 30);
  await hub.client.suspendOrchestration(instance);
  await until(hub, instance, SUSPENDED);
  await hub.client.raiseOrchestrationEvent(instance, "go", 42);
  const wait = hub.client.waitForOrchestrationCompletion(instance, true, 0.3);
  await assert.rejects(wait, /Timed out/);
  await hub.client.resumeOrchestration(instance);
  assert.equal(await hub.output(instance), 42);
});

test("suspending twice is undone by one resume", async () => {
  const hub = shared.hub();
  await hub.serve({ orchestrators: [waiting] });
  const instance = await hub.start(waiting);
  for (let n = 0; n < 3; n++) await hub.client.suspendOrchestration(instance);
  await until(hub, instance, SUSPENDED);
  await hub.client.resumeOrchestration(instance);
  await hub.client.resumeOrchestration(instance);
  await until(hub, instance, RUNNING);
  await hub.client.raiseOrchestrationEvent(instance, "go", 1);
  assert.equal(await hub.output(instance), 1);
});

test("terminating reaches the children if asked for", async () => {
  const hub = shared.hub();
  async function* parent(ctx) {
    yield ctx.callSubOrchestrator(waiting, undefined, { instanceId: "child" });
  }
  await hub.serve({ orchestrators: [parent, waiting] });
  const instance = await hub.start(parent);
  await eventually(() => hub.client.getOrchestrationState("child"));
  const options = terminateOptions({ output: "enough", recursive: true });
  await hub.client.terminateOrchestration(instance, options);
  const state = await hub.wait(instance);
  assert.equal(state.runtimeStatus, TERMINATED);
  assert.equal(state.serializedOutput, '"enough"');
  assert.equal((await hub.wait("child")).runtimeStatus, TERMINATED);
});

test("an instance restarts under its own id or another", async () => {
  const hub = shared.hub();
  let runs = 0;
  async function counting(ctx, input) {
    return [++runs, input];
  }
  await hub.serve({ orchestrators: [counting] });
  const instance = await hub.start(counting, "in");
  assert.deepEqual(await hub.output(instance), [1, "in"]);
  assert.equal(await hub.client.restartOrchestration(instance), instance);
  assert.deepEqual(await hub.output(instance), [2, "in"]);
  const other = await hub.client.restartOrchestration(instance, true);
  assert.notEqual(other, instance);
  assert.deepEqual(await hub.output(other), [3, "in"]);
});

test("what can not be restarted says why", async () => {
  const hub = shared.hub();
  await hub.serve({ orchestrators: [waiting] });
  await assert.rejects(hub.client.restartOrchestration("nobody"), /was not found/);
  const instance = await hub.start(waiting);
  await hub.client.waitForOrchestrationStart(instance, false, 30);
  await assert.rejects(hub.client.restartOrchestration(instance), /cannot be restarted/);
});

test("a failed instance goes on once its reason is mended", async () => {
  const hub = shared.hub();
  let mended = false;
  const calls = [];
  function fine() {
    calls.push("fine");
    return 1;
  }
  function broken() {
    calls.push("broken");
    if (!mended) throw new Error("broken");
    return 2;
  }
  async function* child(ctx) {
    return yield ctx.callActivity(broken);
  }
  async function* parent(ctx) {
    return [yield ctx.callActivity(fine), yield ctx.callSubOrchestrator(child)];
  }
  await hub.serve({ orchestrators: [parent, child], activities: [fine, broken] });
  const instance = await hub.start(parent);
  assert.equal((await hub.wait(instance)).runtimeStatus, FAILED);
  mended = true;
  await hub.client.rewindInstance(instance, "mended");
  assert.deepEqual(await hub.output(instance), [1, 2]);
  assert.deepEqual(calls, ["fine", "broken", "broken"]);
});

test("what can not be rewound says why", async () => {
  const hub = shared.hub();
  await hub.serve({ orchestrators: [echo] });
  await assert.rejects(hub.client.rewindInstance("nobody", "why not"), /was not found/);
  const instance = await hub.start(echo, 1);
  await hub.output(instance);
  await assert.rejects(hub.client.rewindInstance(instance, "why not"), (error) => {
    assert.ok(error.message.length > 10);
    return true;
  });
});

test("instances are listed by status and in pages", async () => {
  const hub = shared.hub();
  async function fails() {
    throw new Error("on purpose");
  }
  await hub.serve({ orchestrators: [echo, fails, waiting] });
  for (let n = 0; n < 5; n++) await hub.result(echo, n, { instanceId: `echo-${n}` });
  await hub.wait(await hub.start(fails, undefined, { instanceId: "fails" }));
  await hub.start(waiting, undefined, { instanceId: "waiting" });
  const ids = async (query) => {
    const found = [];
    for await (const state of hub.client.getAllInstances(query)) found.push(state.instanceId);
    return found.sort();
  };
  assert.equal((await ids()).length, 7);
  assert.equal((await ids({ pageSize: 2 })).length, 7);
  assert.deepEqual(await ids({ statuses: [FAILED] }), ["fails"]);
  assert.equal((await ids({ instanceIdPrefix: "echo-", pageSize: 2 })).length, 5);
  assert.deepEqual(await ids({ createdFrom: new Date(Date.now() + 3_600_000) }), []);
  const page = await hub.client.listInstanceIds({ pageSize: 4 });
  assert.equal(page.values.length, 4);
  const rest = { pageSize: 4, lastInstanceKey: page.continuationToken };
  assert.deepEqual((await hub.client.listInstanceIds(rest)).values, ["echo-4", "fails"]);
});

test("instances are purged by id and by what they have in common", async () => {
  const hub = shared.hub();
  await hub.serve({ orchestrators: [echo, waiting] });
  const [one, two, running] = [
    await hub.start(echo, 1),
    await hub.start(echo, 2),
    await hub.start(waiting),
  ];
  await hub.output(one);
  await hub.output(two);
  assert.equal((await hub.client.purgeOrchestration(one)).deletedInstanceCount, 1);
  assert.equal((await hub.client.purgeOrchestration(running)).deletedInstanceCount, 0);
  const criteria = new PurgeInstanceCriteria();
  criteria.setRuntimeStatusList([COMPLETED]);
  assert.equal((await hub.client.purgeOrchestration(criteria)).deletedInstanceCount, 1);
  assert.equal(await hub.client.getOrchestrationState(two), undefined);
});

test("a history is read back, and that of nobody is empty", async () => {
  const hub = shared.hub();
  async function* chain(ctx) {
    yield ctx.callActivity(nothing);
  }
  function nothing() {}
  await hub.serve({ orchestrators: [chain], activities: [nothing] });
  const instance = await hub.start(chain);
  await hub.output(instance);
  assert.deepEqual(await hub.eventNames(instance), [
    "OrchestratorStarted",
    "ExecutionStarted",
    "TaskScheduled",
    "OrchestratorStarted",
    "TaskCompleted",
    "ExecutionCompleted",
  ]);
  assert.deepEqual(await hub.client.getOrchestrationHistory("nobody"), []);
});

test("tags and versions of a start are kept", async () => {
  const hub = shared.hub();
  async function version(ctx) {
    return ctx.version;
  }
  await hub.serve({ orchestrators: [version] });
  const tags = { team: "blue" };
  const instance = await hub.start(version, undefined, { tags, version: "1.2" });
  assert.equal(await hub.output(instance), "1.2");
  assert.deepEqual((await hub.wait(instance)).tags, tags);
});

test("what one worker rejects another does", async () => {
  const hub = shared.hub();
  async function version(ctx) {
    return ctx.version;
  }
  const strict = (of) => ({
    orchestrators: [version],
    versioning: {
      version: of,
      matchStrategy: VersionMatchStrategy.Strict,
      failureStrategy: VersionFailureStrategy.Reject,
    },
  });
  await hub.serve(strict("1.0"));
  const instance = await hub.start(version, undefined, { version: "2.0" });
  await hub.serve(strict("2.0"));
  assert.equal(await hub.output(instance), "2.0");
});

test("a worker with filters gets what it has registered", async () => {
  const hub = shared.hub();
  await hub.serve({ orchestrators: [echo], workItemFilters: "auto" });
  const held = await hub.start(waiting);
  assert.equal(await hub.result(echo, 1), 1);
  assert.equal(await hub.status(held), PENDING);
  await hub.serve({ orchestrators: [waiting], workItemFilters: "auto" });
  await hub.client.raiseOrchestrationEvent(held, "go", 2);
  assert.equal(await hub.output(held), 2);
});
