"""Loaded by schemathesis: what it is to send where the document says no more than `a picture`."""

from __future__ import annotations

import schemathesis
from hypothesis import strategies as st
from pictures import numbered, truncated

schemathesis.openapi.media_type(
    "image/png",
    st.one_of(st.integers(0, 9).map(numbered), st.just(truncated()), st.binary(max_size=64)),
)
