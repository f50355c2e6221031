"""Latencies and token counts of one request, computed from its answer."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from locustfiles.client.answer_parser import ParsedAnswer
from runfolder.records import Request

if TYPE_CHECKING:
    from runfolder.records import FirstChunkSource, TokenSource

TokenCounter = Callable[[str], int | None]
"""Tokens of a text according to the model's own tokenizer; None without a tokenizer."""

_WORD_PIECE = re.compile(r"\w{1,8}|[^\w\s]")
_WORDS_PER_TOKEN = 4
"""Tokenizers in use average fewer words per token; a count that needs more contradicts the text."""
_PIECES_TOLERANCE = 0.1


def fill_metrics(
    request: Request, answer: ParsedAnswer, *, stream: bool, count_tokens: TokenCounter = lambda _: None
) -> None:
    """Fill in latencies and token counts of a request from its answer, each count with its source.

    TTFT, E2E and TPOT are as `Request` defines them. The answer's tokens are the server's count unless it
    contradicts the text, else the tokenizer's, else (streamed) one per piece. The first chunk's tokens are
    the server's running count, else its pieces if a piece is about one token, else the tokenizer's count of
    its text, else its share of the text.
    """
    started = request.started_at

    def since(moment: float | None) -> float | None:
        return None if moment is None else (moment - started) * 1000

    usage, text = answer.usage, "".join(answer.text)
    request.e2e_ms = since(answer.last_at)
    request.finish_reason = None if answer.finish_reason is None else printable(answer.finish_reason)
    request.reasoning_tokens = usage.reasoning_tokens
    request.cached_prompt_tokens = usage.cached_prompt_tokens
    if usage.prompt_tokens is not None:
        request.prompt_tokens, request.prompt_tokens_source = usage.prompt_tokens, "server"
    if stream:
        request.skipped_events = answer.skipped_events
    streamed = stream and answer.first_at is not None
    count, source = _completion_tokens(answer, text, count_tokens, streamed=streamed)
    request.completion_tokens, request.completion_tokens_source = count, source
    if streamed:
        request.ttft_ms = since(answer.first_at)
        request.ttfo_ms = since(answer.first_output_at)
        request.chunks = answer.chunks
        first, first_source = _first_chunk_tokens(answer, text, count, count_tokens)
        request.first_chunk_tokens, request.first_chunk_source = first, first_source
    request.tpot_ms = tpot_ms(request)


def tpot_ms(request: Request) -> float | None:
    """TPOT = (E2E - TTFT) / (n - k), k the tokens of the first chunk, n those of the answer.

    None if a term is unknown, if everything arrived at once, or if no token follows the first chunk.
    """
    count, first = request.completion_tokens, request.first_chunk_tokens
    if request.ttft_ms is None or request.e2e_ms is None or (request.chunks or 0) < 2:
        return None
    if count is None or first is None or count <= first:
        return None
    return (request.e2e_ms - request.ttft_ms) / (count - first)


def _completion_tokens(
    answer: ParsedAnswer, text: str, count_tokens: TokenCounter, *, streamed: bool
) -> tuple[int | None, "TokenSource | None"]:
    count = answer.usage.completion_tokens
    if count is not None and not _contradicts(count, text):
        return count, "server"
    if text and (count := count_tokens(text)) is not None:
        return count, "tokenizer"
    return (answer.pieces, "estimate") if streamed else (None, None)


def _contradicts(count: int, text: str) -> bool:
    """Whether ``count`` tokens are too few for the text."""
    return len(text.split()) > count * _WORDS_PER_TOKEN


def _first_chunk_tokens(
    answer: ParsedAnswer, text: str, count: int | None, count_tokens: TokenCounter
) -> tuple[int, "FirstChunkSource"]:
    pieces = answer.first_chunk_pieces
    if answer.first_chunk_tokens is not None:
        return answer.first_chunk_tokens, "usage"
    if count is None or abs(count - answer.pieces) <= max(1.0, _PIECES_TOLERANCE * count):
        return pieces, "pieces"
    first_text = "".join(answer.text[:pieces])
    if (counted := count_tokens(first_text)) is not None:
        return max(1, counted), "tokenizer"
    share = _word_pieces(first_text) / max(1, _word_pieces(text))
    return min(count, max(1, round(count * share))), "proportion"


def _word_pieces(text: str) -> int:
    return sum(1 for _ in _WORD_PIECE.finditer(text))


def printable(text: str) -> str:
    """The text with lone surrogates, which JSON can hold but UTF-8 cannot, replaced by ``?``."""
    return text.encode(errors="replace").decode()
