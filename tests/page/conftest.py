# SPDX-License-Identifier: Apache-2.0
"""A real Chromium for the web page: Debian's, driven by Playwright; a screenshot of each test is kept as an artefact."""
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))

from fleet_fixtures import fleet, folder, origin, pytest_runtest_makereport, servers  # noqa: E402, F401
from playwright.sync_api import sync_playwright  # noqa: E402

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run"]
SHOTS = Path(os.environ.get("PAGE_SHOTS", "page-shots")).resolve()


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, request):
    """A page whose every error on the console, and every request to another host, fails the test."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = context.new_page()
    page.set_default_timeout(30000)
    page.complaints, page.expected = [], []
    page.on("console", lambda message: message.type == "error" and page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda sent: page.complaints.append("left the server: " + sent.url)
            if not sent.url.startswith(("http://127.0.0.1:", "blob:", "data:")) else None)
    yield page
    page.screenshot(path=SHOTS / (request.node.name + ".png"), full_page=True)
    context.close()
    complaints = [text for text in page.complaints if not any(word in text for word in page.expected)]
    assert not complaints, complaints
