"""What the pages show to newcomers works: their shell commands run as they stand there."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from server import Weather

pytestmark = [pytest.mark.beyond_memory, pytest.mark.timeout(120)]

DOCS = Path(__file__).parents[3] / "docs"

PRELUDE = """
set -eu
codes=$PWD/codes
curl() {
    code=$(command curl -sS -o "$PWD/body" -w '%{http_code}' "$@")
    for word in "$@"; do
        case $word in http*) printf '%s %s\\n' "$code" "$word" >> "$codes" ;; esac
    done
    cat "$PWD/body"
}
taskhub() { "$TASKHUB_BIN" "$@"; }
"""
"""Notes the code of every answer; the rest of a command is as it was."""

SETTLE = "\nsleep 1.5\n"
"""Running servers take a change of the keys within a second."""

ABSENT = ("/entities/counter/apples", "createdTimeTo=2024-12-31")
"""What the weather example has not: entities, and instances of that year."""


def shell_blocks(page: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", (DOCS / page).read_text(), re.M | re.S)


def test_the_commands_of_the_page_on_http_work(tmp_path):
    weather = Weather(tmp_path)
    try:
        blocks = [block for block in shell_blocks("http.md") if not block.startswith("cargo run")]
        script = PRELUDE
        for block in blocks:
            block = block.replace("127.0.0.1:7071", weather.address)
            block = block.replace("weather-data", str(tmp_path / "data"))
            script += block + (SETTLE if "taskhub keys" in block else "")
        done = subprocess.run(
            ["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, env=os.environ
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr
        answers = (tmp_path / "codes").read_text().splitlines()
        assert len(answers) == sum(len(re.findall(r"^\s*curl ", it, re.M)) for it in blocks)
        for answer in answers:
            expected = ("404",) if any(it in answer for it in ABSENT) else ("200", "202")
            assert answer.startswith((*expected, "202")), answer
    finally:
        weather.stop()
