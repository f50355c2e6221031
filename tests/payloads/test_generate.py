"""Prompts of asked lengths: exact by a tokenizer, by an endpoint's counts, and never two alike."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UserError
from common.paths import PROJECT
from configs.lengths import LengthPair
from configs.nonce import NONCE_WORDS, nonce
from configs.payload import PayloadRow, read_payload, with_prefix, write_payload
from configs.payload_spec import Language, PayloadSpec
from emulator.model import ensure_tokenizer
from payloads.asked import asked_lengths
from payloads.corpus import plain_sentences
from payloads.generate import Generated, Recipe, generate, probes
from payloads.measures import Ruler, Scale, TokenRuler, WordRuler, fit_scale

TEMPLATE_TOKENS = 30


@cache
def tokenizer() -> TokenRuler:
    """The model's own tokenizer: a stand-in for the endpoint's count, and a ruler."""
    return TokenRuler.from_file(ensure_tokenizer(PROJECT / ".cache" / "models"))


def counted(prompts: Sequence[str]) -> list[int]:
    """As the endpoint would count them in its usage."""
    return [TEMPLATE_TOKENS + tokens for tokens in tokenizer().counts(prompts)]


def made(
    ruler: Ruler, seed: int = 1, *, unique_prefix: bool = True, **keys: Any
) -> tuple[list[LengthPair], Generated]:
    spec = PayloadSpec.model_validate(keys)
    pairs = asked_lengths(spec, seed)
    scales: dict[Language, Scale] = {}
    for language in spec.languages:
        texts = probes(language, ruler, max(pair.prompt for pair in pairs), seed)
        by = "tokenizer" if isinstance(ruler, TokenRuler) else "endpoint"
        scales[language] = fit_scale(ruler.counts(texts), counted(texts), by)  # type: ignore[arg-type]
    return pairs, generate(Recipe(spec, ruler, scales, seed, unique_prefix), pairs)


def sent(rows: Sequence[PayloadRow]) -> list[str]:
    """The prompts with a nonce of their own, as users send them."""
    return [(with_prefix(row, nonce(f"request {n}")) or row).text for n, row in enumerate(rows)]


@pytest.mark.parametrize(
    "lengths", ["D(60)/(9)", "D(1000)/(100)", "N(480,100)/(300,150)", "U(50,2000)/(20,40)"]
)
@pytest.mark.parametrize("ruler", ["tokenizer", "words"])
def test_every_prompt_has_the_tokens_that_were_asked_for(lengths: str, ruler: str) -> None:
    pairs, payload = made(tokenizer() if ruler == "tokenizer" else WordRuler(), lengths=lengths, count=20)
    asked = [max(pair.prompt, 0) for pair in pairs]
    assert counted(sent(payload.rows)) == asked, "to the token, whatever the nonce"
    assert [row.output_tokens for row in payload.rows] == [pair.output for pair in pairs]
    assert [row.asked_prompt_tokens for row in payload.rows] == asked
    assert payload.raised == 0


def test_other_languages_are_near_without_a_tokenizer_and_exact_with_it() -> None:
    keys: dict[str, Any] = {
        "lengths": "D(900)",
        "count": 6,
        "languages": ["de", "es", "fr", "pt", "zh", "ja"],
    }
    _, near = made(WordRuler(), **keys)
    assert counted(sent(near.rows)) == pytest.approx([900] * 6, rel=0.05)
    assert any("ü" in row.prompt for row in near.rows)
    assert any("。" in row.prompt for row in near.rows)
    _, exact = made(tokenizer(), lengths="D(300)", count=4, languages=["de", "zh"])
    assert counted(sent(exact.rows)) == pytest.approx([300] * 4, abs=1)


def test_the_same_seed_gives_the_same_bytes_and_no_two_prompts_are_alike(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"lengths": "D(60)/(10)", "count": 300}
    first, again = (made(WordRuler(), **keys)[1].rows for _ in range(2))
    assert first == again
    assert len({row.prompt for row in first}) == 300
    assert made(WordRuler(), seed=2, **keys)[1].rows != first
    write_payload(tmp_path / "rows.jsonl", first)
    assert read_payload(tmp_path / "rows.jsonl") == first, "a file keeps all of a row"


def test_prompts_of_a_group_share_their_prefix_and_others_do_not() -> None:
    _, payload = made(WordRuler(), lengths="D(400)/(5)", count=20, prefix={"groups": 4, "tokens": 200})
    prefixes = [row.shared_prefix for row in payload.rows]
    assert len(set(prefixes)) == 4
    assert prefixes[:4] == prefixes[4:8]
    assert tokenizer().counts(prefixes[:4]) == pytest.approx([200] * 4, abs=2)
    assert payload.prefix_share == 0.5
    assert counted(sent(payload.rows)) == [400] * 20
    one, other = sent([payload.rows[0], payload.rows[4]])
    assert one.startswith(prefixes[0])
    assert other.startswith(prefixes[0]), "the nonce stands after what is shared"


def test_a_share_of_every_prompt_is_shared() -> None:
    pairs, payload = made(WordRuler(), lengths="U(200,800)/(5,6)", count=20, prefix={"share": 0.25})
    shared = tokenizer().counts([row.shared_prefix for row in payload.rows])
    assert shared == pytest.approx([pair.prompt / 4 for pair in pairs], abs=2)
    longest = max((row.shared_prefix for row in payload.rows), key=len)
    assert all(longest.startswith(row.shared_prefix.strip()) for row in payload.rows)


def test_a_thousand_long_prompts_take_a_few_rounds_of_counting() -> None:
    class Counting(WordRuler):
        counted_texts = 0

        def counts(self, texts: Sequence[str]) -> list[int]:
            self.counted_texts += sum(len(text) > 1000 for text in texts)
            return super().counts(texts)

    ruler = Counting()
    spec = PayloadSpec(lengths="D(4000)/(1)", count=1000)
    scales: dict[Language, Scale] = {"en": Scale(30.0, 1.0, "endpoint")}
    payload = generate(Recipe(spec, ruler, scales, 1, unique_prefix=True), asked_lengths(spec, 1))
    assert len(payload.rows) == 1000
    assert ruler.counted_texts <= 1100, "each prompt is counted about once"


def test_what_does_not_fit_into_a_prompt_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"prompts of 20 tokens, but the chat template and the unique prefix take 3\d"
    ):
        made(WordRuler(), lengths="D(20)/(5)")
    with pytest.raises(UserError, match="and the shared prefix take"):
        made(WordRuler(), lengths="D(300)/(5)", prefix={"tokens": 290})
    with pytest.raises(UserError, match="different prompts of such lengths cannot be made"):
        made(WordRuler(), lengths="D(39)/(5)", count=5000)
    pairs, payload = made(WordRuler(), lengths="U(5,100)/(5,6)", count=50)
    shortest = min(row.asked_prompt_tokens or 0 for row in payload.rows)
    assert payload.raised == sum(pair.prompt < shortest for pair in pairs) > 0
    assert counted(sent(payload.rows)) == [max(pair.prompt, shortest) for pair in pairs]


def test_plain_sentences_have_one_token_for_each_word_and_mark() -> None:
    sentences = plain_sentences()
    assert len(sentences) > 4000
    # After a word, as in a prompt.
    texts = [f"so {sentence}" for sentence in sentences]
    assert tokenizer().counts(texts) == WordRuler().counts(texts)


def test_a_nonce_has_the_same_number_of_tokens_whatever_its_value() -> None:
    assert len(set(NONCE_WORDS)) == 256
    assert set(tokenizer().counts([nonce(str(n)) + "so" for n in range(2000)])) == {6}
    assert len({nonce(str(n)) for n in range(2000)}) == 2000


@given(
    overhead=st.integers(0, 60),
    rate=st.floats(0.8, 3.0),
    sizes=st.lists(st.integers(10, 900), min_size=2, max_size=9),
)
def test_the_scale_is_found_from_counts(overhead: int, rate: float, sizes: list[int]) -> None:
    if len(set(sizes)) == 1:
        with pytest.raises(ValueError, match="one size"):
            fit_scale(sizes, [overhead + 1] * len(sizes), "endpoint")
        return
    tokens = [max(1, round(overhead + rate * size)) for size in sizes]
    if len({size // 20 for size in sizes}) < 2:
        return
    scale = fit_scale(sizes, tokens, "endpoint")
    assert scale.residual is not None
    assert max(abs(scale.tokens(u) / t - 1) for u, t in zip(sizes, tokens, strict=True)) == pytest.approx(
        scale.residual
    )
    assert all(abs(scale.tokens(u) - t) < 2 for u, t in zip(sizes, tokens, strict=True))


def test_lengths_of_a_trace_are_drawn_from_it(tmp_path: Path) -> None:
    trace = tmp_path / "t.csv"
    trace.write_text("time,prompt_tokens,output_tokens\n0,100,10\n1,200,20\n2,400,40\n")
    pairs = asked_lengths(PayloadSpec(lengths=str(trace), count=90), 1)
    assert set(pairs) == {(100, 10), (200, 20), (400, 40)}
    assert len(pairs) == 90
    with pytest.raises(UserError, match="lengths '1000/100' is neither a distribution nor a trace file"):
        asked_lengths(PayloadSpec(lengths="1000/100"), 1)
    (tmp_path / "u.csv").write_text("time\n0\n1\n")
    with pytest.raises(UserError, match="has no prompt lengths"):
        asked_lengths(PayloadSpec(lengths=str(tmp_path / "u.csv")), 1)
