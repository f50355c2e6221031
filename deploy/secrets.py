"""Tokens of gated models: read where they are needed, written nowhere."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from configs.errors import UserError
from deploy.clients import Clients
from deploy.failures import told

REDACTED = "(redacted)"
_SECRET_NAME = re.compile(
    r"(^|[_.-])(token|secret|password|passwd|api_?key|access_?key|secret_?key|credentials?)$", re.IGNORECASE
)
_SECRET_VALUE = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{16,}|(?:AKIA|ASIA)[A-Z0-9]{16}|sk-[A-Za-z0-9_-]{16,})\b"
    r"|(?<=://)[^\s/:@]*:[^\s/@]+(?=@)"  # a URL's user and password
)


@dataclass(frozen=True)
class HubToken:
    """Where the token of a gated model is kept. It never holds the token itself."""

    env: str | None = None
    secret: str | None = None

    def read(self, clients: Clients) -> str | None:
        """The token, from the environment variable or from Secrets Manager; None when neither is named.

        Raises:
            UserError: it is named but not there.
        """
        if self.env:
            if value := os.environ.get(self.env, "").strip():
                return value
            raise UserError(
                f"model.hub_token_env names {self.env}, which is not set: export it, with the token"
            )
        if self.secret:
            with told(f"reading the secret {self.secret} (model.hub_token_secret)"):
                answer = clients.client("secretsmanager").get_secret_value(SecretId=self.secret)
            return _token(str(answer.get("SecretString") or ""), self.secret)
        return None


def _token(text: str, secret: str) -> str:
    """The token in a secret's text: all of it, or the one value of the JSON object that the console makes."""
    try:
        content = json.loads(text)
    except ValueError:
        content = text
    if isinstance(content, dict):
        texts = {key: value for key, value in content.items() if isinstance(value, str) and value.strip()}
        if len(texts) > 1:
            raise UserError(
                f"the secret {secret} (model.hub_token_secret) holds several values ({', '.join(texts)}): "
                "keep the token alone in a secret of its own"
            )
        text = next(iter(texts.values()), "")
    if value := text.strip():
        return value
    raise UserError(f"the secret {secret} (model.hub_token_secret) holds no text")


def is_secret(name: str, value: str) -> bool:
    """Whether a variable holds a secret, by its name or by its value's form."""
    return is_secret_name(name) or _SECRET_VALUE.search(value) is not None


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret (``HF_TOKEN``, not ``MAX_TOTAL_TOKENS``)."""
    return _SECRET_NAME.search(name) is not None


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
        return _SECRET_VALUE.sub(REDACTED, value)
    return value
