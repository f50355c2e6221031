"""Reads the CSV files that Locust writes."""

import csv
from pathlib import Path


def csv_total(path: Path) -> int | None:
    """Requests in the Aggregated row of Locust's statistics file; None while it has no such row."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["Name"] == "Aggregated":
                    return int(row["Request Count"])
    except (OSError, KeyError, ValueError, TypeError):
        return None
    return None
