"""What a caller has to do something about. That there is no verdict in time is none: see Undefined.

ClientError
├── RefusedError        .code, .field: the frame or a parameter cannot be used, or something else than the service
│   │                   answers (`not_the_service`); sending it again is no use
│   └── NotLetInError   the token is missing or wrong
└── AwayError           .code: the service, or the way to it, is away; of `watch` alone
"""

from __future__ import annotations

NOT_THE_SERVICE = "not_the_service"


class ClientError(Exception):
    """The text says what is wrong."""


class RefusedError(ClientError):
    """The service cannot use what was sent; `code` is its word for it, `field` the one at fault."""

    def __init__(self, code: str, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.field = field


class NotLetInError(RefusedError):
    """The token is missing or wrong, or does not allow this."""


class AwayError(ClientError):
    """Nothing is heard of the service any more."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
