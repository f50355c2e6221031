"""From a run folder to an answer: metrics, cost, trust, recommendation, and the pages that show them.

Imports only `common`, `configs` and `runfolder`, and neither Locust nor gevent nor boto3, so a report can be
made years later from a run folder alone. `make_report` is the entry point. From the top: `render`,
`importers`, `decide`, `measure`, `metrics`; each imports only those after it.
"""

from analysis.report import Report, make_report

__all__ = ["Report", "make_report"]
