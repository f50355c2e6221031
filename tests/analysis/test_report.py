"""The report as a whole: its files, its figures, its notices."""

import json
import re
import shutil
from pathlib import Path

import pytest

from analysis import Report, make_report
from analysis.decide.recommendation import choose
from analysis.render.plots.draw_all import draw_all
from analysis.report import measure_and_judge
from common.errors import UserError
from runfolder.manifest import read_manifest
from tests.analysis.runs import SLO
from tests.support.synthetic_run import Deployed, Server, write_run

SEED_PLOTS = ("business_summary", "error_rates", "tokens_vs_latency", "concurrency_vs_inference_latency")


def test_every_file_of_the_contract_is_written(report: Report, run_folder: Path) -> None:
    names = {path.name for path in report.files}
    assert names >= {"report.md", "report.html", "summary.json", "summary.csv"} | {
        f"{n}.png" for n in SEED_PLOTS
    }
    assert all((run_folder / name).stat().st_size > 0 for name in names)


def test_summary_json_keeps_its_promise(report: Report, run_folder: Path) -> None:
    data = json.loads((run_folder / "summary.json").read_text())
    assert data == json.loads(json.dumps(report.summary))
    assert [e["instance_type"] for e in data["experiments"]] == ["ml.g5.xlarge", "ml.g6.xlarge"]
    step = data["experiments"][0]["steps"][1]
    keys = "concurrency requests_ok requests_failed ttft_ms e2e_ms tpot_ms completion_tokens_per_s"
    assert set(keys.split()) | {"requests_per_minute", "usd_per_request"} <= step.keys()
    assert step["concurrency"] == 4
    assert step["ttft_ms"]["p50"] > 0
    assert step["ttft_ms"]["p99"] is None, "p99 on fewer than 500 samples"


def test_measured_figures_are_those_of_the_server_that_was_simulated(report: Report) -> None:
    """TPOT of the simulated g5 at concurrency 8 is 25 + 8 × 1.5 = 37 ms; its TTFT 80 + 0.15 × 285 + 96 ms."""
    step = report.summary["experiments"][0]["steps"][2]
    assert step["tpot_ms"]["p50"] == pytest.approx(37, rel=0.01)
    assert step["ttft_ms"]["p50"] == pytest.approx(80 + 0.15 * 285 + 96, rel=0.03)
    latency = step["e2e_ms"]["mean"]
    assert step["requests_per_minute"] == pytest.approx(60_000 * 8 / latency, rel=0.03)
    assert step["mean_in_flight"] == pytest.approx(8, rel=0.001)
    assert step["usd_per_request"] == pytest.approx(1.4084 / 60 / step["requests_per_minute"])


def test_the_first_paragraph_answers_in_words(report: Report, run_folder: Path) -> None:
    assert "Use ml.g6.xlarge at concurrency" in report.answer
    assert "it is the cheapest choice that meets TTFT p95 ≤ 250 ms and E2E p95 ≤ 6 s" in report.answer
    assert "The runner-up, " in report.answer
    for name in ("report.md", "report.html"):
        assert report.answer.split("≤")[0] in (run_folder / name).read_text()


def test_fmbenchs_page_is_all_there(report: Report, run_folder: Path) -> None:
    page = (run_folder / "report.md").read_text()
    html = (run_folder / "report.html").read_text()
    for heading in ("Results for performance benchmarking", "Summary", "Per instance results", "Plots"):
        assert f"# {heading}\n" in page
        assert f">{heading}</h" in html
    for row in ("experiment_name", "prompt_token_count_mean", "completion_token_throughput", "price_per_txn"):
        assert f"| {row} |" in page
        assert f">{row}</th>" in html
    assert re.search(r"best price performance for dataset `en_1-500` is provided by the `ml.g6.xlarge`", page)
    assert re.search(
        r"The best option for staying within a latency budget of .* is a `concurrency level of \d`", page
    )
    assert "The total cost for running all experiments is $" in page
    assert [name for name in SEED_PLOTS if f"({name}.png)" not in page] == []


