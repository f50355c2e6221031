"""A certificate authority for one run on loopback, and a server certificate signed by it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files, PEM."""

    authority: Path
    certificate: Path
    key: Path


def make_certificates(
    folder: Path, *, hosts: tuple[str, ...] = ("127.0.0.1", "localhost"), valid_days: float = 1.0
) -> Certificates:
    """Make both in ``folder``; a negative ``valid_days`` makes a certificate that has expired."""
    now = datetime.now(UTC)
    start, end = sorted((now - timedelta(days=2), now + timedelta(days=valid_days)))
    authority = trustme.CA()
    certificate = authority.issue_cert(*hosts, not_before=start, not_after=end)
    files = Certificates(folder / "authority.pem", folder / "server.pem", folder / "server.key")
    authority.cert_pem.write_to_path(files.authority)
    certificate.cert_chain_pems[0].write_to_path(files.certificate)
    certificate.private_key_pem.write_to_path(files.key)
    return files
