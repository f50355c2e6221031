"""The emulator's command line: read options, bind the port, serve, and end every container at the end."""

import errno
import json
import logging
import os
import signal
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

import click
import gevent
from gevent import pywsgi

from common.errors import UserError
from common.parent_process import tie_to_parent
from emulator import hosting
from emulator.app import make_app
from emulator.context import AccountState, Settings
from emulator.faults import load_faults
from emulator.http import make_server
from emulator.signing import Credential

_DEFAULTS = Settings()
_Function = Callable[..., None]
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_LEVELS = ["debug", "info", "warning", "error"]


class _Port(click.IntRange):
    name = "port number"


class _Seconds(click.FloatRange):
    name = "number of seconds"


def _seconds(name: str, text: str) -> Callable[[_Function], _Function]:
    """An option in seconds; its default is that of the field of `Settings` with the same name."""
    return click.option(
        f"--{name.replace('_', '-')}",
        type=_Seconds(min=0),
        metavar="SECONDS",
        default=getattr(_DEFAULTS, name),
        show_default=True,
        help=text,
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=_Port(0, 65_535),
    metavar="PORT",
    default=0,
    show_default=True,
    help="0 picks any free port.",
)
@_seconds("create_seconds", "Shortest time that an endpoint is Creating.")
@_seconds("delete_seconds", "Shortest time that an endpoint is Deleting.")
@_seconds("startup_limit", "Longest time for a container to become healthy.")
@_seconds("invocation_seconds", "Longest time for a response, or for the first byte of a stream.")
@_seconds("stream_seconds", "Longest time for a streamed response.")
@click.option("--faults", type=click.Path(path_type=Path), help="Faults to inject: a YAML or JSON list.")
@click.option("--tls-cert", type=_FILE, help="Certificate in PEM format: serve HTTPS.")
@click.option("--tls-key", type=_FILE, help="Private key of the certificate.")
@click.option("--detach", is_flag=True, help="Keep running after the parent process ends.")
@click.option(
    "--log-level",
    type=click.Choice(_LEVELS),
    default="warning",
    show_default=True,
    help="Lowest level that is logged to stderr.",
)
def serve(
    *,
    host: str,
    port: int,
    faults: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    detach: bool,
    log_level: str,
    create_seconds: float,
    delete_seconds: float,
    startup_limit: float,
    invocation_seconds: float,
    stream_seconds: float,
) -> None:
    """Serve SageMaker on this machine.

    It accepts the credentials of its own environment: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to any
    text. When it is ready, it prints its URL and process id as one JSON line.
    """
    if not detach:
        tie_to_parent(signal.SIGTERM)
    logging.basicConfig(stream=sys.stderr, level=log_level.upper(), format="%(name)s: %(message)s")
    settings = Settings(create_seconds, delete_seconds, startup_limit, invocation_seconds, stream_seconds)
    account = _account_state(settings, faults)
    tls = _check_tls(tls_cert, tls_key)
    server = _bind(account, host, port, tls)
    _serve(account, server, f"{'https' if tls else 'http'}://{host}:{server.server_port}")


def _account_state(settings: Settings, faults: Path | None) -> AccountState:
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not key or not secret:
        raise UserError(
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set",
            "set both to any text: the emulator accepts exactly the credentials of its own environment",
        )
    account = AccountState(settings, {key: Credential(secret, os.environ.get("AWS_SESSION_TOKEN") or None)})
    if faults:
        account.faults.set_faults(load_faults(faults))
    return account


def _check_tls(certificate: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UserError("only one of --tls-cert and --tls-key is given", "give both or neither")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise UserError(
            f"{certificate} and {key} cannot be used for TLS: {error.strerror or error}",
            "give a certificate and its key in PEM format",
        ) from None
    return certificate, key


def _bind(account: AccountState, host: str, port: int, tls: tuple[Path, Path] | None) -> pywsgi.WSGIServer:
    try:
        return make_server(make_app(account), host, port, tls=tls)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"{host}:{port} is in use by another process", "choose another --port, or 0 for any"
            ) from None
        raise UserError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None


def _serve(account: AccountState, server: pywsgi.WSGIServer, url: str) -> None:
    for signum in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(signum, server.close)
    gevent.spawn(account.utilisation.watch, account.regions)
    server.start()
    print(json.dumps({"url": url, "pid": os.getpid()}), flush=True)
    try:
        server._stop_event.wait()
    finally:
        hosting.stop_all()
