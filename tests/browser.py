"""Fixtures: the built site, served on this machine, and a browser that counts what goes wrong."""

import http.server
import os
import shutil
import threading
from functools import partial
from pathlib import Path

import pytest

SITE = Path(os.environ.get("D2L_RMSPROP_SITE") or Path(__file__).parents[1] / "build" / "site")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@pytest.fixture(scope="session")
def site():
    """The folder of the built site."""
    if not (SITE / "index.html").is_file():
        pytest.skip(f"no site in {SITE}: build it with python docs/build.py")
    return SITE


@pytest.fixture(scope="session")
def served(site):
    """The site's address, ending in a slash."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = partial(Handler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, one for all tests."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the PATH")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=QUIET.split())
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, served):
    """Return ``open_page(path, **options)``: a page in a new context with Playwright's options.

    Its list ``responses`` takes every answer. Its list ``errors`` takes what the console reports
    and each request that fails or leaves the site; the test fails if it ends with one there.
    """
    pages = []

    def open_page(path="", **options):
        page = browser.new_context(reduced_motion="reduce", **options).new_page()
        page.set_default_timeout(10_000)
        page.responses, page.errors = [], []
        pages.append(page)

        def asked(request):
            if not request.url.startswith((served, "file:", "data:", "blob:")):
                page.errors.append(f"a request to {request.url}")

        def failed(request):
            if request.failure != "net::ERR_ABORTED":  # by the next page
                page.errors.append(f"{request.failure}: {request.url}")

        def said(message):
            if message.type == "error":
                page.errors.append(message.text)

        page.on("request", asked)
        page.on("requestfailed", failed)
        page.on("response", lambda response: page.responses.append(response))
        page.on("console", said)
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.goto(path if "://" in path else served + path)
        return page

    yield open_page
    errors = [error for page in pages for error in page.errors]
    for page in pages:
        page.context.close()
    assert errors == []
