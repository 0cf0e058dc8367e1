"""JSON as the standard has it: null for a figure that does not exist, where Python would write NaN, which few read."""

from __future__ import annotations

import json
import math


def to_json(value: object, indent: int | None = None) -> str:
    """Text of `value`: dictionaries, lists, tuples, strings, numbers and None; each NaN becomes null.

    Raises:
        ValueError: a number is infinite.
    """
    return json.dumps(_without_nan(value), indent=indent, allow_nan=False)


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value
