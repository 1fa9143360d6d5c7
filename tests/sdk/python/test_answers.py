"""What the page on HTTP shows as an answer is what its command is answered with."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from server import Weather

pytestmark = [pytest.mark.beyond_memory, pytest.mark.timeout(120)]

PAGE = Path(__file__).parents[3] / "docs" / "http.md"

PRELUDE = """
set -eu
curl() { command curl -sS -o body "$@"; }
taskhub() { "$TASKHUB_BIN" "$@"; }
"""
"""The last answer of all stays in a file."""

TIME = re.compile(r'"20\d\d-\d\d-\d\dT[0-9:]+Z"')


def read(answer: str) -> object:
    """An answer without its head and its times."""
    body = answer.split("\n\n")[-1]
    return json.loads(TIME.sub('"TIME"', body))


def test_the_answers_that_the_page_shows_are_those_that_come(tmp_path):
    blocks = re.findall(r"^```(sh|json)\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    shown = [text for kind, text in blocks if kind == "json"]
    assert len(shown) >= 4
    weather = Weather(tmp_path)
    script, number = PRELUDE, 0
    for kind, text in blocks:
        if kind == "json":
            script += f"cp body answer-{number}\n"
            number += 1
        elif "taskhub keys" not in text and not text.startswith("cargo run"):
            script += text.replace("127.0.0.1:7071", weather.address)
    try:
        done = subprocess.run(
            ["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, env=os.environ
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    finally:
        weather.stop()
    for number, expected in enumerate(shown):
        answer = (tmp_path / f"answer-{number}").read_text()
        expected = expected.replace("127.0.0.1:7071", weather.address)
        assert read(answer) == read(expected), answer
