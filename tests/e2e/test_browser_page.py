"""A web page of a real browser against the endpoint for programs: it reads nothing and starts nothing.

Where Chromium or Chrome is installed, as on the machines of CI; `test_serve.py` sends what browsers send everywhere.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from tests.e2e.program import LIMIT, qvac_desktop, run
from tests.e2e.test_serve import NOBODY, free_port

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome here")

# Each way in which a page may try; what came of it is told to the page's own server.
PAGE = """<!doctype html><meta charset="utf-8"><title>page</title><script>
const api = 'API', token = new URLSearchParams(location.search).get('token') || '';
const body = JSON.stringify({model: 'x', messages: [{role: 'user', content: 'hi'}]});
const key = {authorization: 'Bearer ' + token};
async function tried(url, options) {
  try {
    const reply = await fetch(url, options);
    return reply.type + ' ' + reply.status + ' ' + (await reply.text()).slice(0, 40);
  } catch (error) { return 'refused'; }
}
const loaded = (tag, url) => new Promise(done => {
  const made = document.createElement(tag);
  made.onload = () => done('loaded'); made.onerror = () => done('refused');
  made.src = url; document.body.append(made);
});
(async () => {
  const out = {
    get: await tried(api + '/models'),
    health: await tried(api.replace('/v1', '') + '/health'),
    withToken: await tried(api + '/models', {headers: key}),
    post: await tried(api + '/chat/completions', {method: 'POST', headers: {'content-type': 'application/json'}, body}),
    plain: await tried(api + '/chat/completions', {method: 'POST', headers: {'content-type': 'text/plain'}, body}),
    unread: await tried(api + '/chat/completions', {method: 'POST', mode: 'no-cors', body}),
    script: await loaded('script', api + '/models'),
    picture: await loaded('img', api + '/models'),
    socket: await new Promise(done => {
      const socket = new WebSocket(api.replace('http', 'ws') + '/chat/completions');
      socket.onopen = () => done('open'); socket.onerror = () => done('refused');
    }),
  };
  fetch('/told', {method: 'POST', body: JSON.stringify(out)});
})();
</script>"""


@dataclass(frozen=True)
class Page:
    """A web server of this machine that has the page and nothing else."""

    port: int
    told: queue.Queue[dict[str, str]]

    def outcomes(self, profile: Path, token: str) -> dict[str, str]:
        """What a browser that opens it with this token comes to."""
        browser = subprocess.Popen(command(profile, f"http://127.0.0.1:{self.port}/?token={token}"), stderr=PIPE)
        try:
            return self.told.get(timeout=LIMIT)
        finally:
            browser.terminate()
            browser.communicate()


@contextlib.contextmanager
def page(api: str) -> Iterator[Page]:
    told: queue.Queue[dict[str, str]] = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(PAGE.replace("API", api).encode())

        def do_POST(self) -> None:
            told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer(b"")

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Page(server.server_address[1], told)
        server.shutdown()
        thread.join()


def command(profile: Path, url: str, *options: str) -> list[str]:
    assert BROWSER is not None
    alone = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--no-proxy-server"]
    quiet = ["--disable-background-networking", "--no-first-run", "--disable-dev-shm-usage"]
    return [BROWSER, *alone, *quiet, *options, url]


def document(profile: Path, url: str, *options: str) -> str:
    """As the browser shows it."""
    asked = command(profile, url, "--dump-dom", *options)
    return subprocess.run(asked, capture_output=True, text=True, timeout=LIMIT, check=True).stdout


def test_a_page_of_a_real_browser_gets_nothing_and_a_named_one_what_its_token_gives(tmp_path: Path) -> None:
    port = free_port()
    api = f"http://127.0.0.1:{port}/v1"
    with page(api) as stranger, page(api) as friend:
        allowed = ("--allow-origin", f"http://127.0.0.1:{friend.port}")
        with qvac_desktop(
            "serve", "--json", "--http-port", str(port), "--bootstrap", NOBODY, *allowed, data_dir=tmp_path / "data"
        ) as program:
            program.until("ready")
            token = run("serve", "--token", "--data-dir", str(tmp_path / "data")).stdout.strip()

            strange = stranger.outcomes(tmp_path / "a", token)
            assert strange.pop("unread") == "opaque 0 ", "a page may send such a request, and learns nothing"
            assert set(strange.values()) == {"refused"}, strange

            known = friend.outcomes(tmp_path / "b", token)
            assert known["withToken"].startswith("cors 200 "), known
            assert known["get"].startswith("cors 401 "), "without the token a page that is named gets nothing either"
            assert known["post"].startswith("cors 401 ")

            # A name that was bound to this machine: the page's own origin, for the browser.
            bound = document(
                tmp_path / "c", f"http://evil.example:{port}/v1/models", "--host-resolver-rules=MAP * 127.0.0.1"
            )
            assert "error" in bound
            assert '"data"' not in bound
            program.interrupt()
            program.finish()
            calls = program.of("call")
            assert {call["outcome"] for call in calls} == {"refused"}, calls
            assert f"http://127.0.0.1:{stranger.port}" in {call["origin"] for call in calls}, "its owner sees who tried"
