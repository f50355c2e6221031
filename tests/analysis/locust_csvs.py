"""Locust's CSV files for tests: made by hand, or by Locust itself."""

import csv
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_PERCENTILES = ["50%", "66%", "75%", "80%", "90%", "95%", "98%", "99%", "99.9%", "99.99%", "100%"]
_SIZES = ["Min Response Time", "Max Response Time", "Average Content Size"]
STATS = ["Type", "Name", "Request Count", "Failure Count", "Median Response Time", "Average Response Time"]
STATS += [*_SIZES, "Requests/s", "Failures/s", *_PERCENTILES]
HISTORY = ["Timestamp", "User Count", "Type", "Name", "Requests/s", "Failures/s", *_PERCENTILES]
HISTORY += ["Total Request Count", "Total Failure Count", "Total Median Response Time"]
HISTORY += ["Total Average Response Time", *(f"Total {name}" for name in _SIZES)]
FAILURES = ["Method", "Name", "Error", "Occurrences", "First Seen", "Last Seen"]
START = 1_700_000_000

_LOCUSTFILE = """
import csv
import gevent
import locust.stats
from locust import User, constant, events, task

locust.stats.CSV_STATS_INTERVAL_SEC = 0.2
locust.stats.CSV_STATS_FLUSH_INTERVAL_SEC = 0

@events.test_start.add_listener
def end_when_the_history_has_rows(environment, **_):
    def seconds():
        with open("real_stats_history.csv") as file:
            rows = list(csv.DictReader(file))
        busy = [row for row in rows if row["User Count"] == "{users}" and row["Total Request Count"] != "0"]
        return {{row["Timestamp"] for row in busy}}
    def end():
        while len(seconds()) < {rows}:
            gevent.sleep(0.1)
        environment.runner.quit()
    gevent.spawn(end)

class Someone(User):
    wait_time = constant(0.05)
    @task
    def ask(self):
{task}
"""


def write(path: Path, columns: list[str], *rows: Mapping[str, Any]) -> None:
    """Write a CSV file; cells that a row lacks are N/A."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="N/A")
        writer.writeheader()
        writer.writerows(rows)


def stats_row(name: str, count: int, failures: int, mean: float, **cells: Any) -> dict[str, Any]:
    """A row of the statistics; the aggregate has no type."""
    percentiles = {"50%": 900, "90%": 1500, "95%": 1900, "99%": 2300, "100%": 2500}
    row = {"Type": "" if name == "Aggregated" else "POST", "Name": name, "Request Count": count,
           "Failure Count": failures, "Average Response Time": mean, "Min Response Time": 300.5,
           "Max Response Time": 2512.0, "Average Content Size": 40, "Requests/s": count / 60,
           "Failures/s": failures / 60}  # fmt: skip
    return row | percentiles | cells


def history(
    users: Iterable[int], rates: Mapping[tuple[str, str], Iterable[int | None]], mean: float = 900.0
) -> list[dict[str, Any]]:
    """History rows, one second apart: for each second the users, and how many requests each name ended in it.

    Negative numbers are failed requests; None resets the statistics and then counts nothing.
    """
    rows: list[dict[str, Any]] = []
    series = {key: list(values) for key, values in rates.items()}
    totals = dict.fromkeys(series, 0)
    failed = dict.fromkeys(series, 0)
    for second, count in enumerate(users):
        for key, values in series.items():
            ended = values[second]
            if ended is None:
                totals[key] = failed[key] = 0
            else:
                totals[key] += abs(ended)
                failed[key] += max(0, -ended)
            rows.append({"Timestamp": START + second, "User Count": count, "Type": key[0], "Name": key[1],
                         "Total Request Count": totals[key], "Total Failure Count": failed[key],
                         "Total Average Response Time": mean if totals[key] else 0})  # fmt: skip
    return rows


def real_locust(folder: Path, task: str, *options: str, users: int = 2, rows: int = 4) -> Path:
    """Run Locust itself until its history has ``rows`` seconds with requests of all users; return the prefix.

    Args:
        folder: where the locustfile and the CSV files go.
        task: body of the users' only task.
        options: more options for Locust.
        users: how many users.
        rows: how many seconds of history to wait for.
    """
    body = "\n".join(f"        {line}" for line in task.splitlines())
    (folder / "file.py").write_text(_LOCUSTFILE.format(users=users, rows=rows, task=body), encoding="utf-8")
    command = [sys.executable, "-m", "locust", "-f", "file.py", "--headless", "-u", str(users), "-r", "9"]
    command += ["--csv", "real", "--only-summary", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False)
    assert done.returncode in (0, 1), done.stderr.decode()
    return folder / "real"