def test_every_price_is_given_at_every_utilisation(report: Report, run_folder: Path) -> None:
    page = (run_folder / "report.md").read_text()
    at_each = re.compile(r"\| (?:100|60|30)% \| \$")
    shares = [line.strip("| ").split(" | ") for line in page.splitlines() if at_each.search(line)]
    full, *lower = shares[:3]
    assert [row[-4] for row in shares[:3]] == ["100%", "60%", "30%"]

    def usd(cell: str) -> float:
        return float(cell.removeprefix("$").replace(",", ""))

    for row, share in zip(lower, (0.6, 0.3), strict=True):
        for cell, at_full_load in zip(row[-3:], full[-3:], strict=True):
            assert usd(cell) == pytest.approx(usd(at_full_load) / share, rel=0.01)
    html = (run_folder / "report.html").read_text()
    assert all(f'<td class="number">{cell}</td>' in html for row in shares for cell in row[-3:])


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_two_payloads_on_one_endpoint_pay_for_it_once(tmp_path: Path) -> None:
    one, other = (Deployed(payload=p, measure_s=60, concurrency=(4,)) for p in ("en_1-500", "en_500-1000"))
    write_run(tmp_path, (one, other), slo=SLO)
    first, second = read_manifest(tmp_path).experiments
    assert first.create_started_at == second.create_started_at
    bill = 1.4084 * ((first.deleted_at or 0) - (first.create_started_at or 0)) / 3600
    made = make_report(tmp_path)
    costs = [e["cost"] for e in made.summary["experiments"]]
    assert sum(cost["usd"] for cost in costs) == pytest.approx(bill)
    assert sum(c["boot_s"] + c["load_s"] + c["idle_s"] for c in costs) == pytest.approx(bill / 1.4084 * 3600)
    page = (tmp_path / "report.md").read_text()
    assert f"The total cost for running all experiments is ${bill:.3f}." in page
    assert "shared among its 2 experiments" in page


