"""The local SageMaker's own command line: read options, bind, serve, and end every container at the end."""

import argparse
import errno
import json
import logging
import os
import signal
import sys
from pathlib import Path

import gevent
from gevent import pywsgi

from common.errors import UserError
from common.parent_process import tie_to_parent
from emulator import hosting
from emulator.app import make_app
from emulator.context import Settings, World
from emulator.faults import load_faults
from emulator.http import make_server
from emulator.signing import Credential


def main(arguments: list[str]) -> int:
    """Run until SIGTERM, SIGINT or the parent's death; 2 when the user asked for what cannot be."""
    options = _parser().parse_args(arguments)
    if not options.detach:
        tie_to_parent(signal.SIGTERM)
    logging.basicConfig(stream=sys.stderr, level=options.log_level.upper(), format="%(name)s: %(message)s")
    try:
        world = _world(options)
        server = _bind(world, options)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    _serve(world, server, options)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m emulator", description=__doc__)
    defaults = Settings()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--create-seconds", type=float, default=defaults.create_seconds)
    parser.add_argument("--delete-seconds", type=float, default=defaults.delete_seconds)
    parser.add_argument("--startup-limit", type=float, default=defaults.startup_limit)
    parser.add_argument("--invocation-seconds", type=float, default=defaults.invocation_seconds)
    parser.add_argument("--stream-seconds", type=float, default=defaults.stream_seconds)
    parser.add_argument("--coalesce", type=int, default=defaults.coalesce, help="container chunks per send")
    parser.add_argument("--pieces", type=int, default=defaults.pieces, help="parts per send")
    parser.add_argument("--faults", type=Path, help="YAML or JSON list of faults")
    parser.add_argument("--tls-cert", type=Path)
    parser.add_argument("--tls-key", type=Path)
    parser.add_argument("--detach", action="store_true", help="outlive the process that started it")
    parser.add_argument("--log-level", default="warning", choices=["debug", "info", "warning", "error"])
    return parser


def _world(options: argparse.Namespace) -> World:
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not key or not secret:
        raise UserError(
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set: the local SageMaker accepts exactly "
            "the pair of its own environment, so set both to any text"
        )
    names = ("create_seconds", "delete_seconds", "startup_limit", "invocation_seconds", "stream_seconds")
    settings = Settings(**{name: getattr(options, name) for name in names})
    settings.coalesce, settings.pieces = options.coalesce, options.pieces
    world = World(settings, {key: Credential(secret, os.environ.get("AWS_SESSION_TOKEN") or None)})
    if options.faults:
        world.faults.arm(load_faults(options.faults))
    return world


def _bind(world: World, options: argparse.Namespace) -> pywsgi.WSGIServer:
    if (options.tls_cert is None) != (options.tls_key is None):
        raise UserError("--tls-cert and --tls-key belong together: give both or neither")
    tls = (options.tls_cert, options.tls_key) if options.tls_cert else None
    where = f"{options.host}:{options.port}"
    try:
        return make_server(make_app(world), options.host, options.port, tls=tls)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"{where} is taken by another process: choose another --port, or 0 for any"
            ) from None
        raise UserError(f"cannot listen on {where}: {error.strerror or error}") from None


def _serve(world: World, server: pywsgi.WSGIServer, options: argparse.Namespace) -> None:
    for signum in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(signum, server.close)
    gevent.spawn(world.utilisation.watch, world.regions)
    server.start()
    scheme = "https" if options.tls_cert else "http"
    url = f"{scheme}://{options.host}:{server.server_port}"
    print(json.dumps({"url": url, "pid": os.getpid()}), flush=True)
    try:
        server._stop_event.wait()
    finally:
        hosting.stop_everything()
