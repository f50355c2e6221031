"""Prompts have the length that their file's name promises, and equal seeds give equal prompts."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import UserError
from configs.payload import read_payload
from payloads.build import BUCKETS, Bucket, Corpus, build_bucket, write_payload
from payloads.corpus import speeches
from payloads.files import payload_path
from payloads.measures import WordRuler

CORPUS = Corpus.tokenized(speeches()[-6:], WordRuler())


@settings(max_examples=40, deadline=None)
@given(low=st.integers(1, 1500), width=st.integers(0, 800), count=st.integers(1, 6), seed=st.integers(0, 9))
def test_every_prompt_lies_in_its_bucket(low: int, width: int, count: int, seed: int) -> None:
    bucket = Bucket(max(low, 60), max(low, 60) + width, count)
    prompts = build_bucket(bucket, CORPUS, seed)
    assert len(prompts) == count
    for prompt in prompts:
        assert prompt.prompt_tokens == CORPUS.count(prompt.prompt)
        assert bucket.low <= prompt.prompt_tokens <= bucket.high


def test_equal_seeds_give_equal_prompts_and_others_do_not() -> None:
    bucket = Bucket(100, 200, 5)
    assert build_bucket(bucket, CORPUS, 1) == build_bucket(bucket, CORPUS, 1)
    assert build_bucket(bucket, CORPUS, 1) != build_bucket(bucket, CORPUS, 2)


def test_lengths_fill_the_bucket() -> None:
    lengths = sorted(p.prompt_tokens for p in build_bucket(Bucket(200, 400, 50), CORPUS, 3))
    assert lengths[0] < 220
    assert lengths[-1] > 380
    assert 280 < sum(lengths) / len(lengths) < 320


def test_the_seeds_buckets_are_built() -> None:
    names = {bucket.file_name for bucket in BUCKETS}
    assert {"payload_en_1000-2000.jsonl", "payload_en_1-500.jsonl", "payload_en_305-3997.jsonl"} <= names


def test_a_label_a_file_name_and_a_path_mean_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "payload_en_7-9.jsonl"
    write_payload(path, build_bucket(Bucket(100, 120, 2), CORPUS, 1))
    for name in ("en_7-9", "payload_en_7-9.jsonl", str(path)):
        assert payload_path(name, tmp_path) == path.resolve()
    assert [row.payload_id for row in read_payload(path)] == ["100-120-0000", "100-120-0001"]


def test_a_payload_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "payload_en_7-9.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=r"no payload 'en_1-2'; name a file, or one of en_7-9"):
        payload_path("en_1-2", tmp_path)
