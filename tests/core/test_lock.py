from __future__ import annotations

import pytest

from flawline.core.errors import Unauthenticated
from flawline.core.lock import Lock, is_token

TOKEN = "0123456789abcdef"


def test_without_a_token_all_may_enter_and_nobody_has_a_name() -> None:
    lock = Lock(None)
    assert not lock.closed
    assert lock.caller_of(None) == lock.caller_of("Bearer anything") == ""


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", " Bearer "])
def test_the_token_opens(scheme: str) -> None:
    lock = Lock(TOKEN)
    assert lock.closed
    assert lock.caller_of(f"{scheme} {TOKEN}") == lock.caller_of(f"Bearer {TOKEN} ")


@pytest.mark.parametrize(
    ("authorization", "token_given"),
    [
        (None, False),
        ("", False),
        ("Bearer", True),
        (TOKEN, False),
        (f"Basic {TOKEN}", False),
        (f"Bearer {TOKEN[:-1]}", True),
        (f"Bearer {TOKEN}0", True),
        (f"Bearer {TOKEN.upper()}", True),
        ("Bearer \N{LATIN SMALL LETTER E WITH ACUTE}\udcff", True),
    ],
)
def test_all_else_does_not(authorization: str | None, token_given: bool) -> None:
    with pytest.raises(Unauthenticated) as caught:
        Lock(TOKEN).caller_of(authorization)
    assert caught.value.token_given is token_given
    assert TOKEN not in str(caught.value)


def test_the_name_of_a_caller_is_his_tokens_and_does_not_show_it() -> None:
    names = {Lock(token).caller_of(f"Bearer {token}") for token in (TOKEN, "f" * 32)}
    assert len(names) == 2
    assert all(len(name) == 16 and name not in TOKEN for name in names)


def test_a_lock_shows_nothing_of_its_token() -> None:
    lock = Lock(TOKEN)
    assert TOKEN not in repr(lock)
    assert TOKEN not in repr(vars(lock))


@pytest.mark.parametrize("text", [TOKEN, "a" * 1024, "A-._~+/" * 4 + "=="])
def test_tokens(text: str) -> None:
    assert is_token(text)


@pytest.mark.parametrize(
    "text", ["", "short", "a" * 1025, "two words of a token", TOKEN + "\n", "é" * 20]
)
def test_no_tokens(text: str) -> None:
    assert not is_token(text)
