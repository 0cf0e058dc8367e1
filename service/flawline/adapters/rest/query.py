"""Queries that could be taken for something else than was meant are refused, not guessed at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import unquote_to_bytes

from starlette.requests import Request

from flawline.adapters.rest.problems import RefusedError
from flawline.adapters.rest.schemas import FieldFault

_SHOWN_CHARACTERS = 64
_SHOWN_NAMES = 16
# Eight times as many as there are; each costs time on the event loop, and a head has room for thousands.
_MOST_PARAMETERS = 64


def refuse_odd_query(request: Request) -> None:
    """Raises RefusedError (422) for text that is not UTF-8, and for a parameter given twice."""
    _refuse_undecodable(request.scope["query_string"])
    _refuse_repeated(request)


def refuse_long_query(request: Request) -> None:
    """Raises RefusedError (422) for far more parameters than there are, before any is looked at."""
    if request.scope["query_string"].count(b"&") >= _MOST_PARAMETERS:
        detail = f"Give at most {_MOST_PARAMETERS} parameters in the query; there are more."
        raise RefusedError(422, "invalid_request", detail)


def refuse_two_keys(request: Request) -> None:
    """Raises RefusedError (422) for two `Idempotency-Key`: by which one would a repeat be known?"""
    if len(request.headers.getlist("idempotency-key")) > 1:
        detail = "Give one Idempotency-Key; there are several."
        faults = [FieldFault(field="idempotency_key", detail="given more than once.")]
        raise RefusedError(422, "invalid_request", detail, errors=faults)


def names_given_twice(names: Iterable[str]) -> list[str]:
    """The first of them, in order, cut to be shown; none if each is given once."""
    repeated = sorted(name for name, times in Counter(names).items() if times > 1)
    return [name[:_SHOWN_CHARACTERS] for name in repeated[:_SHOWN_NAMES]]


def _refuse_undecodable(query: bytes) -> None:
    # The framework would put U+FFFD for what it cannot decode, so that two parts had one id.
    odd = list(_names_of_undecodable(query))
    if odd:
        faults = [FieldFault(field=name, detail="is not UTF-8.") for name in odd]
        detail = f"Write the query in UTF-8, percent-encoded; it is not so in: {', '.join(odd)}."
        raise RefusedError(422, "invalid_request", detail, errors=faults)


def _names_of_undecodable(query: bytes) -> Iterator[str]:
    for pair in query.split(b"&"):
        if not _is_text(pair):
            name = unquote_to_bytes(pair.partition(b"=")[0])
            yield name.decode("ascii", "replace")[:_SHOWN_CHARACTERS]


def _is_text(pair: bytes) -> bool:
    try:
        unquote_to_bytes(pair).decode()
    except ValueError:
        return False
    return pair.isascii()


def _refuse_repeated(request: Request) -> None:
    repeated = names_given_twice(name for name, _ in request.query_params.multi_items())
    if repeated:
        faults = [FieldFault(field=name, detail="given more than once.") for name in repeated]
        detail = f"Give each parameter once; repeated: {', '.join(repeated)}."
        raise RefusedError(422, "invalid_request", detail, errors=faults)
