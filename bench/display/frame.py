"""One frame of the screen: a pure function of the run's and the load's state, and of the terminal's size."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.display import words
from bench.display.steps_table import steps_table
from bench.display.words import Data
from common.formatting import milliseconds, number
from common.text import one_line

_BAR, _LEAST_BAR = 24, 6
_LATENCIES = ("ttft", "tpot", "e2e")
_STAGES = {
    "check": "starting",
    "workers": "waiting for the workers",
    "deploy": "deploying",
    "prompts": "making prompts",
    "load": "load",
    "delete": "deleting what was created",
    "cloudwatch": "collecting CloudWatch's figures",
    "report": "writing the report",
    "ended": "ended",
}
_ALWAYS = 10
_ERRORS = 3
"""Classes of errors that have a line each."""


@dataclass(frozen=True)
class _Block:
    """Some lines of the frame. Where not all blocks fit, those of the lowest rank are left out."""

    rank: int
    lines: Sequence[RenderableType]


def frame(
    run: Data, load: Data | None, *, width: int, height: int, now: float, earlier: Sequence[Data] = ()
) -> Group:
    """What the screen shows.

    Args:
        run: the run's state (`bench.live_page.run_view.RunView.state`).
        load: the state of the current load, or of the last one; None before the first.
        width: of the terminal.
        height: lines that may be used.
        now: the time, epoch seconds.
        earlier: last states of the loads before it.
    """
    blocks = [
        _Block(_ALWAYS, [_head(run, load)]),
        _Block(4, [_facts(run, load)]),
        _Block(_ALWAYS, [_stage(run, load, width, now)]),
    ]
    if run["stage"] in ("deploy", "delete"):
        blocks.append(_Block(9, [_line(words.resource(each, now)) for each in _waited_for(run)]))
    if load is not None:
        if run["stage"] == "load":
            blocks += _load_blocks(load)
        blocks.append(_Block(7, [_cost(run, load)]))
        if run["stage"] == "load":
            blocks.append(_Block(5, [_line(words.clients(load), _client_style(load))]))
    else:
        blocks.append(_Block(7, [_cost(run, None)]))
    steps = [] if load is None else load["steps"]
    tail = [] if load is None else _tail(run, load, width)
    if earlier:
        blocks.append(_Block(3, [_line(words.earlier_loads(earlier), "dim")]))
    least = 2 if steps else 0  # a heading and the current step
    blocks, tail = _fitting(blocks, tail, height - least)
    lines: list[RenderableType] = [line for block in blocks for line in block.lines]
    if load is not None and steps:
        room = height - len(lines) - sum(len(block.lines) for block in tail) - 1
        lines += _steps(steps, load, width, max(1, room))
    lines += [line for block in tail for line in block.lines]
    return Group(*lines)


def _fitting(head: list[_Block], tail: list[_Block], height: int) -> tuple[list[_Block], list[_Block]]:
    """The blocks that fit, in order."""
    kept = sorted([*head, *tail], key=lambda block: -block.rank)
    while len(kept) > 1 and sum(len(block.lines) for block in kept) > height:
        kept.pop()
    return [block for block in head if block in kept], [block for block in tail if block in kept]


def _line(text: str, style: str = "") -> Text:
    """One line of text from outside, without markup, cut to the terminal's width."""
    return Text(one_line(text), style=style, no_wrap=True, overflow="ellipsis")


def _head(run: Data, load: Data | None) -> Text:
    return _line(load["experiment"] if load is not None else run["plan"], "bold")


def _facts(run: Data, load: Data | None) -> Text:
    facts = [] if load is None else [f"endpoint {load['endpoint']}", f"plan {run['plan']}"]
    return _line(" · ".join([*facts, f"run {run['id']}"]), "dim")


def _stage(run: Data, load: Data | None, width: int, now: float) -> RenderableType:
    """Where the run is: of a load, its step and phase with a bar."""
    if run["stage"] != "load" or load is None:
        what = _STAGES[run["stage"]]
        what += f" {run['instance_type']}" if run["stage"] == "deploy" else ""
        stopping = "stopping in order: " if run["stopped"] else ""
        return _line(f"{stopping}{what}, for {words.seconds(now - run['stage_since'])}")
    current, total = words.current_step(load), load["phase_total_s"]
    level = "" if current is None else f", {words.level_name(current)}"
    text = one_line(f"{words.place(load)}{level}: {words.phase_time(load)}")
    left = "" if load["eta_s"] is None else f"about {words.seconds(load['eta_s'])} left"
    room = width - len(text) - len(left) - 2
    if not total or room < _LEAST_BAR:
        return _line(f"{text}  {left}")
    line = Table.grid(padding=(0, 1))
    bar = ProgressBar(total, min(load["phase_elapsed_s"], total), width=min(_BAR, room))
    line.add_row(Text(text), bar, Text(left))
    return line


