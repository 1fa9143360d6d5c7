"""What the pages show to newcomers works: their shell commands run as they stand there.

The pages on databases and clusters are run by `crates/taskhub-server/tests/cli/pages.rs`, and
`tests/docs/unrun.txt` lists what nobody runs; the tidy test finds what is in neither.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hub import Hub
from server import Server, free_port

pytestmark = [pytest.mark.beyond_memory, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[3]

PRELUDE = r"""
set -eu
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
home=$PWD
# serve PROGRAM [ARGUMENT..]: lets it run, instead of the one before at the same address.
serve() {
    words="$* "
    case $words in
        *--listen*) address=${words##*--listen }; address=${address%% *} ;;
        *) address=$ADDRESS; set -- "$@" --listen "$ADDRESS" ;;
    esac
    case "$*" in *" serve --listen $ADDRESS") set -- "$@" --listen "$SECOND" ;; esac
    pid=$home/${address/:/-}.pid
    if [ -f "$pid" ]; then kill "$(cat "$pid")"; wait "$(cat "$pid")" || true; fi
    "$@" >> "$home/log" 2>&1 &
    echo $! > "$pid"
    until (exec 3<> "/dev/tcp/${address/://}") 2>> /dev/null; do
        kill -0 $! 2>> /dev/null || { cat "$home/log" >&2; exit 1; }
        sleep 0.05
    done
}
taskhub() {
    case $1 in serve) serve "$TASKHUB_BIN" "$@" ;; *) "$TASKHUB_BIN" "$@" ;; esac
    # Running servers take a change of the keys within a second.
    case $1 in keys) sleep 1.5 ;; esac
}
# A program is built already.
cargo() {
    case " $* " in
        *" install "*) return ;;
        *" -p weather "*) program=$WEATHER_BIN ;;
        *" --bin taskhub "*) program=$TASKHUB_BIN ;;
    esac
    while [ $# -gt 0 ] && [ "$1" != -- ]; do shift; done
    [ $# = 0 ] || shift
    serve "$program" "$@"
}
# Notes the code of every answer; the rest of a command is as it was.
curl() {
    code=$(command curl -sS -o "$home/body" -w '%{http_code}' "$@")
    for word in "$@"; do
        case $word in http*) printf '%s %s\n' "$code" "$word" >> "$home/codes" ;; esac
    done
    cat "$home/body"
}
"""

ABSENT = ("/entities/counter/apples", "createdTimeTo=2024-12-31")
"""What the weather example has not: entities, and instances of that year."""


def shell_blocks(page: str) -> list[str]:
    """The blocks of a page, but for those that are listed as not run."""
    path = ROOT / page if page == "README.md" else ROOT / "docs" / page
    listed = (ROOT / "tests" / "docs" / "unrun.txt").read_text().splitlines()
    unrun = [start for on, start, _ in (line.split(" | ") for line in listed) if on == page]
    blocks = re.findall(r"^```sh\n(.*?)^```", path.read_text(), re.M | re.S)
    return [block for block in blocks if not any(block.startswith(start) for start in unrun)]


class Reader:
    """A person with a shell who does what a page says, in a folder of their own."""

    def __init__(self, folder: Path):
        self.folder = folder
        ports = {page: str(free_port()) for page in ("7071", "7072", "7073", "4001")}
        self.ports = ports
        self.env = {
            **{name: value for name, value in os.environ.items() if name != "TASKHUB_STORE"},
            "ADDRESS": f"127.0.0.1:{ports['7071']}",
            "SECOND": f"127.0.0.1:{ports['4001']}",
            "NODE_PATH": str(ROOT / "target/sdk/javascript/node_modules"),
        }

    def here(self, text: str) -> str:
        """The text with free ports instead of those that everybody has."""
        return re.sub(r"\b(?:707[123]|4001)\b", lambda port: self.ports[port[0]], text)

    def follow(self, page: str) -> str:
        """Runs all blocks of a page, one after the other; what they print."""
        blocks = shell_blocks(page)
        assert blocks, "the page has blocks"
        done = subprocess.run(
            ["bash", "-c", PRELUDE + self.here("".join(blocks))],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self.env,
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr
        codes = self.folder / "codes"
        answers = codes.read_text().splitlines() if codes.exists() else []
        assert len(answers) == sum(len(re.findall(r"^\s*curl ", it, re.M)) for it in blocks)
        for answer in answers:
            expected = ("404",) if any(it in answer for it in ABSENT) else ("200",)
            assert answer.startswith((*expected, "202")), answer
        return done.stdout

    def with_program(self, path: str) -> None:
        """Has a program of the examples in its folder."""
        source = ROOT / "examples" / "sdks" / path
        (self.folder / source.name).write_text(self.here(source.read_text()))

    def with_hub(self) -> None:
        """Has the folder of a hub, as an application leaves it."""
        server = Server(self.folder / "before")
        hub = Hub(server.address, "default")
        hub.client.schedule_new_orchestration("weather", instance_id="berlin-1")
        hub.close()
        server.stop()
        shutil.move(self.folder / "before" / "data" / "default", self.folder / "weather.hub")


@pytest.fixture
def reader(tmp_path):
    return Reader(tmp_path)


@pytest.mark.parametrize("page", ["README.md", "http.md", "server.md", "sdks.md", "endpoints.md"])
def test_the_commands_of_a_page_work(reader, page):
    reader.follow(page)


def test_the_commands_of_the_page_on_the_command_line_work(reader, own_server, ending):
    (reader.folder / "orders.json").write_text("[17]")
    reader.env["TASKHUB_SERVER"] = f"http://{own_server.address}"
    hub = Hub(own_server.address, "default")

    def greet(ctx, name):
        return f"Hello, {name}!"

    def imports(ctx, orders):
        raise ValueError("no good")

    imports.__name__ = "import"
    hub.serve(greet, imports)
    said = reader.follow("cli.md")
    ending.extend(hub.close())
    assert "Hello, world!" in said


@pytest.mark.parametrize("page", ["operating.md", "triggers.md"])
def test_what_pages_look_up_in_the_file_of_a_hub_is_there(reader, page):
    reader.with_hub()
    said = reader.follow(page)
    assert ("berlin-1" in said) == (page == "operating.md")


@pytest.mark.parametrize(
    "page, program",
    [("sdk-python.md", "python/orders.py"), ("sdk-javascript.md", "javascript/orders.js")],
)
def test_the_first_program_of_an_sdk_prints_what_its_page_says(reader, page, program):
    (reader.folder / "venv").symlink_to(sys.prefix)
    server = Server(reader.folder / "server")
    reader.ports["4001"] = server.address.rpartition(":")[2]
    reader.with_program(program)
    said = reader.follow(page)
    server.stop()
    printed = re.search(r"^```text\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.M | re.S)
    assert printed[1] in said
