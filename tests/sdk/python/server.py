"""A taskhub server in a process of its own, which tests may kill and start again."""

import os
import socket
import subprocess
import time
from pathlib import Path

STARTS_WITHIN = 20.0
"""Seconds until a server that does not listen is given up."""


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`taskhub serve` on one folder and one port, for as long as the test likes."""

    def __init__(self, folder: Path, *arguments: str):
        folder.mkdir(parents=True, exist_ok=True)
        self.address = f"127.0.0.1:{free_port()}"
        self.log = folder / "server.log"
        self._folder = folder
        self._arguments = arguments
        self._process: subprocess.Popen | None = None
        self.start()

    def start(self) -> None:
        """Starts the process and waits until it listens."""
        where = ["--listen", self.address, "--data", str(self._folder / "data")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.program(), *where, *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_until_it_listens()

    def program(self) -> list[str]:
        """The program and its command."""
        return [os.environ["TASKHUB_BIN"], "serve"]

    def kill(self) -> None:
        """Ends the process as a power cut would: `kill -9`."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Kills the process and starts another one on the same folder and port."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """Asks the process to end, and insists after a while."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def _wait_until_it_listens(self) -> None:
        host, port = self.address.split(":")
        deadline = time.monotonic() + STARTS_WITHIN
        while True:
            try:
                socket.create_connection((host, int(port))).close()
                return
            except ConnectionRefusedError:
                ended = self._process.poll()
                if ended is not None or time.monotonic() > deadline:
                    log = self.log.read_text(errors="replace")[-4000:]
                    raise AssertionError(f"no server ({ended=})\n{log}") from None
            time.sleep(0.02)


class Weather(Server):
    """The weather example: an application with a hub and routes of its own."""

    def program(self) -> list[str]:
        return [os.environ["WEATHER_BIN"]]
