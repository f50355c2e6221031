"""Prompts of asked lengths: passages of running text, cut until a prompt has the tokens asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from common.errors import UserError
from configs.lengths import LengthPair
from configs.nonce import nonce
from configs.payload import PayloadRow
from configs.payload_spec import Language, PayloadSpec
from configs.trace_text import Passages
from payloads.corpus import running_text, sentence_starts
from payloads.measures import Ruler, Scale, WordRuler

ENDINGS: Mapping[Language, str] = {
    "en": " What is the main point of this?",
    "de": " Fasse den Text oben zusammen.",
    "es": " Resume el texto anterior.",
    "fr": " Résume le texte ci-dessus.",
    "pt": " Resuma o texto acima.",
    "zh": "请总结上面的文字。",
    "ja": "上の文章を要約してください。",
}
_ENDING_FROM = 100
"""Units from which a prompt ends with a question: a shorter one is nearly all question."""
_ROUNDS = 12
_PATIENCE = 3
"""Rounds after which another passage is tried: some cannot be cut to the length."""
_CHARACTERS_PER_UNIT = 8
_TEXT_PER_PROMPTS = 4
"""The running text is this many times as long as all prompts together, within the next two."""
_LEAST_CHARACTERS, _MOST_CHARACTERS = 100_000, 1_500_000
_LEAST_PASSAGE = 3
_PROBE_UNITS = (12, 24, 48, 96, 192, 384)
_MORE_PROBE_UNITS = (96, 192, 384, 768)
"""Further probes of languages whose words differ in their tokens."""
_TOKENIZER_PROBE_UNITS = (12, 48, 192)
"""With the model's tokenizer, only the overhead must be found out."""


def passages(language: Language, ruler: Ruler, units: Sequence[float], seed: str, *, plain: bool) -> Passages:
    """Running text of one language, long enough for prompts of so many units.

    Args:
        language: of the text.
        ruler: measures it.
        units: of each prompt.
        seed: the same seed gives the same text.
        plain: of English, only words that are one token in all usual vocabularies.
    """
    size = _CHARACTERS_PER_UNIT * sum(units) * _TEXT_PER_PROMPTS
    size = min(max(size, _LEAST_CHARACTERS), _MOST_CHARACTERS)
    size = int(max(size, _CHARACTERS_PER_UNIT * max(units)))
    random = Random(f"{seed}/{language}")  # noqa: S311 - reproducible, not secret
    text = running_text(language, size, random, plain=plain)
    return Passages(text, [end for _, end in ruler.spans(text)], sentence_starts(text))


def _source(language: Language, ruler: Ruler, units: Sequence[float], seed: str) -> Passages:
    return passages(language, ruler, units, seed, plain=isinstance(ruler, WordRuler))


@dataclass(frozen=True)
class Recipe:
    """What the prompts are made from, apart from their lengths."""

    spec: PayloadSpec
    ruler: Ruler
    scales: Mapping[Language, Scale]
    """Of each of the spec's languages."""
    seed: int
    unique_prefix: bool
    """Whether a nonce will stand before each prompt."""


class Generated(NamedTuple):
    """The rows of a payload, and how they came out."""

    rows: list[PayloadRow]
    raised: int
    """Prompts whose drawn length was raised, because even an empty one is longer."""
    prefix_share: float
    """Tokens in shared prefixes / tokens of all prompts."""


@dataclass(slots=True)
class _Draft:
    """A prompt that is being cut to its length."""

    number: int
    language: Language
    asked: LengthPair
    target: int
    prefix: str
    prefix_tokens: int
    random: Random
    units: int
    place: int = 0
    passage: str = ""
    error: float = float("inf")


def probes(language: Language, ruler: Ruler, longest: int, seed: int) -> list[str]:
    """Prompts to have the endpoint count, of several sizes up to about ``longest`` tokens."""
    sizes: tuple[int, ...] = _TOKENIZER_PROBE_UNITS
    if isinstance(ruler, WordRuler):
        sizes = _PROBE_UNITS if language == "en" else _PROBE_UNITS + _MORE_PROBE_UNITS
    sizes = tuple(size for size in sizes if size <= max(longest, sizes[1]))
    source = _source(language, ruler, sizes, f"{seed}/probes")
    random = Random(f"{seed}/probes")  # noqa: S311 - reproducible, not secret
    return [
        nonce(f"{seed}/probe/{language}/{number}") + source.passage(source.place(size, random), size)
        for number, size in enumerate(sizes)
    ]


