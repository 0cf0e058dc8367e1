"""Connections that fail for what stays: a certificate that is not trusted, or another protocol."""

from __future__ import annotations

import re
import ssl

from flawline.client.errors import NOT_THE_SERVICE, RefusedError

# But it will be, once the clock of a machine without a battery is set.
_NOT_YET = "not yet valid"
# h11's words for the beginning of an answer that is none; a head or a chunk that was damaged has others.
_NO_HTTP = re.compile("illegal (status|request) line")
_NO_TLS = "WRONG_VERSION_NUMBER"
# What gRPC tells of them, in words alone.
_DISTRUSTED = re.compile(r"(?:CERTIFICATE_VERIFY_FAILED: |check failed with error: \w+: )([^:.]+)")
_NO_GRPC_IN_TLS = "missing selected ALPN property"
MAYBE_TLS = " If it goes on so, one side may speak TLS and the other not."
"""Of a service that ends connections without a word: it stops, or takes what comes for no handshake."""
_PORT = "check the port (REST is at 8080, gRPC at 8081 unless set otherwise)"


def refuse_handshake(error: BaseException) -> None:
    """Raises RefusedError where that is why a try over REST failed."""
    if _NO_HTTP.search(str(error)):
        raise _refusal(f"speaks no HTTP: {_PORT}")
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            _refuse_certificate(cause.verify_message)
        elif isinstance(cause, ssl.SSLError) and cause.reason == _NO_TLS:
            raise _refusal(f"speaks no TLS: {_PORT}, or ask http://")
        cause = cause.__cause__ or cause.__context__


def refuse_handshake_of_grpc(detail: str) -> None:
    """Raises RefusedError where that is why a try over gRPC failed, as it says in `detail`."""
    if found := _DISTRUSTED.search(detail):
        _refuse_certificate(found[1])
    if _NO_TLS in detail:
        raise _refusal(f"speaks no TLS: {_PORT}, or ask without tls and ca_file")
    if _NO_GRPC_IN_TLS in detail:
        raise _refusal(f"speaks TLS, but no gRPC: {_PORT}")


def _refuse_certificate(why: str) -> None:
    if _NOT_YET not in why:
        raise _refusal(
            f"shows a certificate that is not trusted ({why.rstrip('.')}): check that ca_file holds it or its "
            "authority's, that it names the host that is asked, and its dates"
        )


def _refusal(told: str) -> RefusedError:
    return RefusedError(NOT_THE_SERVICE, f"What answers there {told}.")
