"""What the llama container reads from its environment: llama.cpp's options and the model file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from common.errors import UserError
from emulator.model import ensure_model

PREFIX = "SM_LLAMA_CPP_"
CONTEXT_PER_SLOT = 2560
DEFAULT_SLOTS = 8
_IGNORED = ("HOST", "PORT", "MODEL", "JINJA", "CONT_BATCHING", "METRICS")
"""Options of the image that are fixed here."""


def _flag(text: str) -> bool:
    return text.lower() not in ("", "0", "false", "off", "no")


OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "PARALLEL": ("n_parallel", int),
    "CTX_SIZE": ("n_ctx", int),
    "BATCH_SIZE": ("n_batch", int),
    "UBATCH_SIZE": ("n_ubatch", int),
    "N_PREDICT": ("n_predict", int),
    "THREADS": ("cpuparams.n_threads", int),
    "THREADS_BATCH": ("cpuparams_batch.n_threads", int),
    "CACHE_RAM": ("cache_ram_mib", int),
    "CACHE_PROMPT": ("cache_prompt", _flag),
    "CACHE_REUSE": ("n_cache_reuse", int),
    "ALIAS": ("model_alias", lambda text: {text}),
    "CHAT_TEMPLATE": ("chat_template", str),
    "VERBOSITY": ("verbosity", int),
}
"""Option of llama.cpp → field of its parameters."""


def parameters(environment: Mapping[str, str], model: Path, threads: int) -> dict[str, Any]:
    """Fields of llama.cpp's parameters by dotted name.

    The prompt cache is off, so that a repeated prompt is prefilled like any other.

    Raises:
        UserError: an option is not supported, or its value cannot be read.
    """
    fields: dict[str, Any] = {
        "model.path": str(model),
        "model_alias": {model.stem},
        "hostnames": ["127.0.0.1"],
        "port": 0,
        "n_parallel": DEFAULT_SLOTS,
        "cpuparams.n_threads": threads,
        "cpuparams_batch.n_threads": threads,
        "cont_batching": True,
        "use_jinja": True,
        "cache_ram_mib": 0,
        "cache_prompt": False,
        "endpoint_metrics": True,
        "endpoint_slots": True,
        "verbosity": 1,
        "n_threads_http": 64,
    }
    for name, text in environment.items():
        option = name.removeprefix(PREFIX)
        if option == name or option in _IGNORED:
            continue
        if option not in OPTIONS:
            raise UserError(
                f"{name} is not supported here", f"choose from {', '.join(PREFIX + o for o in OPTIONS)}"
            )
        field, read = OPTIONS[option]
        try:
            fields[field] = read(text)
        except ValueError:
            raise UserError(f"{name}={text} is not a whole number", "write a whole number") from None
    fields.setdefault("n_ctx", CONTEXT_PER_SLOT * fields["n_parallel"])
    return fields


def find_model(environment: Mapping[str, str]) -> Path:
    """The first ``*.gguf`` of the model directory, or the model of this project."""
    folder = environment.get("SM_MODEL_DIR")
    models = sorted(Path(folder).glob("*.gguf")) if folder else []
    return models[0] if models else ensure_model()
