"""`flawline health`: what a container's health check runs."""

from __future__ import annotations

import http.client
import json
import ssl
import sys

import click

from flawline.cli.fault import Fault
from flawline.settings import FlawlineSettings, SettingsError, load_caller_settings

_WAIT_S = 2.0
_MOST_BYTES = 64 * 1024
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to look, not where to listen


@click.command("health", short_help="Ask the service on this machine whether it is ready.")
def command() -> None:
    """Ask the server on FLAWLINE_PORT, or the worker on FLAWLINE_METRICS_PORT, whether it is ready.

    Exit code 0 when it is, 1 when it is not or none is there: what else answers on these ports is passed over. It needs
    no token, as the probes ask for none.
    """
    try:
        settings = load_caller_settings()
    except SettingsError as error:
        raise Fault(str(error)) from error
    for port in (settings.port, settings.metrics_port):
        said = _ask(settings, port)
        if said is not None:
            click.echo(json.dumps(said))
            sys.exit(0 if said.get("ready") is True else 1)
    click.echo(f"Neither a server on port {settings.port} nor a worker on {settings.metrics_port}.")
    sys.exit(1)


def _ask(settings: FlawlineSettings, port: int) -> dict[str, object] | None:
    """What a Flawline says there of its readiness; None where there is none, whatever else may answer.

    Neither a proxy nor a redirection is followed.
    """
    host = _EVERYWHERE.get(settings.host, settings.host)
    connection = http.client.HTTPConnection(host, port, timeout=_WAIT_S)
    if settings.tls_cert_file:
        # It asks its own machine, by an address that no certificate names: none is looked for, so none is loaded.
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=_WAIT_S, context=trust)
    try:
        connection.request("GET", "/healthz/ready")
        said = json.loads(connection.getresponse().read(_MOST_BYTES))
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return said if isinstance(said, dict) and said.keys() & {"ready", "reason"} else None
