"""Latencies and token counts of one request, from what its answer told."""

from typing import TYPE_CHECKING

from locustfiles.answers import Answer
from runfolder.records import Request

if TYPE_CHECKING:
    from runfolder.records import TokenSource


def fill_measures(request: Request, answer: Answer, *, stream: bool) -> None:
    """Latencies and token counts of a request from its answer.

    TTFT, E2E and TPOT as `Request` defines them; TPOT = (E2E - TTFT) / (n - k), k the tokens of the first
    chunk, and none below two tokens or where all came at once.
    """
    started = request.started_at

    def since(moment: float | None) -> float | None:
        return None if moment is None else (moment - started) * 1000

    request.e2e_ms = since(answer.last_at)
    request.finish_reason = None if answer.finish_reason is None else printable(answer.finish_reason)
    request.reasoning_tokens = answer.reasoning_tokens
    if answer.prompt_tokens is not None:
        request.prompt_tokens, request.prompt_tokens_source = answer.prompt_tokens, "server"
    if stream and answer.first_at is not None:
        request.ttft_ms = since(answer.first_at)
        request.ttfo_ms = since(answer.first_output_at)
        request.chunks = answer.chunks
        request.first_chunk_tokens = answer.first_chunk_tokens or answer.first_chunk_pieces
    if answer.completion_tokens is not None:
        set_completion_tokens(request, answer.completion_tokens, "server")
    elif request.chunks:  # a stream's pieces are about tokens
        set_completion_tokens(request, answer.pieces, "estimate")


def set_completion_tokens(request: Request, count: int, source: "TokenSource") -> None:
    """Enter the count of the answer's tokens, and TPOT, which follows from it."""
    request.completion_tokens, request.completion_tokens_source = count, source
    request.tpot_ms = None
    if request.ttft_ms is None or request.e2e_ms is None or (request.chunks or 0) < 2:
        return
    later_tokens = count - (request.first_chunk_tokens or 0)
    if later_tokens > 0:
        request.tpot_ms = (request.e2e_ms - request.ttft_ms) / later_tokens


def printable(text: str) -> str:
    """Without the half characters that JSON can hold and no file can."""
    return text.encode(errors="replace").decode()
