"""MLflow's web pages through the gateway, in a browser that adds the key to each request."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from conftest import Start
from playwright.sync_api import Response, expect, sync_playwright
from test_mlflow import Gateway
from tracking import TrackingServer, client

BROWSER = "/usr/bin/chromium"
PATIENCE_MILLIS = 120_000
# What the pages ask for that makes the server itself do something, and what only MLflow's own accounts have.
OFF = {
    (404, "/ajax-api/3.0/mlflow/assistant/config"),
    (404, "/ajax-api/3.0/mlflow/assistant/providers"),
    (404, "/ajax-api/2.0/mlflow/users/current"),
}


def test_the_web_pages_show_experiments_charts_and_models(
    start: Start, tracking: TrackingServer, tmp_path: Path
) -> None:
    gateway = Gateway(start, tracking, tmp_path)
    known = client("screens.py", gateway.url, gateway.key("mlflow:access"))
    key = gateway.key("mlflow:read")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page(extra_http_headers={"X-API-Key": key}, viewport={"width": 1400, "height": 900})
        refused: set[tuple[int, str]] = set()

        def note(answer: Response) -> None:
            if answer.status >= 400:
                refused.add((answer.status, urlsplit(answer.url).path))

        page.on("response", note)
        page.set_default_timeout(PATIENCE_MILLIS)
        page.goto(f"{gateway.url}/#/experiments")
        expect(page.get_by_text(known["name"]).first).to_be_visible(timeout=PATIENCE_MILLIS)
        page.screenshot(path=tmp_path / "experiments.png")
        page.goto(f"{gateway.url}/#/experiments/{known['experiment']}/runs/{known['run']}/model-metrics")
        expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=PATIENCE_MILLIS)
        page.screenshot(path=tmp_path / "chart.png")
        page.goto(f"{gateway.url}/#/models")
        expect(page.get_by_text(known["name"]).first).to_be_visible(timeout=PATIENCE_MILLIS)
        page.screenshot(path=tmp_path / "models.png")
        browser.close()
    for name in ["experiments", "chart", "models"]:
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    assert refused == OFF
