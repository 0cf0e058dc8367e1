from __future__ import annotations

import json
import math

import pytest

from mobilemamba.strict_json import to_json


def test_a_figure_that_does_not_exist_is_null_wherever_it_stands() -> None:
    text = to_json({"a": math.nan, "b": [1, (math.nan, "NaN")], "c": {"d": None, "e": 0.5}})
    assert json.loads(text) == {"a": None, "b": [1, [None, "NaN"]], "c": {"d": None, "e": 0.5}}


def test_an_infinite_figure_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json({"loss": math.inf})
