"""Make the prompts of a payload that asks for lengths or has a template, once its endpoint exists."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from bench.probing import NoCountsError, count_prompts, count_turns
from bench.terminal import print_status
from common.errors import writing
from common.formatting import listed, plural
from configs.containers import exact_output
from configs.experiment import Experiment
from configs.payload import PayloadRow, read_payload, write_payload
from configs.payload_spec import Language, PayloadSpec
from deploy.aws.clients import Clients
from payloads.asked import asked_lengths
from payloads.files import payload_path
from payloads.generate import Recipe, generate, probes
from payloads.measures import CountedBy, Ruler, Scale, TokenRuler, WordRuler, fit_scale
from payloads.trace_texts import trace_texts
from runfolder.manifest import MadePrompts, TokenScale
from runfolder.replayed_trace import TraceRow, read_trace_rows

_ESTIMATED_PER_WORD = {"en": 1.05}
_ESTIMATED_PER_OTHER_WORD = 1.5
"""Without any count: a word of another language is more than one token in most vocabularies."""


def make_prompts(spec: PayloadSpec, experiment: Experiment, clients: Clients) -> MadePrompts:
    """Write the rows of ``spec`` to the experiment's payload file.

    Raises:
        UserError: the file with the template cannot be read, the lengths cannot be made, or the disk is full.
    """
    replay = experiment.load.trace
    if replay is not None and spec.replays(replay.file):
        return _make_trace_texts(spec, experiment, clients)
    rows, record = _made(spec, experiment, clients)
    _write(experiment.payload, rows)
    return record


def make_mix(specs: Sequence[PayloadSpec], experiment: Experiment, clients: Clients) -> MadePrompts:
    """Write the rows of every part of a mix, each with its part, to the experiment's payload file.

    Raises:
        UserError: as `make_prompts`.
    """
    made = [_made(spec, experiment, clients) for spec in specs]
    rows = [
        replace(row, part=spec.label, payload_id=f"{spec.label}/{row.payload_id}")
        for spec, (own, _) in zip(specs, made, strict=True)
        for row in own
    ]
    _write(experiment.payload, rows)
    records = [record for _, record in made]
    prefixed = sum(record.prefix_share * record.prompts for record in records)
    return MadePrompts(
        lengths=f"a mix of {listed([f'{count} × {part}' for part, count in experiment.mix.items()])}",
        prompts=len(rows),
        longer_than_asked=sum(record.longer_than_asked for record in records),
        prefix_share=prefixed / len(rows),
        scales=[scale for record in records for scale in record.scales],
        probes=sum(record.probes for record in records),
        no_counts=next((record.no_counts for record in records if record.no_counts), None),
        exact_output=sorted({name for record in records for name in record.exact_output}),
    )


def _made(
    spec: PayloadSpec, experiment: Experiment, clients: Clients
) -> tuple[Sequence[PayloadRow], MadePrompts]:
    """The rows of a payload, and how they were made."""
    if spec.file is not None:
        rows = read_payload(payload_path(spec.file), spec.template, whole=experiment.conversation is not None)
        return rows, MadePrompts(prompts=len(rows))
    seed = experiment.load.seed
    pairs = asked_lengths(spec, seed)
    ruler: Ruler = TokenRuler.from_file(experiment.tokenizer) if experiment.tokenizer else WordRuler()
    longest = max(pair.prompt for pair in pairs)
    probed = _probe(spec, ruler, longest, experiment, clients)
    scales = probed.scales
    made = generate(Recipe(spec, ruler, scales, seed, experiment.unique_prefix), pairs)
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
        exact_output=_exact_parameters(experiment, asked=any(pair.output for pair in pairs)),
    )
    print_status(_status(record))
    return made.rows, record


def _make_trace_texts(spec: PayloadSpec, experiment: Experiment, clients: Clients) -> MadePrompts:
    """Write the text from which the prompts of the replayed trace are made when they are sent."""
    rows = read_trace_rows(experiment.run_folder)
    lengths = [row.prompt_tokens for row in rows if row.prompt_tokens]
    ruler: Ruler = TokenRuler.from_file(experiment.tokenizer) if experiment.tokenizer else WordRuler()
    probed = _probe(spec, ruler, max(lengths), experiment, clients)
    turns = _probe_turns(ruler, probed, experiment, clients) if any(row.session for row in rows) else {}
    texts = trace_texts(spec, lengths, ruler, probed.scales, turn_overheads=turns, seed=experiment.load.seed)
    _write(experiment.payload, texts)
    least = min(scale.tokens(1) for scale in probed.scales.values())
    outputs = [row.output_tokens for row in rows if row.output_tokens]
    record = MadePrompts(
        lengths=spec.lengths,
        prompts=len(rows),
        replayed=True,
        prompt_tokens=_mean(lengths),
        output_tokens=_mean(outputs),
        longer_than_asked=sum(length < round(least) for length in lengths),
        prefix_groups=_prefix_groups(spec, rows),
        prefix_share=_prefix_share(spec, rows, sum(lengths)),
        scales=[_recorded(language, scale) for language, scale in probed.scales.items()],
        probes=probed.sent + len(turns),
        no_counts=probed.no_counts,
        exact_output=_exact_parameters(experiment, asked=bool(outputs)),
    )
    print_status(_status(record))
    return record


def _prefix_groups(spec: PayloadSpec, rows: Sequence[TraceRow]) -> int | None:
    """Different beginnings that prompts share; None if they share none."""
    if spec.prefix is not None:
        return spec.prefix.groups
    return len({row.blocks[0] for row in rows if row.blocks}) or None


def _prefix_share(spec: PayloadSpec, rows: Sequence[TraceRow], tokens: int) -> float:
    """Tokens of prompts that an earlier prompt began with too / tokens of all prompts."""
    if (planned := spec.prefix) is not None:
        return sum(planned.tokens_of(row.prompt_tokens) for row in rows if row.prompt_tokens) / tokens
    seen: set[int] = set()
    repeated = 0
    for row in rows:
        known = sum(block in seen for block in row.blocks) * (row.block_tokens or 0)
        repeated += min(known, row.prompt_tokens or 0)
        seen.update(row.blocks)
    return repeated / tokens


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


def _probe_turns(
    ruler: Ruler, probed: _Probed, experiment: Experiment, clients: Clients
) -> dict[Language, float]:
    """Tokens of the template around a further turn and the answer before it, by the endpoint's counts.

    Formula: tokens of a prompt of two turns − template of one turn − text of both turns and the answer.
    """
    if probed.no_counts is not None:
        return {}
    found: dict[Language, float] = {}
    for language, scale in probed.scales.items():
        texts = probes(language, ruler, 100, experiment.load.seed)[:2]
        said = [texts[0], texts[1], texts[0]]
        try:
            [tokens] = count_turns(clients, experiment, [said])
        except NoCountsError:
            return {}
        found[language] = tokens - scale.tokens(sum(ruler.counts(said)))
    return found


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


def _exact_parameters(experiment: Experiment, *, asked: bool) -> list[str]:
    asked = asked or experiment.load.trace is not None
    if not asked or experiment.exact_for is None:
        return []
    return sorted(exact_output(experiment.exact_for, experiment.request_schema, 1))


def _status(record: MadePrompts) -> str:
    what = f"{plural(record.prompts, 'prompt')} of {record.lengths} made"
    if record.replayed:
        what = f"text for {plural(record.prompts, 'prompt')} of {record.lengths} made"
    if record.no_counts:
        return f"{what}; their lengths are estimates, as the endpoint gave no counts: {record.no_counts}"
    residual = max((scale.residual or 0.0 for scale in record.scales), default=0.0)
    probes = plural(record.probes, "probe")
    return f"{what}; the endpoint's counts of {probes} were at most {100 * residual:.1f}% off"


def _mean(values: Sequence[int]) -> float | None:
    return sum(values) / len(values) if values else None


def _write(path: Path, rows: Sequence[PayloadRow]) -> None:
    with writing(path):
        write_payload(path, rows)
