"""A quick check in one paragraph of plain words."""

from analysis.decide.quick import QuickFacts
from common.formatting import count, hourly_price, listed, milliseconds, number, percent, plural

_FORMATS = {
    "openai": "OpenAI's chat format",
    "completions": "OpenAI's completions format",
    "tgi": "TGI's format",
    "lmi": "LMI's format",
}
_MEANINGS = {
    "ttft": ("the first token arrives after", "TTFT"),
    "tpot": ("each further token takes", "TPOT"),
    "e2e": ("the whole answer takes", "E2E"),
}


def quick_text(facts: QuickFacts, next_command: str) -> str:
    """The paragraph: whether the endpoint works, how it answers, how fast, at what price, and what is next.

    Args:
        facts: of the check.
        next_command: the command to run next.
    """
    if not facts.works:
        return f"{_broken(facts)} {_price(facts)}Next: {next_command}"
    sentences = [_works(facts), _streaming(facts), _speed(facts)]
    return f"{' '.join(filter(None, sentences))} {_price(facts)}Next: {next_command}"


def _broken(facts: QuickFacts) -> str:
    if facts.error:
        return f"{facts.endpoint} does not work: {facts.error}."
    if facts.failed:
        classes = listed([f"{times:,} × {kind}" for kind, times in facts.errors.items()])
        which = f" ({classes})" if classes else ""
        return f"{facts.endpoint} does not work: all {plural(facts.failed, 'request')} failed{which}."
    return f"{facts.endpoint} gave no answer in the time of the check."


def _works(facts: QuickFacts) -> str:
    form = _FORMATS.get(facts.schema or "", f"the format {facts.schema}")
    known = f" in {form} (schema: {facts.schema})" if facts.schema else ""
    if not facts.failed:
        return f"{facts.endpoint} works: it answered all {plural(facts.answered, 'request')}{known}."
    classes = listed([f"{times:,} × {kind}" for kind, times in facts.errors.items()])
    which = f" ({classes})" if classes else ""
    return (
        f"{facts.endpoint} works with failures: it answered {plural(facts.answered, 'request')}{known}, and "
        f"{facts.failed:,} failed{which}."
    )


def _streaming(facts: QuickFacts) -> str:
    chunks, share = count(facts.chunks), percent(facts.spread)
    match facts.streams:
        case "steadily":
            return f"It really streams: the {chunks} chunks of an answer arrive over {share} of its time."
        case "in_blocks":
            each = number((facts.completion_tokens or 0.0) / (facts.chunks or 1.0), 2)
            return (
                f"It streams in blocks: about {each} tokens at a time, in {chunks} chunks over {share} of an "
                "answer's time."
            )
        case "at_once":
            return (
                "It does not really stream: the whole answer arrives at once at its end, so its TTFT means "
                "nothing. Look for a proxy or a setting of the container that collects the answer."
            )
        case _:
            return "It does not stream: it sends each answer as a whole, so there is no TTFT and no TPOT."


def _speed(facts: QuickFacts) -> str:
    shown = [_median(facts, name) for name in facts.latency]
    if not shown:
        return ""
    lengths = ""
    if facts.prompt_tokens is not None and facts.completion_tokens is not None:
        prompt, answer = count(facts.prompt_tokens), count(facts.completion_tokens)
        lengths = f", with prompts of {prompt} and answers of {answer} tokens on average"
    sure = all(latency.low_ms is not None for latency in facts.latency.values())
    intervals = "with 95% intervals" if sure else "too few for intervals"
    return (
        f"For one user{lengths}, {listed(shown)}. These are medians of "
        f"{plural(facts.answered, 'request')}, {intervals}."
    )


def _median(facts: QuickFacts, name: str) -> str:
    latency, (meaning, short) = facts.latency[name], _MEANINGS[name]
    interval = ""
    if latency.low_ms is not None and latency.high_ms is not None:
        interval = f", {milliseconds(latency.low_ms)} to {milliseconds(latency.high_ms)}"
    speed = f", which is {number(facts.tokens_per_s)} tokens/s" if name == "tpot" else ""
    return f"{meaning} {milliseconds(latency.p50_ms)} ({short}{interval}{speed})"


def _price(facts: QuickFacts) -> str:
    if facts.deployed is None:
        return "What it costs is not known, because its instances could not be described. "
    if facts.usd_per_hour is None:
        return f"It runs on {facts.deployed}; no price is known. "
    price = f"{hourly_price(facts.usd_per_hour)} per hour"
    if facts.price_assumed:
        return f"It runs on {facts.deployed}, at an assumed price of {price}. "
    source = f" ({facts.price_source})" if facts.price_source else ""
    return f"It runs on {facts.deployed}, which costs {price}{source}. "
