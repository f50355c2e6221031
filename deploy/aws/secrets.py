"""Tokens of gated models: read when needed, written nowhere."""

import json
import os
from dataclasses import dataclass

from common.errors import UserError
from deploy.aws.clients import Clients
from deploy.aws.errors import as_user_error


@dataclass(frozen=True)
class HubToken:
    """Where the token of a gated model is stored. Never holds the token itself."""

    env: str | None = None
    secret: str | None = None

    def read(self, clients: Clients) -> str | None:
        """The token from the environment variable or from Secrets Manager; None when neither is named.

        Raises:
            UserError: the variable or the secret is named but holds no token.
        """
        if self.env:
            if value := os.environ.get(self.env, "").strip():
                return value
            raise UserError(
                f"model.hub_token_env names {self.env}, which is not set", f"export {self.env} with the token"
            )
        if self.secret:
            with as_user_error(f"reading the secret {self.secret} (model.hub_token_secret)"):
                answer = clients.client("secretsmanager").get_secret_value(SecretId=self.secret)
            return _token(str(answer.get("SecretString") or ""), self.secret)
        return None


def _token(text: str, secret: str) -> str:
    """The token in a secret: the whole text, or the only value of a JSON object, as the console writes it."""
    try:
        content = json.loads(text)
    except ValueError:
        content = text
    if isinstance(content, dict):
        texts = {key: value for key, value in content.items() if isinstance(value, str) and value.strip()}
        if len(texts) > 1:
            raise UserError(
                f"the secret {secret} (model.hub_token_secret) holds several values ({', '.join(texts)})",
                "store the token in its own secret",
            )
        text = next(iter(texts.values()), "")
    if value := text.strip():
        return value
    raise UserError(f"the secret {secret} (model.hub_token_secret) is empty", "store the token in it")