def _waited_for(run: Data) -> list[Data]:
    """The resources to show: of a deployment the last ones, the endpoint always among them."""
    return list(run["resources"])[-5:]


def _load_blocks(load: Data) -> list[_Block]:
    step = words.current_step(load)
    tokens = None if step is None else step["completion_tokens_per_s"]
    per_minute = None if step is None else step["requests_per_minute"]
    rates = f"{number(tokens)} output tokens/s · {number(per_minute)} requests/min"
    failed = load["outcomes"].get("failed", 0)
    first = _line(words.achieved(load, step))
    first.append(" · ").append(words.failures(load), "red" if failed else "").append(f" · {rates}")
    return [_Block(8, [first]), _Block(6, [_latency(step, load, name) for name in _LATENCIES])]


def _latency(step: Data | None, load: Data, name: str) -> Text:
    """``TTFT  p50  123 ms   p95  340 ms   SLO p95 ≤ 1 s``; a missed objective is red."""
    p50, p95 = (None, None) if step is None else (step[f"{name}_p50_ms"], step[f"{name}_p95_ms"])
    line = _line("")
    line.append(f"{name.upper():5}p50 {milliseconds(p50):>8}   p95 {milliseconds(p95):>8}")
    if limits := words.objective_limits(load, name):
        checks = [] if step is None else [c for c in step["checks"] if c["metric"] == name]
        statuses = {check["status"] for check in checks}
        found = next((s for s in ("missed", "open", "met") if s in statuses), "")
        style = {"missed": "red", "met": "green", "open": "yellow"}.get(found, "")
        line.append(f"   SLO {limits}")
        if found:
            line.append(f" {found}", style)
    return line


def _cost(run: Data, load: Data | None) -> Text:
    facts = dict(run["cost"])
    if load is not None:
        facts["assumed"] = load["cost"]["assumed"]
        if run["stage"] == "load":
            facts["spent_usd"] = load["cost"]["spent_usd"]
    over = facts["max_spend_usd"] is not None and (facts["spent_usd"] or 0.0) > 0.9 * facts["max_spend_usd"]
    return _line(f"cost {words.cost(facts)}", "yellow" if over else "")


def _client_style(load: Data) -> str:
    return "" if all(worker["health"] == "ok" for worker in load["workers"]) else "yellow"


def _tail(run: Data, load: Data, width: int) -> list[_Block]:
    """What stands below the steps."""
    blocks = []
    if load["until"] is not None and run["stage"] == "load" and load["phase"] == "measure":
        blocks.append(_Block(6, [_line(words.precision(load["until"]))]))
    if (path := load["search_path"]) is not None:
        blocks.append(_Block(5, [_line(words.search_state(path)), _line(words.search_steps(path, width))]))
    errors: list[RenderableType] = [
        _line(f"{each['count']} {each['class']}: {each['example']}", "red")
        for each in load["errors"][:_ERRORS]
    ]
    if len(load["errors"]) > _ERRORS:
        errors.append(_line(f"{len(load['errors']) - _ERRORS} more classes of errors", "red"))
    if errors:
        blocks.append(_Block(6, errors))
    if load["message"]:
        blocks.append(_Block(8, [_line(load["message"], "yellow")]))
    problems: list[RenderableType] = [_line(problem, "red") for problem in run["problems"][-2:]]
    if problems:
        blocks.append(_Block(8, problems))
    return blocks


def _steps(steps: Sequence[Data], load: Data, width: int, room: int) -> list[RenderableType]:
    """As many steps as fit, up to the newest or the current one; a line sums up those before."""
    if len(steps) <= room:
        return [steps_table(steps, load, width)]
    shown = max(1, room - 1)
    current = next((n for n, step in enumerate(steps, 1) if step["step"] == load["step"]), len(steps))
    end = len(steps) if current > len(steps) - shown else current
    earlier, latest = steps[: max(0, end - shown)], steps[max(0, end - shown) : end]
    lines: list[RenderableType] = [steps_table(latest, load, width)]
    return [_line(words.earlier_steps(earlier, load), "dim"), *lines] if earlier and room > 1 else lines
