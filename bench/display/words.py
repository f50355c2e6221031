"""The facts of a run in words, each said in one place."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from common.formatting import (
    ABSENT,
    count,
    dollars,
    duration,
    limit_percent,
    milliseconds,
    number,
    percent,
    plural,
)
from common.text import one_line
from configs.dwell import statistic_name

Data = Mapping[str, Any]

PHASES = {
    "start": "starting",
    "ramp": "ramping up",
    "warm_up": "warming up",
    "measure": "measuring",
    "tail": "waiting for the last measured requests",
    "drain": "waiting for the last requests",
    "done": "ended",
}
HEALTH = {"ok": "ok", "busy": "CPU-bound", "late": "reads late", "silent": "silent"}
_OUTCOMES = {"censored": "cut off", "withheld": "withheld"}


def seconds(value: float) -> str:
    """A time left or passed, in whole seconds: ``42 s``, ``7 min 05 s``."""
    return f"{max(0.0, value):.0f} s" if value < 90 else duration(value)


def level(step: Data) -> str:
    """What a step asks for: ``4``, ``0.5/s``, ``2 to 20/s`` of a ramp, ``x2`` of a trace."""
    if step["speed"] is not None:
        return f"x{step['speed']:g}"
    asked = step["concurrency"] if step["rate"] is None else step["rate"]
    if asked is None:
        return ABSENT
    first, last = step["ramp"] or (asked, asked)
    ends = f"{first:.4g}" if first == last else f"{first:.4g} to {last:.4g}"
    return ends if step["rate"] is None else f"{ends}/s"


def level_name(step: Data) -> str:
    """The same in a sentence: ``concurrency 4``, ``0.5 requests/s``, ``1 conversations/s``, ``speed 2``."""
    if step["speed"] is not None:
        return f"speed {step['speed']:g}"
    if step["rate"] is not None:
        return f"{level(step).removesuffix('/s')} {arrivals(step)}/s"
    return f"concurrency {level(step)}"


def arrivals(open_loop: Data) -> str:
    """What arrives in an open loop: ``requests`` or ``conversations``."""
    return "requests" if open_loop["turns_per_arrival"] is None else "conversations"


def place(load: Data) -> str:
    """``step 3 of 26``, ``probe 3``."""
    if not load["ordinal"]:
        return "before the first step"
    if load["search"]:
        return f"probe {load['ordinal']}"
    return f"step {load['ordinal']} of {load['steps_total']}"


def current_step(load: Data) -> Data | None:
    """The step that is being played, or that was played last."""
    return next((step for step in reversed(load["steps"]) if step["step"] == load["step"]), None)


def phase_time(load: Data) -> str:
    """``measuring 12 of 42 s``."""
    done, total = load["phase_elapsed_s"], load["phase_total_s"]
    phase = PHASES.get(load["phase"], str(load["phase"]))
    if total is None:
        return f"{phase} {seconds(done)}"
    most = "at most " if load["until"] is not None and load["phase"] == "measure" else ""
    return f"{phase} {done:.0f} of {most}{total:.0f} s"


def precision(until: Data) -> str:
    """How well a statistic is known that ends a measurement: ``E2E p95 known to ±8.3%, ±5% is asked for``."""
    name = statistic_name(until["statistic"])
    known = "not known yet" if until["reach"] is None else f"known to ±{percent(until['reach'])}"
    return f"{name} {known}, ±{limit_percent(until['share'])} is asked for"


def verdict(step: Data, load: Data) -> str:
    """How a step stands: its phase while it runs, then why it does not count, or its SLO."""
    if step["announced_at"] is None:
        return "not played"
    if step["step"] == load["step"] and step["ended_at"] is None and load["phase"] != "done":
        return str(load["phase"]).replace("_", "-")
    if step["state"] != "complete":
        return str(step["state"])
    probes = (load["search_path"] or {}).get("probes", ())
    judged = next((probe["verdict"] for probe in probes if probe["step"] == step["step"]), None)
    return str(judged or step["slo"] or "complete")


def answers(step: Data) -> int:
    """Answers that count: of the measurement, once that has begun."""
    return int(step["ok"] if step["measure_started_at"] is None else step["measured_ok"])


def achieved(load: Data, step: Data | None) -> str:
    """``in flight 4 of 4``; of an open loop, ``rate 3.9 of 4/s, 17 in flight``.

    Of conversations, ``11.7 requests/s at 3 conversations/s, 17 in flight``.
    """
    if load["target"] is None and load["rate"] is not None:
        per_minute = None if step is None else step["requests_per_minute"]
        done = None if per_minute is None else per_minute / 60
        rates = f"rate {number(done)} of {load['rate']:.4g}/s"
        if load["turns_per_arrival"] is not None:
            rates = f"{number(done)} requests/s at {load['rate']:.4g} conversations/s"
        return f"{rates}, {count(load['in_flight'])} in flight"
    return f"in flight {count(load['in_flight'])} of {count(load['target'])}"


def failures(load: Data) -> str:
    """``3 errors (0.2%)``, and what was cut off or withheld."""
    outcomes = load["outcomes"]
    failed, ok = outcomes.get("failed", 0), outcomes.get("ok", 0)
    share = f" ({percent(failed / (failed + ok))})" if failed else ""
    text = [f"{count(failed) if failed else 'no'} error{'' if failed == 1 else 's'}{share}"]
    text += [f"{count(outcomes[key])} {word}" for key, word in _OUTCOMES.items() if outcomes.get(key)]
    return ", ".join(text)


def cost(facts: Data) -> str:
    """``$0.42 so far, at most $1.20 expected, limit $5.00``."""
    if facts["spent_usd"] is None:
        return "no price is known"
    text = [f"{dollars(facts['spent_usd'])} so far"]
    if facts["expected_usd"] is not None:
        text.append(f"at most {dollars(facts['expected_usd'])} expected")
    if facts["max_spend_usd"] is not None:
        text.append(f"limit {dollars(facts['max_spend_usd'])}")
    if facts.get("assumed"):
        text.append("assumed price")
    return ", ".join(text)


def objective_limits(load: Data, metric: str) -> str:
    """``p95 ≤ 1 s``: the SLO of one latency."""
    own = [each for each in load["objectives"] if each["metric"] == metric]
    return ", ".join(f"{each['statistic']} ≤ {_limit(each['limit_ms'])}" for each in own)


def _limit(milliseconds: float) -> str:
    """A limit as it was set: ``1 s``, ``250 ms``."""
    return f"{milliseconds / 1000:g} s" if milliseconds >= 1000 else f"{milliseconds:g} ms"


def clients(load: Data) -> str:
    """``client ok: CPU 34%, reading delay 1.2 ms``; of several, how many are well and who is not."""
    workers = load["workers"]
    if not workers:
        return "clients: no report yet"
    unwell = [worker for worker in workers if worker["health"] != "ok"]
    busiest = max(worker["cpu_percent"] for worker in workers)
    delays = [delay for worker in workers if (delay := worker["clock_lag_p99_ms"]) is not None]
    delay = f", reading delay p99 {milliseconds(max(delays))}" if delays else ""
    of_all = "client" if len(workers) == 1 else f"{len(workers)} clients"
    state = "ok"
    if unwell:
        named = ", ".join(f"{w['worker']} {HEALTH[w['health']]}" for w in unwell[:3])
        state = f"{named}{f' and {len(unwell) - 3} more' if len(unwell) > 3 else ''}"
    return f"{of_all} {state}: CPU {'up to ' if len(workers) > 1 else ''}{busiest:.0f}%{delay}"


def search_state(path: Data) -> str:
    """``search: met at 24, missed at 32; 8 min 20 s of load``."""
    ends = []
    for key in ("met", "missed"):
        if path[key] is not None:
            sure = "" if path[f"{key}_surely"] else " (not certain)"
            ends.append(f"{key} at {path[key]:g}{sure}")
    if path["out_of_reach"] is not None:
        ends.append(f"not reached at {path['out_of_reach']:g}")
    limit = "" if path["at_most_s"] is None else f" of at most {duration(path['at_most_s'])}"
    found = ", ".join(ends) or f"from {path['lowest']:g} to {path['highest']:g}"
    return f"search: {found}; {duration(path['spent_s'])}{limit} of load"


def search_steps(path: Data, width: int) -> str:
    """``1 met → 8 met → 64 missed → 24 …``: the probes in order; the last ones where not all fit."""
    text = ""
    for probe in reversed(path["probes"]):
        longer = f"{probe['level']:g} {probe['verdict'] or '…'}" + (f" → {text}" if text else "")
        if len(longer) > width - 4:
            return f"… → {text}"
        text = longer
    return text


def resource(facts: Data, now: float) -> str:
    """``endpoint bench-x: Creating for 2 min 10 s, usually 7 min``."""
    state, detail, since = facts["state"], facts["detail"], facts["since"]
    named = {
        "status": detail,
        "not_visible": "not visible yet",
        "no_answer": f"no answer ({detail})",
        "deletion_refused": f"not deleted yet ({detail}), retrying until {facts['retry_until']}",
        "not_deleted": detail,
    }.get(state, state)
    over = named in ("InService", "Created", "deleted")
    usual = "" if over or facts["usual_s"] is None else f", usually {seconds(facts['usual_s'])}"
    time_so_far = "" if over else f" for {seconds(now - since)}"
    return one_line(f"{facts['kind']} {facts['name']}: {named}{time_so_far}{usual}")


def earlier_steps(steps: Sequence[Data], load: Data) -> str:
    """``18 earlier steps: 15 met, 3 missed; 12,345 ok, 3 failed``."""
    of_kinds = _verdicts(verdict(step, load) for step in steps)
    ok, failed = (sum(step[key] for step in steps) for key in ("ok", "failed"))
    return f"{len(steps)} earlier steps: {of_kinds}; {count(ok)} ok, {count(failed)} failed"


def earlier_loads(loads: Sequence[Data]) -> str:
    """``2 earlier experiments: 6 met, 2 missed``."""
    of_kinds = _verdicts(verdict(step, load) for load in loads for step in load["steps"])
    return f"{plural(len(loads), 'earlier experiment')}: {of_kinds}"


def _verdicts(found: Iterable[str]) -> str:
    return ", ".join(f"{number_of} {name}" for name, number_of in Counter(found).items())
