"""What Locust's web page shows beside its own tables: a tab with TTFT, TPOT and tokens per step."""

import json
from collections.abc import Callable
from typing import Any

from flask import Response, request

KEY = "llm"
COLUMNS = {
    "step": "Step",
    "state": "State",
    "ok": "# ok",
    "failed": "# failed",
    "censored": "# censored",
    "ttft_p50_ms": "TTFT p50 (ms)",
    "ttft_p95_ms": "TTFT p95 (ms)",
    "tpot_p50_ms": "TPOT p50 (ms)",
    "e2e_p50_ms": "E2E p50 (ms)",
    "e2e_p95_ms": "E2E p95 (ms)",
    "requests_per_minute": "Requests/min",
    "completion_tokens_per_s": "Completion tokens/s",
}
"""Key → title. Statistics are of the step's last 500 answers."""


def add_tab(web_ui: Any, rows: Callable[[], list[dict[str, Any]]]) -> None:
    """Add the tab to Locust's page; ``rows`` gives its content, one row per step.

    The page polls ``/stats/requests``; Locust's front end takes further tables from ``extended_stats`` in it.
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
