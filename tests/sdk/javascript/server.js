// A taskhub server in a process of its own, which tests may kill and start again.
"use strict";

const { spawn } = require("node:child_process");
const { once } = require("node:events");
const fs = require("node:fs");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");
const { setTimeout: sleep } = require("node:timers/promises");

const STARTS_WITHIN_MS = 20_000;

/** A port of the loopback that nobody listens on. */
async function freePort() {
  const probe = net.createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

function listening(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

/** `taskhub serve` on one folder and one port. */
class Server {
  static async start() {
    const server = new Server();
    server.folder = fs.mkdtempSync(path.join(os.tmpdir(), "taskhub-js-"));
    server.port = await freePort();
    server.address = `127.0.0.1:${server.port}`;
    await server.again();
    return server;
  }

  /** Starts the process and waits until it listens. */
  async again() {
    const data = path.join(this.folder, "data");
    const log = fs.openSync(path.join(this.folder, "server.log"), "a");
    const command = ["serve", "--listen", this.address, "--data", data];
    this.process = spawn(process.env.TASKHUB_BIN, command, { stdio: ["ignore", log, log] });
    this.ended = once(this.process, "exit");
    fs.closeSync(log);
    const deadline = Date.now() + STARTS_WITHIN_MS;
    while (!(await listening(this.port))) {
      if (this.process.exitCode !== null || Date.now() > deadline) {
        throw new Error(`no server\n${this.log()}`);
      }
      await sleep(20);
    }
  }

  /** The end of what the server has said. */
  log() {
    return fs.readFileSync(path.join(this.folder, "server.log"), "utf8").slice(-6000);
  }

  /** Ends the process as a power cut would. */
  async kill() {
    this.process.kill("SIGKILL");
    await this.ended;
  }

  async stop() {
    this.process.kill("SIGTERM");
    const insist = setTimeout(() => this.process.kill("SIGKILL"), 10_000);
    await this.ended;
    clearTimeout(insist);
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

module.exports = { Server };
