"""A way to a service, made and tried before any load: what is wrong is said in one sentence."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from flawline.application.load import Way
from flawline.cli.fault import Fault
from flawline.cli.load.address import Address
from flawline.cli.load.rest import RestAnswer, RestWay
from flawline.cli.load.rpc import StreamWay, UnaryWay

GRACE_S = 2.0
"""Beyond the deadline, so long may the answer that there is none take."""
_FIRST_ANSWER_WITHIN_S = 10.0
_READY_WITHIN_S = 5.0
_ASK_AGAIN_S = 0.25
_BUSY = {429, 503}
_DETAILS_KEY = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class Asking:
    """How frames are sent. stream: over InspectStream; callers: so many at a time."""

    line: str | None
    deadline_ms: int
    stream: bool = False
    callers: int = 1


@asynccontextmanager
async def way_to(address: Address, asking: Asking, picture: bytes) -> AsyncIterator[Way]:
    """A way that one picture has gone already. Raises Fault."""
    patience_s = asking.deadline_ms / 1000 + GRACE_S
    first_s = max(_FIRST_ANSWER_WITHIN_S, patience_s)
    kind = UnaryWay if address.over_grpc else RestWay
    single = kind(address, line=asking.line, deadline_ms=asking.deadline_ms, patience_s=first_s)
    try:
        if isinstance(single, UnaryWay):
            await _try_grpc(single, address, picture)
        else:
            await _try_rest(single, address, picture)
    finally:
        await single.aclose()
    way: RestWay | UnaryWay | StreamWay
    if asking.stream:
        way = StreamWay(
            address, line=asking.line, deadline_ms=asking.deadline_ms, callers=asking.callers
        )
    else:
        way = kind(address, line=asking.line, deadline_ms=asking.deadline_ms, patience_s=patience_s)
    try:
        yield way
    finally:
        await way.aclose()


async def _try_rest(way: RestWay, address: Address, picture: bytes) -> None:
    answer = await _first_rest_answer(way, address, picture)
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + _READY_WITHIN_S
    while answer.status in _BUSY and answer.fields.get("verdict") and loop.time() < ends_s:
        await asyncio.sleep(_ASK_AGAIN_S)
        answer = await _first_rest_answer(way, address, picture)
    fields, status = answer.fields, answer.status
    if "verdict" in fields and status not in _BUSY:
        return
    if "code" in fields and "detail" in fields:
        raise Fault(f"The service at {address} takes no picture ({status}): {fields['detail']}")
    raise Fault(
        f"What answers at {address} is no Flawline: POST /v1/inspections gave HTTP status {status}."
    )


async def _first_rest_answer(way: RestWay, address: Address, picture: bytes) -> RestAnswer:
    try:
        return await way.ask(picture)
    except asyncio.TimeoutError as error:
        raise Fault(f"Nothing answered at {address} within some seconds.") from error
    except ssl.SSLCertVerificationError as error:
        raise Fault(
            f"The certificate of {address} is not trusted ({error.verify_message}): "
            "name the one to trust with --ca-file."
        ) from error
    except UnicodeError as error:
        raise Fault(f"{address} names no host that there can be.") from error
    except OSError as error:
        raise Fault(f"No Flawline answers at {address}: {error.strerror or error}.") from error
    except (EOFError, ValueError) as error:
        raise Fault(
            f"What listens at {address} does not speak HTTP; for a gRPC port write "
            f"grpc://{address.target}, with TLS https:// or grpcs://."
        ) from error


async def _try_grpc(way: UnaryWay, address: Address, picture: bytes) -> None:
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + _READY_WITHIN_S
    while True:
        try:
            await way.ask(picture)
        except grpc.aio.AioRpcError as error:
            why = _what_grpc_says(error, address)
            if error.code() is not grpc.StatusCode.UNAVAILABLE or loop.time() > ends_s:
                raise Fault(why) from error
            if not _is_ours(error):
                raise Fault(why) from error
        else:
            return
        await asyncio.sleep(_ASK_AGAIN_S)


def _is_ours(error: grpc.aio.AioRpcError) -> bool:
    """Whether a Flawline said so, and not gRPC itself."""
    return any(key == _DETAILS_KEY for key, _ in error.trailing_metadata() or ())


def _what_grpc_says(error: grpc.aio.AioRpcError, address: Address) -> str:
    details = error.details() or error.code().name
    if _is_ours(error):
        return f"The service at {address} takes no picture ({error.code().name}): {details}"
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return f"What answers at {address} is no Flawline: it has no flawline.v1.InspectionService."
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"Nothing answered at {address} within some seconds."
    if "HTTP/2" in details:
        return f"What listens at {address} does not speak gRPC; for REST write http://{address.target}."
    why = details.rpartition("last error: ")[2].rstrip(".")
    return f"No Flawline answers over gRPC at {address}: {why}."