def generate(recipe: Recipe, lengths: Sequence[LengthPair]) -> Generated:
    """One row for each pair of lengths, no two prompts alike; the same recipe gives the same rows.

    Raises:
        UserError: an asked length cannot hold the template and the prefix, or so many different prompts
            cannot be made.
    """
    rate = min(scale.per_unit for scale in recipe.scales.values())
    units = [pair.prompt / rate for pair in lengths]
    sources = {
        language: _source(language, recipe.ruler, units, str(recipe.seed))
        for language in recipe.spec.languages
    }
    drafts = [_draft(recipe, sources, number, pair) for number, pair in enumerate(lengths)]
    _cut_to_length(recipe, sources, drafts)
    tokens = sum(draft.target for draft in drafts)
    return Generated(
        [_row(recipe, draft) for draft in drafts],
        sum(draft.target > draft.asked.prompt for draft in drafts),
        sum(draft.prefix_tokens for draft in drafts) / tokens,
    )


def _draft(recipe: Recipe, sources: Mapping[Language, Passages], number: int, pair: LengthPair) -> _Draft:
    languages, spec = recipe.spec.languages, recipe.spec
    language = languages[number % len(languages)]
    scale = recipe.scales[language]
    prefix, prefix_tokens = "", 0
    if spec.prefix is not None:
        group, prefix_tokens = number % spec.prefix.groups, spec.prefix.tokens_of(pair.prompt)
        origin = languages[group % len(languages)]
        units = round(prefix_tokens / recipe.scales[origin].per_unit)
        chance = Random(f"{recipe.seed}/prefix/{group}")  # noqa: S311 - reproducible, not secret
        start = sources[origin].place(0, chance)
        prefix = sources[origin].passage(start, units) + " "
    # Counted around a word: a space at the end would be a token of its own.
    fixed = recipe.ruler.counts([prefix + _sample_nonce(recipe) + "so"])[0] - 1
    least = round(scale.tokens(fixed + _LEAST_PASSAGE))
    if pair.prompt < least and spec.distribution is not None and spec.distribution.prompt.kind == "D":
        parts = ["the chat template", *(["the unique prefix"] if recipe.unique_prefix else [])]
        parts += ["the shared prefix"] if prefix else []
        raise UserError(
            f"workload.payload: {spec.lengths} asks for prompts of {pair.prompt} tokens, but "
            f"{' and '.join(parts)} take {round(scale.tokens(fixed))}",
            f"ask for at least {least}",
        )
    target = max(pair.prompt, least)
    random = Random(f"{recipe.seed}/{number}")  # noqa: S311 - reproducible, not secret
    draft = _Draft(number, language, pair, target, prefix, prefix_tokens, random, 0)
    ending = recipe.ruler.counts(["so" + _ending(draft, scale)])[0] - 1
    draft.units = max(1, round(scale.units(target) - fixed - ending))
    return draft


def _sample_nonce(recipe: Recipe) -> str:
    return nonce("") if recipe.unique_prefix else ""


def _ending(draft: _Draft, scale: Scale) -> str:
    return ENDINGS[draft.language] if scale.units(draft.target) >= _ENDING_FROM else ""


def _cut_to_length(recipe: Recipe, sources: Mapping[Language, Passages], drafts: Sequence[_Draft]) -> None:
    """Cut the passage of each draft until the prompt has its target length."""
    before = _sample_nonce(recipe)
    seen: dict[str, int] = {}
    pending = list(drafts)
    for turn in range(_ROUNDS):
        texts = []
        for draft in pending:
            source = sources[draft.language]
            if turn == 0 or turn >= _PATIENCE:
                draft.place = source.place(draft.units, draft.random)
            draft.passage = source.passage(draft.place, draft.units)
            ending = _ending(draft, recipe.scales[draft.language])
            texts.append(f"{draft.prefix}{before}{draft.passage}{ending}")
        for draft, units in zip(pending, recipe.ruler.counts(texts), strict=True):
            draft.error = recipe.scales[draft.language].tokens(units) - draft.target
        pending = [draft for draft in pending if not _settled(draft, recipe, seen, last=turn == _ROUNDS - 1)]
        for draft in pending:
            step = round(draft.error / recipe.scales[draft.language].per_unit)
            draft.units = max(1, draft.units - step)
        if not pending:
            return
    raise UserError(
        f"workload.payload: {len(drafts)} different prompts of such lengths cannot be made",
        "lower count, or ask for longer prompts",
    )


def _settled(draft: _Draft, recipe: Recipe, seen: dict[str, int], *, last: bool) -> bool:
    """Whether the draft has its length, within half a unit, and no other prompt has its passage."""
    near = abs(draft.error) <= max(0.5, recipe.scales[draft.language].per_unit / 2)
    return (near or last) and seen.setdefault(draft.passage, draft.number) == draft.number


def _row(recipe: Recipe, draft: _Draft) -> PayloadRow:
    scale = recipe.scales[draft.language]
    return PayloadRow(
        f"{recipe.spec.label}-{draft.number:04d}",
        draft.passage + _ending(draft, scale),
        round(draft.target + draft.error),
        prompt_tokens_source="estimate" if scale.counted_by == "estimate" else "tokenizer",
        asked_prompt_tokens=draft.target,
        output_tokens=draft.asked.output,
        shared_prefix=draft.prefix,
    )
