"""docs/summary.md and ``summary.json`` have the same keys."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.importers.command_line_prices import Prices
from analysis.importers.fmbench.folder import load_fmbench
from analysis.importers.locust.csv_run import load_locust
from analysis.render.summary_doc import document, occurrences, rows_by_path
from analysis.render.summary_key import Key
from analysis.report import measure_and_judge
from runfolder.manifest import MadePrompts, Rival, TokenScale, read_manifest
from tests.analysis.fmbench_march_2024 import write_fmbench_folder
from tests.analysis.locust_csvs import FAILURES, HISTORY, STATS, history, stats_row, write
from tests.analysis.runs import SLO, summary_of
from tests.analysis.test_conversations import make_conversations
from tests.analysis.test_mix import mixed
from tests.analysis.test_workers import two_workers
from tests.support.adaptive_run import make_adaptive
from tests.support.open_loop_run import make_open_loop
from tests.support.search_run import make_search
from tests.support.synthetic_run import Deployed, Server, write_run

ROOT = Path(__file__).parents[2]


def _run(folder: Path) -> dict[str, Any]:
    """A run with failures and with samples enough for an interval of the p99."""
    fast = Server(tpot_ms=1, tpot_ms_per_user=0.1, failing=0.05)
    write_run(folder, (Deployed(server=fast, measure_s=120, concurrency=(8,)),), slo=SLO)
    return summary_of(measure_and_judge(folder))


def _workers(folder: Path) -> dict[str, Any]:
    two_workers(folder, far_ms=120.0)
    return summary_of(measure_and_judge(folder))


def _open_loop(folder: Path) -> dict[str, Any]:
    fast = Server(tpot_ms=1, tpot_ms_per_user=0.1)
    write_run(folder, (Deployed(server=fast, measure_s=120, concurrency=(8,)),), slo=SLO)
    make_open_loop(folder)
    make_conversations(folder)
    steps = pd.read_csv(folder / "steps.csv")
    steps["reason_codes"] = "saturated"
    steps.to_csv(folder / "steps.csv", index=False)
    return summary_of(measure_and_judge(folder))


def _asked_lengths(folder: Path) -> dict[str, Any]:
    """A run with prompts that were made for it, of other lengths than asked."""
    write_run(folder, (Deployed(measure_s=120, concurrency=(8,)),), slo=SLO)
    manifest = read_manifest(folder)
    counted, guessed = (
        TokenScale(
            language=language, counted_by=by, overhead_tokens=30.0, tokens_per_unit=1.0, residual=residual
        )
        for language, by, residual in (("en", "endpoint", 0.01), ("de", "estimate", None))
    )
    manifest.experiments[0].made_prompts = MadePrompts(
        lengths="D(300)/(60)", prompts=40, prompt_tokens=300.0, output_tokens=60.0, prefix_groups=2,
        scales=[counted, guessed], no_counts="none", exact_output=["ignore_eos"],
    )  # fmt: skip
    manifest.save(folder)
    rows = pd.read_csv(folder / "requests.csv").assign(asked_prompt_tokens=300, asked_output_tokens=60)
    rows.to_csv(folder / "requests.csv", index=False)
    return summary_of(measure_and_judge(folder))


def _search(folder: Path) -> dict[str, Any]:
    """A search with a probe that is void, a confirmation, and a price that it cannot beat."""
    write_run(folder, (Deployed(measure_s=120, concurrency=(2, 4, 8, 2)),), slo=SLO)
    make_search(folder, confirmations=1)
    manifest = read_manifest(folder)
    manifest.experiments[0].rival = Rival(
        experiment="x", usd_per_request=0.001, spent_s=600.0, must_beat=10_000.0
    )
    manifest.save(folder)
    steps = pd.read_csv(folder / "steps.csv")
    steps["reason_codes"] = [None, None, "worker_lost", None]
    steps.to_csv(folder / "steps.csv", index=False)
    return summary_of(measure_and_judge(folder))


def _dwell(folder: Path) -> dict[str, Any]:
    write_run(folder, (Deployed(measure_s=120, concurrency=(2, 4)),), slo=SLO)
    make_adaptive(folder)
    return summary_of(measure_and_judge(folder))


def _locust(folder: Path) -> dict[str, Any]:
    folder.mkdir()
    measure = stats_row("prompt tokens", 600, 0, 512.0, Type="METRIC")
    write(folder / "run_stats.csv", STATS, stats_row("/chat", 600, 3, 900.0), measure)
    keys = [("POST", "/chat"), ("METRIC", "prompt tokens"), ("", "Aggregated")]
    points = history([5] * 61, {key: [10] * 61 for key in keys})
    write(folder / "run_stats_history.csv", HISTORY, *points)
    errors = [
        {"Method": method, "Name": name, "Error": "an error", "Occurrences": 3} for method, name in keys[:2]
    ]
    write(folder / "run_failures.csv", FAILURES, *errors)
    write(
        folder / "run_exceptions.csv",
        ["Count", "Message", "Traceback", "Nodes"],
        {"Count": 2, "Message": "KeyError", "Traceback": "", "Nodes": "local"},
    )
    return summary_of(load_locust(folder / "run", Prices(1.2)))


def _fmbench(folder: Path) -> dict[str, Any]:
    folder.mkdir()
    return summary_of(load_fmbench(write_fmbench_folder(folder), Prices(1.006)))


@pytest.fixture(scope="module")
def found(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Key | None, Any]]:
    """Every key and item of the summaries of runs, of every source."""
    folder = tmp_path_factory.mktemp("summaries")
    summaries = [
        summary_of(measure_and_judge(run_folder)),
        _run(folder / "run"),
        _workers(folder / "workers"),
        _open_loop(folder / "open"),
        _asked_lengths(folder / "asked"),
        _search(folder / "search"),
        summary_of(mixed(folder / "mix", {"short": 1e6})),
        _dwell(folder / "dwell"),
        _locust(folder / "locust"),
        _fmbench(folder / "fmbench"),
    ]
    return [entry for content in summaries for entry in occurrences(content)]


def test_every_key_of_a_summary_is_in_the_table(found: list[tuple[str, Key | None, Any]]) -> None:
    assert sorted({path for path, row, _ in found if row is None}) == []


def test_every_row_of_the_table_occurs_in_a_summary(found: list[tuple[str, Key | None, Any]]) -> None:
    assert sorted(set(rows_by_path()) - {path for path, _, _ in found}) == []


def test_types_and_nulls_are_as_the_table_says(found: list[tuple[str, Key | None, Any]]) -> None:
    types: dict[str, tuple[type, ...]] = {
        "text": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "list": (list,),
    }  # fmt: skip
    wrong = {
        (path, repr(value)[:60])
        for path, row, value in found
        if row is not None
        and (not row.null if value is None else not isinstance(value, types.get(row.kind, (object,))))
    }
    assert sorted(wrong) == []


def test_the_document_is_what_the_rows_say() -> None:
    written = (ROOT / "docs" / "summary.md").read_text(encoding="utf-8")
    assert written == document(), "run: python -m analysis.render.summary_doc > docs/summary.md"
