"""Find secrets by the name of their key or the form of their value. No function returns a secret."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

REDACTED = "(redacted)"
_NAME = re.compile(
    r"(?:^|[_.-])(?:token|secret|password|passwd|pass|pwd|passphrase|api_?key|access_?key|secret_?key|"
    r"private_?key|credentials?|authorization)$",
    re.IGNORECASE,
)
_TOKEN_OF_TEXT = re.compile(r"(?:^|_)(?:bos|eos|pad|unk|sep|cls|mask|stop|image|next)_?token$", re.IGNORECASE)
"""A token of a tokenizer, not an access token."""
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_VALUE = re.compile(
    r"\bhf_[A-Za-z0-9]{16,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bsk-[A-Za-z0-9_-]{16,}"
    r"|\b(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}|glpat-[A-Za-z0-9_-]{16,})"
    r"|\bxox[abeprs]-[A-Za-z0-9-]{10,}"
    r"|\b(?:nvapi-|AIza)[A-Za-z0-9_-]{20,}"
    r"|\bsagemaker-api-key-[A-Za-z0-9+/=_-]{16,}"
    r"|\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*"  # a JSON Web Token
    r"|(?i:(?<=\bbearer )[A-Za-z0-9._~+/=-]{8,}|(?<=\bbasic )[A-Za-z0-9+/]{12,}={0,2})"
    r"|(?i:(?<=X-Amz-Signature=)[0-9a-f]{16,}|(?<=X-Amz-Security-Token=)[^\s&]{16,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*PRIVATE KEY-----)?"
    r"|(?<=://)[^\s/:@]*:[^\s/@]+(?=@)",  # a URL's user and password
    re.DOTALL,
)
_NAMES_OF_SECRETS = frozenset({"hub_token_env", "hub_token_secret"})
"""Keys of a plan that say where a secret is kept."""


def is_secret(name: str, value: str) -> bool:
    """Whether a variable holds a secret, by its name or the form of its value."""
    return is_secret_name(name) or _VALUE.search(value) is not None


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret (``HF_TOKEN``, ``apiKey``, not ``MAX_TOTAL_TOKENS``)."""
    name = _HUMP.sub("_", name)
    return _NAME.search(name) is not None and _TOKEN_OF_TEXT.search(name) is None


def find_secret(content: Any, path: str = "") -> str | None:
    """The dotted path of the first secret in a plan's content; None if there is none.

    Empty texts and booleans are not secrets, even under a secret's key.
    """
    if isinstance(content, Mapping):
        for key, value in content.items():
            inner = f"{path}.{redacted(str(key))}" if path else str(redacted(str(key)))
            if _VALUE.search(str(key)):
                return inner
            filled = isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""
            if filled and key not in _NAMES_OF_SECRETS and is_secret_name(str(key)):
                return inner
            if secret := find_secret(value, inner):
                return secret
    elif isinstance(content, list | tuple):
        for index, value in enumerate(content):
            if secret := find_secret(value, f"{path}.{index}"):
                return secret
    elif isinstance(content, str) and _VALUE.search(content):
        return path
    return None


def line_with_secret(text: str) -> int | None:
    """The number of the first line of a text that holds a secret by its form; None if none does."""
    match = _VALUE.search(text)
    return text.count("\n", 0, match.start()) + 1 if match else None


def redacted(value: Any, known: Sequence[str] = ()) -> Any:
    """A copy of a JSON-able value without secrets: by name, by form, and the ``known`` ones by value."""
    if isinstance(value, Mapping):
        return {
            key: REDACTED if is_secret_name(str(key)) and isinstance(item, str) else redacted(item, known)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redacted(item, known) for item in value]
    if isinstance(value, str):
        for secret in known:
            value = value.replace(secret, REDACTED) if secret else value
        return _VALUE.sub(REDACTED, value)
    return value
