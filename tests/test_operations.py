"""What watches a service: its figures after real work, and the dashboard and alerts over them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.ports import free_port
from tests.speech_samples import speak, write_wav
from tests.workflows.recordings import SENTENCE
from tests.workflows.service import Service, environment, eventually, run_cli, running

DEPLOY = Path(__file__).parents[1] / "deploy"
DASHBOARD = DEPLOY / "grafana" / "proofreel.json"
NAME = re.compile(r"\bproofreel_[a-z0-9_]+")
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed here"
)


def promtool(*args: str, page: str | None = None) -> tuple[int, str]:
    ended = subprocess.run(
        ["promtool", *args],
        input=page,
        stdin=subprocess.DEVNULL if page is None else None,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def values(page: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every sample by its name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def value(page: str, name: str, **labels: str) -> float | None:
    return values(page).get((name, frozenset(labels.items())))


def figures(service: Service) -> str:
    answer = service.client.get("/metrics")
    assert answer.status_code == 200
    return answer.text


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The figures after a job that worked, one that failed, one that was cancelled and a webhook,
    and once more after the worker was killed and had done another.
    """
    folder = tmp_path_factory.mktemp("operations")
    speech = write_wav(folder / "garden.wav", speak(SENTENCE))
    noise = folder / "noise.mp3"
    noise.write_bytes(bytes(5000))
    settings = {"WEBHOOK_URL": "http://127.0.0.1:9/", "PROOFREEL_WEBHOOK_ALLOW_PRIVATE": "1"}
    with running(folder, "serve", **settings) as service:
        service.finished(service.submit(speech))
        service.finished(service.submit(noise), status="failed")
        cancelled = service.submit(speech)
        service.client.post(f"/v1/jobs/{cancelled}/cancel")
        eventually(lambda: "webhook_tried" in service.log.read_text(), what="a webhook")
        service.client.get("/no/such/page")
        eventually(lambda: value(figures(service), RETRIES, outcome="retry"), what="its figure")
        first = figures(service)
        os.kill(service.part("worker").pid, signal.SIGKILL)
        service.finished(service.submit(speech))
        yield first, figures(service)
        assert (folder / "data" / "metrics").is_dir()
    assert not (folder / "data" / "metrics").exists()


RETRIES = "proofreel_webhook_deliveries_total"


def test_web_and_worker_show_their_figures_together(pages: tuple[str, str]) -> None:
    first, _ = pages

    for status in ("completed", "failed", "cancelled"):
        assert value(first, "proofreel_jobs_finished_total", status=status) == 1
        assert value(first, "proofreel_jobs", status=status, stage="none") == 1
    for stage in ("probe", "extract", "silence", "publish"):
        assert (value(first, "proofreel_stage_seconds_count", stage=stage) or 0) >= 1, stage
    assert value(first, "proofreel_stage_seconds_count", stage="scale") == 0
    assert (value(first, "proofreel_realtime_factor_sum") or 0) > 0
    assert value(first, "proofreel_model_loads_total", model="tiny.en") == 1
    assert (value(first, "proofreel_model_load_seconds_sum") or 0) > 0
    labels = {"method": "POST", "route": "/v1/jobs", "status": "202"}
    assert value(first, "proofreel_http_requests_total", **labels) == 3
    labels = {"method": "GET", "route": "none", "status": "404"}
    assert value(first, "proofreel_http_requests_total", **labels) == 1


def test_a_worker_that_died_takes_no_figure_with_it(pages: tuple[str, str]) -> None:
    first, second = pages

    assert value(second, "proofreel_jobs_finished_total", status="completed") == 2
    assert value(second, "proofreel_model_loads_total", model="tiny.en") == 2
    before, after = values(first), values(second)
    for sample, was in before.items():
        if sample[0].endswith(("_total", "_count", "_sum", "_bucket")):
            assert after[sample] >= was, sample


@needs_promtool
def test_promtool_finds_nothing_wrong_with_the_figures(pages: tuple[str, str]) -> None:
    for page in pages:
        assert promtool("check", "metrics", page=page) == (0, "")


def expressions() -> Iterator[tuple[str, str]]:
    """Every query of the dashboard and of the alerts, with where it stands."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for line in (DEPLOY / "prometheus" / "alerts.yml").read_text().splitlines():
        if NAME.search(line):
            yield "alerts", line


def test_dashboard_and_alerts_ask_for_figures_that_there_are(pages: tuple[str, str]) -> None:
    _, page = pages
    there = {name for name, _ in values(page)}

    asked = {(where, name) for where, text in expressions() for name in NAME.findall(text)}
    assert {(where, name) for where, name in asked if name not in there} == set()
    families = {found.name for found in text_string_to_metric_families(page)}
    shown = {name for where, name in asked if where != "alerts"}
    missing = {family for family in families if not any(name.startswith(family) for name in shown)}
    assert missing == set(), "every figure has its panel"


def test_the_dashboard_can_be_imported_anywhere() -> None:
    board: dict[str, Any] = json.loads(DASHBOARD.read_text())
    panels = board["panels"]

    assert [each["name"] for each in board["templating"]["list"]] == ["datasource", "job"]
    assert board["templating"]["list"][0]["type"] == "datasource"
    assert "__inputs" not in board
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert place["x"] + place["w"] <= 24
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert panel["description"].endswith(".")


@needs_promtool
def test_rules_and_the_example_configuration_are_valid_and_do_as_they_say(tmp_path: Path) -> None:
    folder = shutil.copytree(DEPLOY / "prometheus", tmp_path / "prometheus")
    (folder / "proofreel_key").write_text("a key")

    for args in (
        ("check", "config", str(folder / "prometheus.yml")),
        ("check", "rules", str(folder / "alerts.yml")),
        ("test", "rules", str(folder / "alerts_test.yml")),
    ):
        status, said = promtool(*args)
        assert status == 0, said


@needs_promtool
def test_every_query_of_the_dashboard_is_one(tmp_path: Path) -> None:
    queries = [text for where, text in expressions() if where != "alerts"]
    rules = [
        {
            "record": f"query:{n}",
            "expr": text.replace("$__rate_interval", "5m").replace("$job", ".*"),
        }
        for n, text in enumerate(queries)
    ]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))

    status, said = promtool("check", "rules", str(file))

    assert status == 0, said


def test_a_worker_by_itself_offers_its_figures_and_a_taken_port_is_told(tmp_path: Path) -> None:
    port = str(free_port())
    noise = tmp_path / "noise.mp3"
    noise.write_bytes(bytes(5000))
    with (
        running(tmp_path, "web") as web,
        running(tmp_path, "worker", PROOFREEL_METRICS_PORT=port),
    ):
        web.finished(web.submit(noise), status="failed")
        page = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
        of_web = figures(web)
        other = environment(tmp_path / "other", PROOFREEL_METRICS_PORT=port)
        refused = run_cli(other, "worker", timeout_s=30)

    assert value(page, "proofreel_jobs_finished_total", status="failed") == 1
    assert "proofreel_jobs{" not in page, "those are the web half's to count"
    assert value(of_web, "proofreel_jobs_finished_total", status="failed") == 0
    assert value(of_web, "proofreel_jobs", status="failed", stage="none") == 1
    assert refused.returncode == 2
    [line] = [json.loads(line) for line in refused.stderr.splitlines()]
    assert (line["event"], line["code"]) == ("cannot_start", "metrics_address_unusable")
    assert "PROOFREEL_METRICS_PORT" in line["reason"]
