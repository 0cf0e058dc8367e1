"""What callers send beside the picture, or around it: parameters, and bodies in JSON."""

from __future__ import annotations

import base64
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from flawline.core.priority import Priority


class InspectionQuery(BaseModel):
    """The query of an inspection; its ranges stand here for the docs, the Inspector checks."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    line: str | None = Field(
        default=None,
        description="Where the picture was taken; `default` when left out. Lines that the service "
        "was not told of are inspected too, and counted as `other`.",
        examples=["press-2"],
        json_schema_extra={"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},
    )
    part_id: str | None = Field(
        default=None,
        description="The serial number that the MES knows; printable characters.",
        examples=["SN-0042"],
        json_schema_extra={"minLength": 1, "maxLength": 128},
    )
    recipe: str | None = Field(
        default=None,
        description="What counts as a defect on this product; `default` when left out.",
        examples=["default"],
    )
    min_score: float | None = Field(
        default=None,
        description="Takes the place of the recipe's score thresholds for this picture.",
        examples=[0.4],
        json_schema_extra={"minimum": 0, "maximum": 1},
    )
    deadline_ms: int | None = Field(
        default=None,
        description="Answer within so many milliseconds, from the moment the body has arrived.",
        examples=[500],
        json_schema_extra={"minimum": 1},
    )
    priority: str | None = Field(
        default=None,
        description="Which work goes first: `inline` (a part waits at the gate; the default) before "
        "`reinspection` (a person waits) before `backfill` (nobody waits).",
        examples=["inline"],
        json_schema_extra={"enum": [priority.value for priority in Priority]},
    )
    model: str | None = Field(
        default=None,
        description="Inspect with this loaded model; with the stable one when left out.",
        examples=["mobilemamba-nano-neu"],
    )
    model_version: str | None = Field(
        default=None,
        description="Of that model; left out, the stable one of that name, else the one loaded last.",
        examples=["0.1.0"],
    )


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise PydanticCustomError(
            "base64",
            "is not base64: the standard alphabet (A-Z a-z 0-9 + /) with padding, without spaces, "
            "line breaks or a data: prefix",
        ) from None


Base64Picture = Annotated[
    bytes,
    AfterValidator(_decoded),
    WithJsonSchema(
        {
            "type": "string",
            "contentEncoding": "base64",
            "pattern": "^[A-Za-z0-9+/]+={0,2}$",
            "description": "The picture file as base64: standard alphabet, padded, no line breaks.",
        }
    ),
]


class FrameBody(BaseModel):
    """One frame of a part."""

    model_config = ConfigDict(extra="forbid")

    picture: Base64Picture


class InspectionBody(InspectionQuery):
    """An inspection asked for in JSON: one `picture`, or `frames` of one part."""

    picture: Base64Picture | None = None
    frames: list[FrameBody] | None = Field(
        default=None,
        min_length=1,
        description="Of one part: one verdict together, and each its own.",
    )
