// One task hub as the users of the SDK see it: the SDK's own client and workers.
"use strict";

const assert = require("node:assert/strict");
const { randomUUID } = require("node:crypto");
const { after, afterEach, before } = require("node:test");
const { setTimeout: sleep } = require("node:timers/promises");

const grpc = require("@grpc/grpc-js");
const {
  NoOpLogger,
  OrchestrationStatus,
  TaskHubGrpcClient,
  TaskHubGrpcWorker,
} = require("@microsoft/durabletask-js");

const { Server } = require("./server.js");

const PATIENCE_S = 60;

/** Asks again and again, for what no call of the SDK can wait for. */
async function eventually(holds) {
  const deadline = Date.now() + PATIENCE_S * 1000;
  for (;;) {
    const answer = await holds();
    if (answer) return answer;
    assert.ok(Date.now() < deadline, "it did not come about in time");
    await sleep(20);
  }
}

class Hub {
  constructor(address) {
    this.name = `test-${randomUUID().slice(0, 12)}`;
    this.options = {
      hostAddress: address,
      logger: new NoOpLogger(),
      metadataGenerator: async () => {
        const metadata = new grpc.Metadata();
        metadata.set("taskhub", this.name);
        return metadata;
      },
    };
    this.client = new TaskHubGrpcClient(this.options);
    this.workers = [];
  }

  /** Starts a worker that knows these functions, each under its own name. */
  async serve({ orchestrators = [], activities = [], entities = {}, ...options }) {
    const worker = new TaskHubGrpcWorker({ ...this.options, ...options });
    orchestrators.forEach((it) => worker.addOrchestrator(it));
    activities.forEach((it) => worker.addActivity(it));
    Object.entries(entities).forEach(([name, it]) => worker.addNamedEntity(name, () => new it()));
    await worker.start();
    this.workers.push(worker);
    return worker;
  }

  start(orchestrator, input, options) {
    return this.client.scheduleNewOrchestration(orchestrator, input, options);
  }

  /** The state of an instance once it has ended. */
  async wait(instance) {
    const state = await this.client.waitForOrchestrationCompletion(instance, true, PATIENCE_S);
    assert.ok(state, `${instance} is not known`);
    return state;
  }

  /** What an instance gave, once it has completed. */
  async output(instance) {
    const state = await this.wait(instance);
    const why = state.failureDetails?.message;
    assert.equal(state.runtimeStatus, OrchestrationStatus.COMPLETED, why);
    const output = state.serializedOutput;
    return output ? JSON.parse(output) : undefined;
  }

  /** What a new instance gave, once it has completed. */
  async result(orchestrator, input, options) {
    return this.output(await this.start(orchestrator, input, options));
  }

  /** Why a new instance failed, once it has. */
  async failure(orchestrator, input, options) {
    const state = await this.wait(await this.start(orchestrator, input, options));
    assert.equal(state.runtimeStatus, OrchestrationStatus.FAILED);
    return state.failureDetails;
  }

  async status(instance) {
    return (await this.client.getOrchestrationState(instance)).runtimeStatus;
  }

  /** The history of an instance, as the names of its events. */
  async eventNames(instance) {
    const events = await this.client.getOrchestrationHistory(instance);
    return events.map((event) => event.type);
  }

  /** Ends all that is open; the SDK takes a second for each. */
  close() {
    return Promise.all([...this.workers.map((it) => it.stop()), this.client.stop()]);
  }
}

/** A server for a file of tests, and a way to get a hub of its own for each. */
function withServer() {
  const hubs = [];
  const closing = [];
  const shared = {
    hub() {
      hubs.push(new Hub(shared.server.address));
      return hubs.at(-1);
    },
  };
  before(async () => {
    shared.server = await Server.start();
  });
  afterEach(() => {
    // In the background: to await it here would make every test a second longer.
    closing.push(...hubs.splice(0).map((hub) => hub.close().catch(() => {})));
  });
  after(async () => {
    await Promise.all(closing);
    await shared.server.stop();
  });
  return shared;
}

module.exports = { Hub, eventually, withServer };