def test_the_html_is_one_file_without_any_request(report: Report, run_folder: Path) -> None:
    html = (run_folder / "report.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]{0,60})', html)
    assert sources
    assert all(s.startswith(("data:image/svg+xml;base64,", "#")) for s in sources)
    assert "url(" not in html.split("</style>")[0]


@pytest.mark.e2e
def test_the_same_folder_gives_the_same_report(report: Report, run_folder: Path, tmp_path: Path) -> None:
    again = make_report(run_folder, out=tmp_path)
    for path in again.files:
        assert path.read_bytes() == (run_folder / path.name).read_bytes(), path.name


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_a_rehearsal_says_so_everywhere(tmp_path: Path) -> None:
    made = make_folder(tmp_path, rehearsal=True, notices=("Simulated GPU: no AWS figure.",))
    html = (tmp_path / "report.html").read_text()
    assert "Rehearsal" in made.answer
    assert "<title>Rehearsal" in html
    assert "Rehearsal:" in html.split("@top-center")[1][:80], "printed pages carry it in their margin"
    assert "Simulated GPU: no AWS figure." in html
    assert "Rehearsal" in (tmp_path / "report.md").read_text()[:200]


@pytest.mark.e2e
def test_the_mark_of_a_rehearsal_changes_every_picture(tmp_path: Path) -> None:
    write_run(tmp_path, (Deployed(measure_s=60, concurrency=(4,)),), slo=SLO)
    result = measure_and_judge(tmp_path)
    plain = draw_all(result, choose(result))
    result.rehearsal = True
    marked = draw_all(result, choose(result))
    assert len(plain) >= 10
    assert [name for name, drawing in plain.items() if drawing.png == marked[name].png] == []
    assert [name for name, drawing in plain.items() if drawing.svg == marked[name].svg] == []


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_an_assumed_price_is_called_that_beside_every_dollar(tmp_path: Path) -> None:
    made = make_folder(tmp_path, usd_per_hour=0.1, assumption=True, instance_label="this machine")
    page = (tmp_path / "report.md").read_text()
    assert "this machine at an assumed $0.10 per instance-hour" in page
    assert "per 10,000 requests at an assumed price" in made.answer
    assert "this machine" in made.answer
    assert re.search(r"\| price_per_txn \| 0\.\d+ \(assumed price\) \| US dollars \|", page)
    assert re.search(r"total cost for running all experiments is \$[\d.]+ \(assumed price\)", page)


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_without_a_price_throughput_decides_and_no_dollar_is_shown(tmp_path: Path) -> None:
    made = make_folder(tmp_path, usd_per_hour=None)
    assert "highest throughput" in made.answer
    assert "no price is known" in made.answer
    assert made.summary["experiments"][0]["steps"][0]["usd_per_request"] is None
    assert "$0" not in (tmp_path / "report.md").read_text()


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_an_interrupted_run_reports_what_was_measured(run_folder: Path, tmp_path: Path) -> None:
    folder = copy(run_folder, tmp_path)
    steps = (folder / "steps.csv").read_text().splitlines()
    cells, names = steps[-1].split(","), steps[0].split(",")
    cells[names.index("state")], cells[names.index("measure_ended_at")] = "interrupted", ""
    (folder / "steps.csv").write_text("\n".join([*steps[:-1], ",".join(cells)]) + "\n")
    manifest = read_manifest(folder)
    manifest.state = "interrupted"
    manifest.save(folder)
    made = make_report(folder)
    assert "The run was interrupted; the answer covers what was measured." in made.answer
    assert "Use ml.g6.xlarge" in made.answer
    last = made.summary["experiments"][1]["steps"][-1]
    assert last["trust"]["level"] == "void"
    assert last["requests_per_minute"] is None


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_a_run_in_which_nothing_was_answered(tmp_path: Path) -> None:
    made = make_folder(tmp_path, server=Server(failing=1.0))
    assert "Nothing was measured" in made.answer
    assert made.summary["experiments"][0]["steps"][0]["requests_failed"] > 0
    assert "model_5xx" in (tmp_path / "report.md").read_text()


def test_whole_step_counts_stand_beside_those_of_the_window(report: Report, run_folder: Path) -> None:
    for experiment in report.summary["experiments"]:
        for step in experiment["steps"]:
            assert step["whole_step"]["ok"] > step["requests_ok"] > 0
    rows = sum(1 for _ in (run_folder / "requests.csv").open()) - 1
    assert sum(s["whole_step"]["ok"] for e in report.summary["experiments"] for s in e["steps"]) == rows


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_two_instances_are_two_on_every_page(tmp_path: Path) -> None:
    """What is printed must divide: dollars per hour of both / requests of both = dollars per request."""
    made = make_folder(tmp_path, instance_count=2)
    page, html = (tmp_path / "report.md").read_text(), (tmp_path / "report.html").read_text()
    assert "Use 2 × ml.g5.xlarge at concurrency 4" in made.answer
    assert "2 × ml.g5.xlarge at $1.4084 per instance-hour" in page
    cells = dict(
        re.findall(r"^\| (\w+) \| ([^|]*) \| [^|]* \|$", page.split("## Per instance")[0], re.MULTILINE)
    )
    assert cells["instance_type"] == "2 × ml.g5.xlarge"
    rate, hourly = float(cells["transactions_per_minute"]), float(cells["price_per_hour"])
    assert float(cells["price_per_txn"]) == pytest.approx(hourly / 60 / rate, rel=0.01)
    assert '<dd class="value">2 × ml.g5.xlarge</dd>' in html
    per_minute, per_txn = (
        float(re.findall(rf"\| {name} \| ([\d.]+) \| [\d.]+ \|", page)[0])
        for name in ("transactions_per_minute", "price_per_txn")
    )
    assert per_txn == pytest.approx(hourly / 60 / per_minute, rel=0.01), "FMBench's column too"
    assert "| 60 requests/min | ml.g5.xlarge, 2 |" in page, "a fleet counts single instances"
    for name in ("Per instance results", "Every step", "Cost and fleet"):
        assert "2 × ml.g5.xlarge" in page.split(f"## {name}")[1].split("\n## ")[0], name


@pytest.mark.e2e
def test_names_from_outside_cannot_break_the_page(tmp_path: Path) -> None:
    evil = "</script><img src=x onerror=alert(1)>|"
    make_folder(tmp_path, instance_label=evil)
    html = (tmp_path / "report.html").read_text()
    assert "<img src=x" not in html
    assert "</script><img" not in html


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_texts_from_outside_cannot_break_the_markdown(tmp_path: Path) -> None:
    make_folder(tmp_path, instance_label="a`b")
    manifest = read_manifest(tmp_path)
    manifest.state, manifest.error = "failed", "Traceback | pipe\n\nline2"
    manifest.experiments[0].error = "no capacity\n# in this zone"
    manifest.versions = {"a|b": "1"}
    manifest.save(tmp_path)
    make_report(tmp_path)
    page = (tmp_path / "report.md").read_text()
    assert "| state | failed: Traceback \\| pipe line2 |" in page
    assert "| a\\|b | 1 |" in page
    assert "> no capacity # in this zone" in page
    assert [line for line in page.splitlines() if line.count("`") % 2 and "a`b" not in line] == []
    assert "| `a'b` |" in page
    assert "<code>a&#39;b</code>" in (tmp_path / "report.html").read_text()


def test_the_markdown_holds_the_figures_of_the_html(report: Report, run_folder: Path) -> None:
    page = (run_folder / "report.md").read_text()
    steps = page.split("## Every step")[1].split("\n## ")[0]
    assert "| concurrency | trust | SLO |" in steps
    assert re.search(r"^\| 8 \| pass \| (met|missed|open) \|", steps, re.MULTILINE)
    assert "TTFT p90 |" in steps
    for sentence in ("gap between chunks p50", "finish reasons", "95% intervals and goodput"):
        assert sentence in steps
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert all(line.rstrip().endswith("|") for line in tables)
    headers = [i for i, line in enumerate(page.splitlines()) if re.match(r"\|[-: |]*-[-: |]*\|$", line)]
    lines = page.splitlines()
    for at in headers:
        widths = {len(re.split(r"(?<!\\)\|", line)) for line in (lines[at - 1], lines[at], lines[at + 1])}
        assert len(widths) == 1, lines[at - 1]


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_what_holds_for_all_is_said_once(tmp_path: Path) -> None:
    short, long = (Deployed(payload=p, measure_s=60, concurrency=(4,)) for p in ("en_1-500", "en_500-1000"))
    write_run(tmp_path, (short, long))
    make_report(tmp_path)
    for name in ("report.md", "report.html"):
        page = (tmp_path / name).read_text()
        assert page.count("on multiple datasets") == 1
        assert page.count("from the create call to the deletion") == 1
        assert page.count("(boot, load") == 0
        assert len(re.findall(r"en_(?:1-500|500-1000): boot 1 min 40 s, load", page)) == 2, "they share it"


def test_bursts_that_never_were_are_called_that(report: Report, run_folder: Path) -> None:
    """The best step has more than one user, and our load waits for no burst."""
    for name in ("report.md", "report.html"):
        assert "This load did not" in (run_folder / name).read_text()


def test_a_folder_that_is_no_run_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such run folder"):
        make_report(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no manifest\.json"):
        make_report(tmp_path)


def make_folder(
    folder: Path, *, rehearsal: bool = False, notices: tuple[str, ...] = (), **options: object
) -> Report:
    deployed = Deployed(measure_s=60, concurrency=(1, 4), **options)  # type: ignore[arg-type]
    write_run(folder, (deployed,), slo=SLO, rehearsal=rehearsal, notices=notices)
    return make_report(folder)


def copy(source: Path, target: Path) -> Path:
    return shutil.copytree(
        source, target / "copy", ignore=shutil.ignore_patterns("report*", "summary*", "*.png")
    )


@pytest.mark.usefixtures("placeholder_pictures")
def test_experiments_that_share_an_endpoint_pay_by_their_load(tmp_path: Path) -> None:
    """One loads three times as long as the other: together they pay the bill once, three parts to one."""
    long, short = Deployed(measure_s=300), Deployed(payload="en_500-1000", measure_s=80)
    manifest = write_run(tmp_path, (long, short))
    costs = [experiment.cost for experiment in measure_and_judge(tmp_path).experiments]
    loads = [(e.load_ended_at or 0) - (e.load_started_at or 0) for e in manifest.experiments]
    first = manifest.experiments[0]
    whole = ((first.deleted_at or 0) - (first.create_started_at or 0)) / 3600 * 1.4084
    assert sum(cost.usd or 0 for cost in costs) == pytest.approx(whole)
    assert (costs[0].usd or 0) / (costs[1].usd or 1) == pytest.approx(loads[0] / loads[1])


@pytest.mark.e2e
@pytest.mark.usefixtures("placeholder_pictures")
def test_a_report_that_cannot_be_written_leaves_the_older_one_whole(tmp_path: Path) -> None:
    make_folder(tmp_path)
    older = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "timeline.png").unlink()
    (tmp_path / "timeline.png").mkdir()
    (tmp_path / "timeline.png" / "taken").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        make_report(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == set(older)
