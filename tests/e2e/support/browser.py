"""Chromium with one page open, whose origin is none of the servers that it talks to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from .processes import REPOSITORY, executable

PAGE = REPOSITORY / "tests" / "e2e" / "js" / "page.html"

# No window, no sandbox (which root cannot have), and no conversations of its own with anybody.
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        # The strictest a web client can be: what has no Cross-Origin-Resource-Policy is not shown.
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.end_headers()
        self.wfile.write(PAGE.read_bytes())

    def log_message(self, *_arguments) -> None:
        """Nothing."""


@contextmanager
def _page() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Browser:
    def __init__(self, driver: webdriver.Chrome):
        self.driver = driver

    def call(self, function: str, argument) -> dict:
        """What a function of the page resolves to."""
        script = f"const done = arguments[1]; {function}(arguments[0]).then(done, (error) => done({{failed: String(error)}}))"
        return self.driver.execute_async_script(script, argument)


@contextmanager
def browser(directory: Path) -> Iterator[Browser]:
    """`directory` takes the profile, which is new."""
    options = Options()
    options.binary_location = executable("chromium")
    options.accept_insecure_certs = True
    for flag in [*_FLAGS, f"--user-data-dir={directory / 'profile'}"]:
        options.add_argument(flag)
    directory.mkdir(parents=True)
    service = Service(executable("chromedriver"), log_output=str(directory / "chromedriver.out"))
    with _page() as address:
        driver = webdriver.Chrome(options=options, service=service)
        try:
            driver.set_script_timeout(60)
            driver.get(address)
            yield Browser(driver)
        finally:
            driver.quit()
