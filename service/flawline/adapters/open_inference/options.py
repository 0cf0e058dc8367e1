"""`parameters` of a request: what they mean for an inspection, and which are refused."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flawline.adapters.open_inference.errors import OpenInferenceError, invalid, shown
from flawline.adapters.open_inference.messages import Parameter
from flawline.core.errors import InvalidRequest
from flawline.core.priority import Priority

_TEXTS = ("line", "part_id", "recipe")
_KNOWN = (*_TEXTS, "min_score", "priority", "timeout")
# What clients of other servers send along, and what means nothing to a model without memory.
_PASSED_OVER = re.compile(
    r"triton_.*|sequence_(id|start|end)|headers|content_type|binary_data_output"
)
_US_PER_MS = 1000
_LEVELS = dict(enumerate(Priority, start=1))  # 1 is the most urgent, 0 leaves it open


@dataclass(frozen=True, slots=True)
class Options:
    """The parameters, in the words of `InspectionRequest`."""

    line: str | None = None
    part_id: str | None = None
    recipe: str | None = None
    min_score: float | None = None
    priority: str | None = None
    deadline_ms: int | None = None


def options_of(parameters: Mapping[str, Parameter]) -> Options:
    """Raises OpenInferenceError for an unknown name, or a value of the wrong type.

    A misspelt `min_score` that was passed over would leave other thresholds in force than meant.
    """
    for name in parameters:
        if name not in _KNOWN and not _PASSED_OVER.fullmatch(name):
            near = difflib.get_close_matches(name, _KNOWN, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_KNOWN)}."
            raise invalid(f"There is no parameter {shown(name)}; {hint}")
    texts = {name: _text(name, parameters.get(name)) for name in _TEXTS}
    return Options(
        **texts,
        min_score=_number(parameters.get("min_score")),
        priority=_priority(parameters.get("priority", 0)),
        deadline_ms=_deadline_ms(parameters.get("timeout", 0)),
    )


def refuse_in_query(names: Iterable[str]) -> None:
    """Raises OpenInferenceError for a parameter that stands where this protocol does not look for it."""
    if misplaced := next((name for name in names if name in _KNOWN), None):
        raise invalid(f"Give {misplaced} among the request's `parameters`, not in the query.")


def in_protocol_words(error: InvalidRequest) -> OpenInferenceError:
    """An InvalidRequest about a parameter that is called otherwise here."""
    if error.field == "deadline_ms":
        return invalid(f"timeout, in microseconds, is out of range: {error}")
    return invalid(str(error))


def _text(name: str, value: Parameter | None) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    raise invalid(f"Parameter {name!r} must be text.")


def _number(value: Parameter | None) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise invalid("Parameter 'min_score' must be a number from 0 to 1.")
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        raise invalid("Parameter 'min_score' must be a number from 0 to 1.") from None


def _priority(value: Parameter) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        if value == 0:
            return None
        if value in _LEVELS:
            return _LEVELS[value].value
    levels = ", ".join(f"{level} ({word.value})" for level, word in _LEVELS.items())
    raise invalid(f"Parameter 'priority' must be 0 (default), {levels}.")


def _deadline_ms(value: Parameter) -> int | None:
    """Whole milliseconds of a timeout in microseconds, at least one; 0 leaves it open."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise invalid("Parameter 'timeout' must be a whole number of microseconds.")
    return max(1, value // _US_PER_MS) if value else None
