"""Sentences about the lengths that were asked for, and about the prompts that were made for a run."""

from analysis.measure.lengths import LengthMatch
from analysis.measure.results import ExperimentResult, StepResult
from common.formatting import ABSENT, count, listed, number, percent, plural
from runfolder.manifest import MadePrompts, TokenScale

_COUNTERS = {
    "tokenizer": "the model's tokenizer and the endpoint's template",
    "endpoint": "the endpoint's own counts",
    "estimate": "an estimate, without any count",
}


def made_prompts_text(experiment: ExperimentResult) -> str | None:
    """How an experiment's prompts were made; None if they are those of a file."""
    made = experiment.made_prompts
    if made is None or made.lengths is None:
        return None
    parts = [f"{plural(made.prompts, 'prompt')} of {made.lengths}", *(_scale(made, s) for s in made.scales)]
    if made.longer_than_asked:
        parts.append(f"{count(made.longer_than_asked)} of the lengths were raised to the shortest possible")
    if made.prefix_groups:
        groups = plural(made.prefix_groups, "group")
        share = percent(made.prefix_share)
        if made.replayed:
            parts.append(
                f"{groups} of prompts that begin alike, as in the trace; {share} of the prompt tokens repeat "
                "the beginning of an earlier prompt"
            )
        else:
            parts.append(f"{groups} with a shared prefix, {share} of the prompt tokens")
    if made.exact_output:
        parts.append(f"answers are kept from ending early by {listed(made.exact_output)}")
    return "; ".join(parts)


def _scale(made: MadePrompts, scale: TokenScale) -> str:
    name = f"{scale.language}: " if len(made.scales) > 1 else ""
    by = f"{name}lengths by {_COUNTERS.get(scale.counted_by, scale.counted_by)}"
    if scale.residual is None:
        return f"{by} ({made.no_counts})" if made.no_counts else by
    unit = "token of the tokenizer" if scale.counted_by == "tokenizer" else "word or mark"
    return (
        f"{by} ({plural(scale.probes, 'probe')}: {number(scale.overhead_tokens)} tokens of template, "
        f"{scale.tokens_per_unit:.2f} per {unit}, largest error {100 * scale.residual:.1f}%)"
    )


def asked_lengths_text(step: StepResult) -> str | None:
    """``prompt 1,000 tokens (0.0% off), answer 100 tokens (0.3% off)``; None if no row asked for a length."""
    parts = [
        f"{name} {_mean(match)}"
        for name, match in (("prompt", step.answers.prompt_lengths), ("answer", step.answers.output_lengths))
        if match.compared
    ]
    return ", ".join(parts) or None


def _mean(match: LengthMatch) -> str:
    off = ABSENT if match.mismatch is None else f"{100 * match.mismatch:.1f}%"
    return f"{number(match.asked_mean)} tokens on average (counted {number(match.counted_mean)}, {off} off)"
