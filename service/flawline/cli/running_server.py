"""A server that runs, asked over HTTP with what Python itself brings."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flawline.cli.fault import Fault
from flawline.cli.token_file import token_in
from flawline.client.access import usable_url
from flawline.settings import FlawlineSettings

# The server bounds a load and what may wait before an unload; longer, and nobody is there.
_PATIENCE_S = 7200.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to look, not where to listen
_CHECK = "check --url, and whether a proxy or a login page stands before the server"
_STRANGER = f"what came is not what it says; {_CHECK}."


@dataclass(frozen=True, slots=True)
class RunningServer:
    """`url` without a path; token: what its lock asks for; certificate: the one to trust."""

    url: str
    token: str | None = None
    certificate: Path | None = None

    @classmethod
    def of(cls, settings: FlawlineSettings, url: str | None) -> RunningServer:
        """At `url`, or else where `flawline serve` with these settings listens. Raises Fault."""
        token = None if settings.token_file is None else token_in(settings.token_file)
        if url is not None:
            try:
                url = usable_url(url)
            except ValueError as error:
                raise Fault(f"--url: {error}") from error
            return cls(url.rstrip("/"), token, settings.tls_cert_file)
        host = _EVERYWHERE.get(settings.host, settings.host)
        bare_host = f"[{host}]" if ":" in host else host
        scheme = "https" if settings.tls_cert_file else "http"
        return cls(f"{scheme}://{bare_host}:{settings.port}", token, settings.tls_cert_file)

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """The JSON of its answer, {} where there is none. Raises Fault with what it says instead."""
        request = urllib.request.Request(f"{self.url}{path}", method=method)  # noqa: S310
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if self.token is not None:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with self._opener().open(request, timeout=_PATIENCE_S) as answer:
                text = answer.read().decode()
            found = json.loads(text) if text else {}
        except urllib.error.HTTPError as error:
            raise Fault(_said_by(error)) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Fault(f"No Flawline answers at {self.url}: {_why(error)}") from error
        if not isinstance(found, dict):
            raise Fault(f"No Flawline answers at {self.url}: {_STRANGER}")
        return found

    def _opener(self) -> urllib.request.OpenerDirector:
        trust = ssl.create_default_context(cafile=self.certificate)
        return urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=trust),
            _NoRedirection(),
        )


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """A service sends none, and urllib would take the token along to wherever one leads."""

    def redirect_request(self, *_: object) -> None:
        return None


def _why(error: Exception) -> str:
    if isinstance(error, (http.client.RemoteDisconnected, http.client.IncompleteRead)):
        return "the connection ended before an answer was there; does it stop, or speak https://?"
    if isinstance(
        error, (http.client.BadStatusLine, UnicodeDecodeError)
    ):  # whose text may be binary
        return "what listens there speaks no HTTP; is it the gRPC port?"
    if isinstance(error, json.JSONDecodeError):
        return _STRANGER
    if isinstance(error, urllib.error.URLError):  # whose own text is for programmers
        return f"{error.reason}."
    return f"{error}."


def _said_by(error: urllib.error.HTTPError) -> str:
    with error:
        text = error.read().decode(errors="replace")
    if error.code // 100 == 3:
        to = re.split("[?#]", error.headers.get("Location") or "")[0]  # the rest may be a secret
        return (
            f"The server answered {error.code} {error.reason}, a redirection to {to!a}: {_CHECK}."
        )
    try:
        return str(json.loads(text)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"The server answered {error.code} {error.reason}."
