"""Additions to Locust's web page: an LLM tab, a link to the live page, and protection from other origins."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import Response, request

KEY = "llm"
COLUMNS = {
    "step": "Step",
    "state": "State",
    "ok": "# ok",
    "failed": "# failed",
    "censored": "# censored",
    "withheld": "# withheld",
    "arrivals_per_s": "Arrivals/s",
    "ttft_p50_ms": "TTFT p50 (ms)",
    "ttft_p95_ms": "TTFT p95 (ms)",
    "tpot_p50_ms": "TPOT p50 (ms)",
    "e2e_p50_ms": "E2E p50 (ms)",
    "e2e_p95_ms": "E2E p95 (ms)",
    "requests_per_minute": "Requests/min",
    "completion_tokens_per_s": "Completion tokens/s",
}
"""Key → title. Percentiles cover the measure window, or the step's last 500 answers before it opens."""


SCRIPT = "/llm/page.js"
_SCRIPT = """
(function link() {
  if (!PAGE) return;
  const anchor = document.createElement("a");
  anchor.textContent = "Live page";
  anchor.href = PAGE;
  anchor.style.cssText = "position:fixed;right:1em;bottom:1em;z-index:9998;padding:.6em 1em;"
    + "border-radius:.4em;background:#0b5c92;color:#fff;font:600 16px sans-serif;text-decoration:none";
  document.body.prepend(anchor);
})();
new MutationObserver(() => {  // the plan decides what is played
  for (const button of document.querySelectorAll("button")) {
    if (["New", "Edit"].includes(button.textContent)) button.style.display = "none";
  }
}).observe(document.documentElement, { childList: true, subtree: true });
(function watch() {
  const show = text => {
    const banner = document.createElement("div");
    banner.textContent = text;
    banner.setAttribute("role", "status");
    banner.style.cssText = "position:fixed;top:0;left:0;right:0;z-index:9999;padding:.7em;text-align:center;"
      + "background:#fff3cd;color:#332701;font:16px sans-serif";
    document.body.append(banner);
  };
  fetch("stats/requests").then(answer => answer.json()).then(
    content => content.llm_ended === undefined ? setTimeout(watch, 1000) : show(content.llm_ended),
    () => show("Connection lost: the run has ended or was stopped. Its report is in the run folder.")
  );
})();
"""


def refuse_foreign_requests(web_ui: Any, host: str) -> None:
    """Refuse requests that pages of other origins make through a browser on this machine.

    The Host header shows DNS rebinding (a foreign name that resolves to this machine); Origin and
    Sec-Fetch-Site show forms and scripts of other pages.

    Args:
        web_ui: Locust's.
        host: the interface on which it listens.
    """
    own_hosts = {"127.0.0.1", "localhost", "::1", host}

    def refuse_foreign() -> Response | None:
        origin = request.headers.get("Origin")
        try:
            foreign_host = urlsplit(f"//{request.host}").hostname not in own_hosts and host not in _EVERYWHERE
            foreign_page = origin is not None and urlsplit(origin).netloc != request.host
        except ValueError:  # no address at all
            foreign_host = foreign_page = True
        fetched = request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
        visited = request.method == "GET" and request.headers.get("Sec-Fetch-Mode") == "navigate"
        if foreign_host or foreign_page or (fetched and not visited):
            return Response("Refused: this request comes from another origin.\n", 403, mimetype="text/plain")
        return None

    web_ui.app.before_request(refuse_foreign)


_EVERYWHERE = frozenset({"", "*", "0.0.0.0", "::"})  # noqa: S104 - any name of this machine is then valid


def add_page_script(web_ui: Any, ended: Callable[[], str | None], page: str) -> None:
    """Add a link to the live page, and a banner when the load has ended: Locust's page would just freeze.

    Its buttons New and Edit are hidden, and what they ask for is refused: the plan decides what is played.

    Args:
        web_ui: Locust's.
        ended: gives the banner's text; None while the run continues.
        page: URL of the live page; empty without one.
    """

    def script() -> Response:
        return Response(f"const PAGE = {json.dumps(page)};{_SCRIPT}", mimetype="text/javascript")

    def refuse_start() -> Response | None:
        if request.method == "POST" and request.path.endswith("/swarm"):
            return Response("Refused: the plan decides what is played.\n", 403, mimetype="text/plain")
        return None

    def extend(response: Response) -> Response:
        if request.path == "/" and response.mimetype == "text/html" and response.status_code == 200:
            tag = f'<script src="{SCRIPT}" defer></script></body>'
            response.set_data(response.get_data(as_text=True).replace("</body>", tag, 1))
        elif request.path.endswith("/stats/requests") and response.status_code == 200:
            message = ended()
            if message is not None:
                response.set_data(json.dumps(json.loads(response.get_data()) | {"llm_ended": message}))
        return response

    web_ui.app.add_url_rule(SCRIPT, "llm_page_script", script)
    web_ui.app.before_request(refuse_start)
    web_ui.app.after_request(extend)


def add_tab(web_ui: Any, rows: Callable[[], list[dict[str, Any]]]) -> None:
    """Add the tab to Locust's page.

    The page polls ``/stats/requests``; Locust's front end reads further tables from ``extended_stats`` in it.

    Args:
        web_ui: Locust's.
        rows: gives the content, one row per step.
    """
    arguments = web_ui.template_args
    arguments["extended_tabs"] = [{"title": "LLM", "key": KEY}]
    structure = [{"key": key, "title": title} for key, title in COLUMNS.items()]
    arguments["extended_tables"] = [{"key": KEY, "structure": structure}]

    def extend(response: Response) -> Response:
        if request.path.endswith("/stats/requests") and response.status_code == 200:
            content = json.loads(response.get_data())
            content["extended_stats"] = [{"key": KEY, "data": rows()}]
            response.set_data(json.dumps(content))
        return response

    web_ui.app.after_request(extend)
