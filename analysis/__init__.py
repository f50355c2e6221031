"""From a run folder to an answer: metrics, cost, trust, recommendation, and the pages that show them.

Stands on ``configs`` and ``runfolder`` only; imports neither Locust nor gevent nor boto3, so a report can be
made years later from a run folder alone. ``make_report`` is the way in; `metrics` holds the definitions.
"""

from analysis.report import Report, make_report

__all__ = ["Report", "make_report"]
