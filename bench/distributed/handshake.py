"""What a worker host and the master say first, and how each proves that it has the token of the run."""

import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass
from typing import Literal, Self

from common.code_version import check_master_version, code_version
from common.errors import UserError

WRONG_TOKEN = {"refused": "token"}
OTHER_VERSION = {"refused": "version"}
_MAX_GENERATORS = 10_000


def _different_token() -> UserError:
    return UserError(
        "this host and the master have different tokens",
        "copy the command that `make master` prints, or give both the same token",
        "token",
    )


@dataclass(frozen=True, slots=True)
class AnnouncedState:
    """The state of a run, as workers on other hosts receive it."""

    run: str
    phase: Literal["wait", "load", "over"] = "wait"
    load: int = 0
    """Loads started so far, one per experiment."""
    code: int | None = None
    """The master's exit code, once the run is over."""

    def line(self, token: str, nonce: str) -> bytes:
        """The state as it is sent to the host that chose ``nonce``."""
        state = json.dumps(asdict(self))
        return json.dumps({"state": state, "proof": proof(token, nonce, state)}).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes, token: str, nonce: str) -> Self:
        """Read a line.

        Raises:
            UserError: the line has another format, or its master another token or another version.
        """
        try:
            message = json.loads(line)
            if message == WRONG_TOKEN:
                raise _different_token()
            if message.items() >= OTHER_VERSION.items():
                check_master_version(message.get("version"))
            if not hmac.compare_digest(str(message["proof"]), proof(token, nonce, message["state"])):
                raise _different_token()
            return cls(**json.loads(message["state"]))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise UserError(
                "the answer does not come from a master of this version",
                "install the same version on all hosts, and give the port of `make master`",
            ) from None


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a worker host."""

    generators: int
    """Load generators on the host."""
    version: str
    """The host's `code_version`."""
    nonce: str
    """Part of every proof that the master sends to this host."""
    proof: str
    """Proof that the host has the run's token; the token itself is never sent."""

    @classmethod
    def of(cls, generators: int, token: str) -> Self:
        """A hello with a fresh nonce."""
        nonce = secrets.token_hex(16)
        version = code_version()
        return cls(generators, version, nonce, proof(token, nonce, f"hello {generators} {version}"))

    def line(self) -> bytes:
        """The hello as it is sent."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self | None:
        """Read a line; None if it has another format."""
        try:
            hello = cls(**json.loads(line))
        except (ValueError, TypeError, RecursionError):
            return None
        kinds = (
            (hello.generators, int),
            (hello.version, str),
            (hello.nonce, str),
            (hello.proof, str),
        )
        valid = all(isinstance(value, kind) for value, kind in kinds)
        return hello if valid and 0 < hello.generators <= _MAX_GENERATORS else None

    def is_proved(self, token: str) -> bool:
        """Whether the sender has the token."""
        text = f"hello {self.generators} {self.version}"
        return hmac.compare_digest(self.proof.encode(), proof(token, self.nonce, text).encode())


def proof(token: str, nonce: str, text: str) -> str:
    """A MAC of ``nonce`` and ``text`` that only a holder of the token can compute (HMAC-SHA256, hex)."""
    return hmac.new(token.encode(), f"{nonce} {text}".encode(), hashlib.sha256).hexdigest()
