"""A website on loopback, for homeservers to make previews of."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def website(picture: bytes) -> Iterator[str]:
    """A page with a picture on loopback; the address of the page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            page = b'<html><head><title>A page</title><meta property="og:image" content="/picture.png"></head></html>'
            is_picture = self.path == "/picture.png"
            self.send_response(200)
            self.send_header("Content-Type", "image/png" if is_picture else "text/html")
            self.end_headers()
            self.wfile.write(picture if is_picture else page)

        def log_message(self, *_arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
