"""Cut the corpus into prompts with token counts in given buckets. Only the last function writes a file."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from common.files import write_atomically
from payloads.measures import Ruler

QUESTIONS = (
    "What does the speaker ask of Congress in this passage?",
    "What is the main point of this passage?",
    "Which problem does the speaker describe, and what is proposed?",
    "Summarise this passage for a newspaper reader.",
    "What does this passage say about the state of the nation?",
)
_FRAME = (
    "Read this passage from a State of the Union address and answer in at most three sentences.\n\n"
    "{passage}\n\nQuestion: {question}"
)


@dataclass(frozen=True)
class Bucket:
    """Prompts of ``low`` to ``high`` tokens (both included), ``count`` of them."""

    low: int
    high: int
    count: int

    @property
    def file_name(self) -> str:
        """The name that FMBench uses: ``payload_en_1000-2000.jsonl``."""
        return f"payload_en_{self.low}-{self.high}.jsonl"


BUCKETS = (
    Bucket(50, 100, 400),
    Bucket(1, 500, 200),
    Bucket(500, 1000, 100),
    Bucket(1000, 2000, 100),
    Bucket(2000, 3000, 60),
    Bucket(3000, 4000, 60),
    Bucket(305, 3997, 100),
)
"""FMBench's length buckets, and a short one for the small model on this machine."""


@dataclass(frozen=True)
class Prompt:
    """One line of a payload file. ``prompt_tokens`` counts the prompt alone, without a chat template."""

    payload_id: str
    prompt: str
    prompt_tokens: int


@dataclass(frozen=True)
class Corpus:
    """Texts, the token spans of each, and the ruler that measures them."""

    texts: Sequence[str]
    spans: Sequence[Sequence[tuple[int, int]]]
    ruler: Ruler

    @classmethod
    def tokenized(cls, texts: Sequence[str], ruler: Ruler) -> "Corpus":
        """Tokenize every text once."""
        return cls(texts, [ruler.spans(text) for text in texts], ruler)

    def count(self, text: str) -> int:
        """Number of tokens of ``text``."""
        return self.ruler.counts([text])[0]


def build_bucket(bucket: Bucket, corpus: Corpus, seed: int) -> list[Prompt]:
    """Draw ``bucket.count`` prompts, lengths spread evenly over the bucket. Equal seeds, equal prompts."""
    draw = random.Random(f"{seed}/{bucket.low}-{bucket.high}")  # noqa: S311 - reproducible, not secret
    frame_tokens = corpus.count(_FRAME.format(passage="", question=max(QUESTIONS, key=len)))
    wanted = _even_lengths(bucket, frame_tokens)
    draw.shuffle(wanted)
    prompts: list[Prompt] = []
    for length in wanted:
        prompt, tokens = _fit(length, bucket, corpus, draw)
        prompts.append(Prompt(f"{bucket.low}-{bucket.high}-{len(prompts):04d}", prompt, tokens))
    return prompts


def _even_lengths(bucket: Bucket, frame_tokens: int) -> list[int]:
    shortest = min(max(bucket.low, frame_tokens + 8), bucket.high)
    span = bucket.high - shortest
    return [shortest + round(span * i / max(1, bucket.count - 1)) for i in range(bucket.count)]


def _fit(length: int, bucket: Bucket, corpus: Corpus, draw: random.Random) -> tuple[str, int]:
    """One prompt of about ``length`` tokens, always inside the bucket.

    The passage is cut at token borders, and the finished prompt is counted again, as a cut can shift them.
    """
    question = draw.choice(QUESTIONS)
    size = max(1, length - corpus.count(_FRAME.format(passage="", question=question)))
    index = draw.choice([i for i, spans in enumerate(corpus.spans) if len(spans) > size + 8])
    spans = corpus.spans[index]
    start = draw.randrange(len(spans) - size - 8)
    while True:
        passage = corpus.texts[index][spans[start][0] : spans[start + size - 1][1]].strip()
        prompt = _FRAME.format(passage=passage, question=question)
        tokens = corpus.count(prompt)
        if tokens > bucket.high:
            size -= tokens - bucket.high
        elif tokens < bucket.low:
            size += 1
        else:
            return prompt, tokens


def lines(prompts: Sequence[Prompt]) -> Iterator[str]:
    """JSON lines of the prompts."""
    for prompt in prompts:
        yield json.dumps(asdict(prompt), ensure_ascii=False) + "\n"


def write_payload(path: Path, prompts: Sequence[Prompt]) -> None:
    """Write a payload file, atomically."""
    write_atomically(path, "".join(lines(prompts)))
