"""`flawline health`: what a container's health check runs."""

from __future__ import annotations

import ssl
import sys
import urllib.error
import urllib.request

import click

from flawline.cli.fault import Fault
from flawline.settings import FlawlineSettings, SettingsError, load_caller_settings

_WAIT_S = 2.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to look, not where to listen


@click.command("health", short_help="Ask the service on this machine whether it is ready.")
def command() -> None:
    """Ask the server on FLAWLINE_PORT, or the worker on FLAWLINE_METRICS_PORT, whether it is ready.

    Exit code 0 when it is, 1 when it is not or none is there. It needs no token, as the probes ask for none.
    """
    try:
        settings = load_caller_settings()
    except SettingsError as error:
        raise Fault(str(error)) from error
    for port in (settings.port, settings.metrics_port):
        answer = _ask(_ready_url(settings, port))
        if answer is not None:
            status, text = answer
            click.echo(text)
            sys.exit(0 if status == 200 else 1)
    click.echo(f"Neither a server on port {settings.port} nor a worker on {settings.metrics_port}.")
    sys.exit(1)


def _ready_url(settings: FlawlineSettings, port: int) -> str:
    host = _EVERYWHERE.get(settings.host, settings.host)
    scheme = "https" if settings.tls_cert_file else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/healthz/ready"


def _ask(url: str) -> tuple[int, str] | None:
    """Status and text; None when nobody answers there."""
    # It asks its own machine, by an address that no certificate names: none is looked for, so none is loaded.
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
    )
    try:
        with opener.open(url, timeout=_WAIT_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError:
        return None
