"""The OpenAPI documents are valid, and the servers keep what they say."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from hub import Hub
from server import Server, Weather

pytestmark = [pytest.mark.beyond_memory, pytest.mark.timeout(240)]

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]
"""What Durable Functions promises too. Whether bad requests are refused is not among it: what
cannot be read in a query is ignored there, and so it is here."""

EXAMPLES = 12
"""Requests per operation, beside those at the limits of each parameter."""


def fetched(server: Server, path: str) -> str:
    with urllib.request.urlopen(f"http://{server.address}{path}") as answer:
        return answer.read().decode()


def keeps_its_word(server: Server, folder: Path, *further: str) -> None:
    """Sends generated requests, the same at every run, and compares the answers."""
    options = {
        "--checks": ",".join(CHECKS),
        "--phases": "examples,coverage,fuzzing",
        "--max-examples": str(EXAMPLES),
        "--request-timeout": "20",
        "--wait-for-schema": "10",
        "--warnings": "off",
    }
    words = [word for option in options.items() for word in option]
    program = [sys.executable, "-m", "schemathesis.cli"]
    config = ["--config-file", str(Path(__file__).with_name("schemathesis.toml"))]
    document = f"http://{server.address}/openapi.json"
    run = [*program, *config, "run", document, "--generation-deterministic", "--no-color"]
    done = subprocess.run([*run, *words, *further], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.fixture
def weather(tmp_path):
    weather = Weather(tmp_path, "--pretend-backend", "5")
    yield weather
    weather.stop()


def test_the_documents_are_valid_and_the_same_in_both_forms(own_server: Server, weather: Weather):
    for server in (own_server, weather):
        document = json.loads(fetched(server, "/openapi.json"))
        validate(document, cls=OpenAPIV31SpecValidator)
        assert yaml.safe_load(fetched(server, "/openapi.yaml")) == document


def test_the_page_for_people_asks_no_other_host(own_server: Server):
    page = fetched(own_server, "/swagger/") + fetched(own_server, "/swagger/swagger-initializer.js")
    assert "SwaggerUIBundle" in page
    assert "://" not in page


def test_the_server_keeps_what_its_document_says(own_server: Server, tmp_path):
    def echo(ctx, it):
        return it

    def wait(ctx, _):
        return (yield ctx.wait_for_external_event("go"))

    def fail(ctx, _):
        raise ValueError("it fails")

    default = Hub(own_server.address, "default")
    try:
        default.serve(echo, wait, fail)
        for number, code in enumerate([echo, wait, fail] * 2):
            default.start(code, number, instance_id=f"known-{number}")
        keeps_its_word(own_server, tmp_path)
    finally:
        default.close()


def test_an_application_keeps_what_its_document_says(weather: Weather, tmp_path):
    document = json.loads(fetched(weather, "/openapi.json"))
    assert "/api/weather" in document["paths"]
    keeps_its_word(weather, tmp_path)


def test_with_keys_the_server_keeps_what_its_document_says(tmp_path):
    """Whoever has a key is answered as before, and whoever has none with 401."""
    make = [os.environ["TASKHUB_BIN"], "keys", "create", "--data", str(tmp_path / "data")]
    key = subprocess.run(make, check=True, capture_output=True, text=True).stdout.strip()
    server = Server(tmp_path)
    try:
        only = ["--include-path-regex", "instances|entities"]
        keeps_its_word(server, tmp_path, *only, "--header", f"x-functions-key: {key}")
        turned_away = ["--phases", "examples,coverage"]
        keeps_its_word(server, tmp_path, *turned_away, "--header", "x-functions-key: wrong")
    finally:
        server.stop()
