"""The tables of conversations: how many were completed at what cost, and the latency of each turn."""

from analysis.measure.conversation_parts import ConversationFacts
from analysis.measure.results import ExperimentResult, RunResult, StepResult
from analysis.render.levels import level_noun, level_value
from analysis.render.prices import PER_REQUESTS, assumed_mark, request_price
from analysis.render.tables import Cell, Table, numbers, texts
from common.formatting import count, milliseconds, number, percent


def conversation_table(result: RunResult, experiment: ExperimentResult) -> Table:
    """One row per step: conversations per minute, their length and their price."""
    assumed = assumed_mark(assumed=result.assumed_price)
    columns = [*texts(level_noun(result)), *numbers("completed", "conversations/min", "turns, mean")]
    columns += numbers("turns cut off", f"$/{PER_REQUESTS.replace('requests', 'conversations')}{assumed}")
    rows: list[list[str | Cell]] = [
        [
            level_value(step),
            count(facts.completed),
            number(facts.per_minute),
            number(facts.turns_mean),
            count(facts.cut_off),
            request_price(step.cost.per_conversation),
        ]
        for step, facts in _steps(experiment)
    ]
    sticky = any(facts.sessions for _, facts in _steps(experiment))
    if sticky:
        columns += numbers("turns in a session", "opening p50")
        cells = (_session_cells(facts) for _, facts in _steps(experiment))
        rows = [[*row, *more] for row, more in zip(rows, cells, strict=True)]
    note = (
        "A conversation is completed when its last turn is answered. A turn is cut off when an earlier one "
        "was not answered."
    )
    if sticky:
        note += (
            " SageMaker sends the turns of a session to one instance. Opening one is an invocation of its "
            "own before the first turn, and is part of no latency."
        )
    return Table("Conversations", columns, rows, note=note)


def _session_cells(facts: ConversationFacts) -> list[str]:
    sessions = facts.sessions
    if sessions is None:
        return [percent(None), milliseconds(None)]
    opening = sessions.opening
    return [percent(sessions.share), milliseconds(None if opening is None else opening.shown(50))]


def turn_table(result: RunResult, experiment: ExperimentResult) -> Table:
    """One row per step and number of the turn: the prompt grows, and what it costs in latency."""
    columns = [*texts(level_noun(result)), *numbers("turn", "ok", "failed", "prompt tokens", "cached")]
    columns += numbers("TTFT p50", "TTFT p95", "E2E p50", "E2E p95")
    rows: list[list[str | Cell]] = []
    for step, facts in _steps(experiment):
        for turn in facts.turns:
            shown = [
                milliseconds(None if latency is None else latency.shown(p))
                for latency in (turn.ttft, turn.e2e)
                for p in (50, 95)
            ]
            rows.append(
                [
                    level_value(step),
                    count(turn.turn),
                    count(turn.counts.ok),
                    count(turn.counts.failed),
                    number(turn.prompt_tokens_mean),
                    percent(turn.cached_share),
                    *shown,
                ]
            )
    return Table("Latency by turn", columns, rows)


def _steps(experiment: ExperimentResult) -> list[tuple[StepResult, ConversationFacts]]:
    return [(step, step.conversations) for step in experiment.steps if step.conversations is not None]
