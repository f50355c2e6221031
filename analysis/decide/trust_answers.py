"""Trust checks of the answers themselves: their lengths, where their counts come from, and caches."""

from analysis.measure.answers import AnswerFacts
from analysis.measure.results import Level, StepResult
from common.formatting import count, number, percent, plural

SHORT_VOID = 0.25
"""Answers that are on average this much off the asked length are other work than the plan's."""
NEARLY_ALL = 0.01
"""A share of answers of another length that is not worth a reason: a context may be full."""
PROMPTS_WARN = 0.02
"""A mean difference from the asked lengths that is not worth a reason."""
CACHED_WARN = 0.10
"""Less than a tenth of the prompt is a chat template or a system prompt, which every request shares."""
CONTRADICTED_VOID = 0.05


def check_lengths(step: StepResult) -> None:
    """Answers of another length than the plan demands of every one, or a row of its own."""
    facts = step.answers
    own = facts.output_lengths
    if facts.asked.exact_rows and own.asked_mean and own.counted_mean is not None:
        for how, answers in (("shorter", own.shorter), ("longer", own.longer)):
            if answers > NEARLY_ALL * own.compared:
                _other_length_than_its_own(step, how, answers)
    mean, asked = facts.mean_tokens, facts.asked
    if mean is None:
        return
    if asked.at_least is not None and facts.shorter > NEARLY_ALL * facts.counted:
        _other_length(step, facts, "shorter", facts.shorter, asked.at_least)
    if asked.at_most is not None and facts.longer > NEARLY_ALL * facts.counted:
        _other_length(step, facts, "longer", facts.longer, asked.at_most)


def _other_length(step: StepResult, facts: AnswerFacts, how: str, answers: int, asked: int) -> None:
    mean = facts.mean_tokens or 0.0
    level: Level = "void" if abs(mean / asked - 1) > SHORT_VOID else "warn"
    bound = "at least" if how == "shorter" else "at most"
    text = (
        f"{percent(answers / facts.counted)} of the answers are {how} than asked: {bound} {count(asked)} "
        f"tokens were asked for, and the mean is {number(mean)}"
    )
    step.trust.add(
        level,
        f"answers_{how}_than_asked",
        text,
        asked_tokens=asked,
        mean_tokens=mean,
        share=answers / facts.counted,
    )


def _other_length_than_its_own(step: StepResult, how: str, answers: int) -> None:
    own = step.answers.output_lengths
    asked, mean, mismatch = own.asked_mean or 0.0, own.counted_mean or 0.0, own.mismatch or 0.0
    text = (
        f"{percent(answers / own.compared)} of the answers are {how} than asked: {number(asked)} tokens were "
        f"asked for on average, and the mean is {number(mean)}"
    )
    step.trust.add(
        "void" if mismatch > SHORT_VOID else "warn",
        f"answers_{how}_than_asked",
        text,
        asked_tokens=asked,
        mean_tokens=mean,
        share=answers / own.compared,
    )


def check_prompt_lengths(step: StepResult) -> None:
    """Prompts of another length than was asked for."""
    own, estimated = step.answers.prompt_lengths, step.answers.estimated_prompts
    if estimated:
        text = "the lengths of the prompts are estimates: the endpoint counts no prompt tokens"
        step.trust.add("warn", "estimated_prompt_lengths", text, prompts=estimated)
    if own.mismatch is None or own.mismatch <= PROMPTS_WARN:
        return
    text = (
        f"the prompts differ from the asked lengths by {percent(own.mismatch)} on average: "
        f"{number(own.asked_mean)} tokens were asked for, and the server counted {number(own.counted_mean)}"
    )
    level: Level = "void" if own.mismatch > SHORT_VOID else "warn"
    step.trust.add(
        level,
        "prompts_of_other_lengths",
        text,
        asked_tokens=own.asked_mean,
        mean_tokens=own.counted_mean,
        mismatch=own.mismatch,
    )


def check_tokens(step: StepResult) -> None:
    """Where the token counts come from, and whether they can be."""
    sources, surplus = step.provenance.token_sources, step.provenance.more_chunks_than_tokens
    total = sum(sources.values())
    guessed, unknown = sources.get("estimate", 0), sources.get("unknown", 0)
    if guessed:
        text = f"{percent(guessed / total)} of the token counts are estimates"
        step.trust.add("warn", "estimated_tokens", text, share=guessed / total)
    if unknown:
        text = f"{percent(unknown / total)} of the answers have no token count"
        step.trust.add("warn", "no_token_counts", text, share=unknown / total)
    if surplus:
        step.trust.add(
            "warn",
            "more_chunks_than_tokens",
            f"token counts disagree: {plural(surplus, 'answer')} with more chunks than tokens",
            answers=surplus,
        )


def check_contradictions(step: StepResult) -> None:
    """Counts that what arrived contradicts: more tokens than bytes, or no token beside content."""
    if not step.answers.contradicted:
        return
    share = step.answers.contradicted / max(1, step.window_counts.ok)
    text = (
        f"{percent(share)} of the answers state a token count that contradicts what arrived "
        "(more tokens than bytes, or none beside text): these counts are left out"
    )
    uncounted = not step.throughput.completion_tokens_per_s
    level: Level = "void" if share > CONTRADICTED_VOID and uncounted else "warn"
    step.trust.add(level, "token_counts_contradict_text", text, share=share)


def check_cache(step: StepResult) -> None:
    """Prompts that the server did not have to read. Of a conversation, only the first turn counts."""
    share, whose = step.answers.cached_share, "the prompt tokens"
    if step.conversations is not None:
        share = next((turn.cached_share for turn in step.conversations.turns if turn.turn == 1), None)
        whose = "the prompt tokens of first turns"
    if share is not None and share > CACHED_WARN + step.answers.shared_prefix:
        text = f"{percent(share)} of {whose} came from the server's cache: TTFT is of a warm cache"
        step.trust.add("warn", "cached_prompts", text, share=share)


def check_events(step: StepResult) -> None:
    """Events of an unknown kind in the answers' streams."""
    answers = step.answers.with_skipped_events
    if answers:
        share = answers / max(1, step.window_counts.ok)
        text = f"{percent(share)} of the answers held events of an unknown kind, which were skipped"
        step.trust.add("warn", "skipped_events", text, answers=answers, share=share)


ANSWER_CHECKS = (
    check_lengths,
    check_prompt_lengths,
    check_tokens,
    check_contradictions,
    check_cache,
    check_events,
)
