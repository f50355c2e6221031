"""The emulator from behind its API: what is in the account, what was called, and what it is to do wrong."""

import http.client
import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

KIND_IN_STATE = {
    "model": "models",
    "endpoint-config": "endpoint_configs",
    "endpoint": "endpoints",
    "inference-component": "inference_components",
    "schedule": "schedules",
    "fleet": "stacks",
    "secret": "secrets",
}
"""Our name of a kind of resource → its key in the state of a region."""


class EmulatorAdmin:
    """Uses the emulator's own routes, below ``/_local``.

    Args:
        url: of the emulator.
        ca: its certificate authority, where it serves TLS.
    """

    def __init__(self, url: str, ca: Path | None = None) -> None:
        self.url = url
        self._ca = ca

    def connect(self) -> http.client.HTTPConnection:
        """A plain connection to it, over TLS where it serves that."""
        where = urlsplit(self.url).netloc
        if self._ca is None:
            return http.client.HTTPConnection(where, timeout=30)
        context = ssl.create_default_context(cafile=str(self._ca))
        return http.client.HTTPSConnection(where, timeout=30, context=context)

    def get(self, path: str) -> Any:
        """GET one of its own routes."""
        return self._request("GET", path, None)

    def post(self, path: str, content: object) -> Any:
        """POST to one of its own routes."""
        return self._request("POST", path, json.dumps(content).encode())

    def _request(self, method: str, path: str, body: bytes | None) -> Any:
        connection = self.connect()
        connection.request(method, path, body)
        answer = connection.getresponse()
        content = json.load(answer)
        connection.close()
        assert answer.status == 200, content
        return content

    def faults(self, faults: list[dict[str, Any]]) -> None:
        """What goes wrong from now on, in place of earlier faults."""
        self.post("/_local/faults", faults)

    def settings(self, **settings: Any) -> None:
        """Change the account's settings."""
        self.post("/_local/settings", settings)

    def secrets(self, secrets: dict[str, str]) -> None:
        """Put secrets into Secrets Manager."""
        self.post("/_local/secrets", secrets)

    def images(self, images: dict[str, bool]) -> None:
        """Say which images are in ECR."""
        self.post("/_local/images", images)

    def vpc_endpoints(self, endpoints: dict[str, bool]) -> None:
        """Say which VPC endpoints there are."""
        self.post("/_local/vpc_endpoints", endpoints)

    def state(self) -> dict[str, Any]:
        """Everything in the account, and every call so far."""
        content: dict[str, Any] = self.get("/_local/state")
        return content

    def calls(self, since: int = 0) -> list[tuple[str, str]]:
        """Service and operation of every call."""
        return [(call["service"], call["operation"]) for call in self.state()["calls"][since:]]

    def left(self) -> list[str]:
        """Everything that is in the account, as ``kind/name``."""
        return sorted(
            f"{kind}/{name}"
            for region in self.state()["regions"].values()
            for kind in KIND_IN_STATE.values()
            for name in region.get(kind, [])
        )
