"""Make the prompts of a payload that asks for lengths or has a template, once its endpoint exists."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.probing import NoCountsError, count_prompts
from bench.terminal import print_status
from common.errors import writing
from common.formatting import plural
from configs.containers import exact_output
from configs.experiment import Experiment
from configs.lengths import LengthPair
from configs.payload import PayloadRow, read_payload, write_payload
from configs.payload_spec import Language, PayloadSpec
from deploy.aws.clients import Clients
from payloads.asked import asked_lengths
from payloads.files import payload_path
from payloads.generate import Recipe, generate, probes
from payloads.measures import CountedBy, Ruler, Scale, TokenRuler, WordRuler, fit_scale
from runfolder.manifest import MadePrompts, TokenScale

_ESTIMATED_PER_WORD = {"en": 1.05}
_ESTIMATED_PER_OTHER_WORD = 1.5
"""Without any count: a word of another language is more than one token in most vocabularies."""


def make_prompts(spec: PayloadSpec, experiment: Experiment, clients: Clients) -> MadePrompts:
    """Write the rows of ``spec`` to the experiment's payload file.

    Raises:
        UserError: the file with the template cannot be read, the lengths cannot be made, or the disk is full.
    """
    if spec.file is not None:
        rows = read_payload(payload_path(spec.file), spec.template, whole=experiment.conversation is not None)
        _write(experiment.payload, rows)
        return MadePrompts(prompts=len(rows))
    seed = experiment.load.seed
    pairs = asked_lengths(spec, seed, experiment.load.trace)
    ruler: Ruler = TokenRuler.from_file(experiment.tokenizer) if experiment.tokenizer else WordRuler()
    longest = max(pair.prompt for pair in pairs)
    probed = _probe(spec, ruler, longest, experiment, clients)
    scales = probed.scales
    made = generate(Recipe(spec, ruler, scales, seed, experiment.unique_prefix), pairs)
    _write(experiment.payload, made.rows)
    record = MadePrompts(
        lengths=spec.lengths,
        prompts=len(made.rows),
        prompt_tokens=_mean([pair.prompt for pair in pairs]),
        output_tokens=_mean([pair.output for pair in pairs if pair.output is not None]),
        longer_than_asked=made.raised,
        prefix_groups=spec.prefix.groups if spec.prefix else None,
        prefix_share=made.prefix_share,
        scales=[_recorded(language, scale) for language, scale in scales.items()],
        probes=probed.sent,
        no_counts=probed.no_counts,
        exact_output=_exact_parameters(experiment, pairs),
    )
    print_status(_status(record))
    return record


class _Probed(NamedTuple):
    """What the endpoint's counts of some prompts say."""

    scales: dict[Language, Scale]
    sent: int
    no_counts: str | None = None


def _probe(
    spec: PayloadSpec, ruler: Ruler, longest: int, experiment: Experiment, clients: Clients
) -> _Probed:
    """The scale of each language by the endpoint's counts, else an estimate."""
    counted_by: CountedBy = "endpoint" if isinstance(ruler, WordRuler) else "tokenizer"
    scales: dict[Language, Scale] = {}
    sent = 0
    try:
        for language in spec.languages:
            texts = probes(language, ruler, longest, experiment.load.seed)
            counts = count_prompts(clients, experiment, texts)
            sent += len(texts)
            scales[language] = fit_scale(ruler.counts(texts), counts, counted_by)
    except (NoCountsError, ValueError) as error:
        sent += error.sent if isinstance(error, NoCountsError) else 0
        return _Probed(
            {language: _estimate(language, ruler) for language in spec.languages}, sent, str(error)
        )
    return _Probed(scales, sent)


def _estimate(language: Language, ruler: Ruler) -> Scale:
    if isinstance(ruler, WordRuler):
        return Scale(per_unit=_ESTIMATED_PER_WORD.get(language, _ESTIMATED_PER_OTHER_WORD))
    return Scale()


def _recorded(language: Language, scale: Scale) -> TokenScale:
    return TokenScale(
        language=language,
        counted_by=scale.counted_by,
        overhead_tokens=scale.overhead,
        tokens_per_unit=scale.per_unit,
        probes=scale.probes,
        residual=scale.residual,
    )


def _exact_parameters(experiment: Experiment, pairs: Sequence[LengthPair]) -> list[str]:
    asked = any(pair.output for pair in pairs) or experiment.load.trace is not None
    if not asked or experiment.exact_for is None:
        return []
    return sorted(exact_output(experiment.exact_for, experiment.request_schema, 1))


def _status(record: MadePrompts) -> str:
    what = f"{plural(record.prompts, 'prompt')} of {record.lengths} made"
    if record.no_counts:
        return f"{what}; their lengths are estimates, as the endpoint gave no counts: {record.no_counts}"
    residual = max((scale.residual or 0.0 for scale in record.scales), default=0.0)
    return f"{what}; {plural(record.probes, 'probe')} differed by at most {100 * residual:.1f}%"


def _mean(values: Sequence[int]) -> float | None:
    return sum(values) / len(values) if values else None


def _write(path: Path, rows: Sequence[PayloadRow]) -> None:
    with writing(path):
        write_payload(path, rows)
