"""The runs that tests report on."""

from typing import Any

from analysis.decide.recommendation import choose
from analysis.measure.results import RunResult
from analysis.render.report_figures import report_figures
from analysis.render.summary_json import summary
from tests.support.synthetic_run import Deployed, Server


def summary_of(result: RunResult) -> dict[str, Any]:
    """The content of summary.json; no picture is drawn for it."""
    return summary(result, report_figures(result, choose(result)), "")


SLO: dict[str, Any] = {
    "objectives": [
        {"metric": "ttft", "statistic": "p95", "limit_ms": 250.0},
        {"metric": "e2e", "statistic": "p95", "limit_ms": 6000.0},
    ],
    "error_rate": 0.01,
}
G5 = Deployed(measure_s=120, concurrency=(1, 4, 8))
G6 = Deployed(
    instance_type="ml.g6.xlarge",
    usd_per_hour=0.9,
    server=Server(tpot_ms=24),
    measure_s=120,
    concurrency=(1, 4, 8),
)
