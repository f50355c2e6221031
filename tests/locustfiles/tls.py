"""A scripted server that speaks TLS, with certificates of its own."""

import ssl
from pathlib import Path

from bench.calibration.certificates import make_certificates
from locustfiles.client.transport import verifying_context
from tests.locustfiles.support import Script, ScriptedServer


def tls_server(folder: Path, script: Script, **options: object) -> tuple[ScriptedServer, ssl.SSLContext]:
    files = make_certificates(folder, **options)  # type: ignore[arg-type]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    return ScriptedServer(script, context=context), verifying_context(str(files.authority))
