"""Exceptions: one class for each error code of the protocol, and five for this side."""

from __future__ import annotations

from typing import Dict, Optional, Type


class Error(Exception):
    """Base of all. `code` is the word on the wire, `field` the request's field at fault, if any."""

    code = "error"

    def __init__(self, message: str, field: Optional[str] = None) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.message = message
        self.field = field


class BadRequest(Error):
    """A field is missing, of the wrong type or out of range."""

    code = "bad_request"


class UnsupportedVersion(Error):
    """The server speaks another version of the protocol."""

    code = "unsupported_version"


class Unsupported(Error):
    """Right in form, but this model or server cannot do it."""

    code = "unsupported"


class UnknownModel(Error):
    """The server has no such model."""

    code = "unknown_model"


class TooLong(Error):
    """A frame, prompt or list is over its limit."""

    code = "too_long"


class Overloaded(Error):
    """The server has too much to do; try again later."""

    code = "overloaded"


class DeadlineExceeded(Error):
    """The request's deadline passed before its end."""

    code = "deadline_exceeded"


class Draining(Error):
    """The server takes no new requests."""

    code = "draining"


class Cancelled(Error):
    """The request was cancelled before it had anything to show."""

    code = "cancelled"


class Busy(Error):
    """The model is in use."""

    code = "busy"


class InternalError(Error):
    """The server failed."""

    code = "internal"


class RequestTimeout(Error, TimeoutError):
    """This side's time limit passed; the request was cancelled."""

    code = "timeout"


class Unreachable(Error, ConnectionError):
    """No connection within connect_timeout."""

    code = "unreachable"


class ConnectionLost(Error, ConnectionError):
    """The connection broke before the last answer; the request may have been executed."""

    code = "connection_lost"


class Closed(Error):
    """The client was closed, before the call or during it; the request may have been executed."""

    code = "closed"


class ProtocolError(Error):
    """An answer that cannot be understood."""

    code = "protocol"


_FROM_SERVER: Dict[str, Type[Error]] = {
    kind.code: kind
    for kind in (
        BadRequest,
        UnsupportedVersion,
        Unsupported,
        UnknownModel,
        TooLong,
        Overloaded,
        DeadlineExceeded,
        Draining,
        Cancelled,
        Busy,
        InternalError,
    )
}


def from_server(code: str, message: str, field: Optional[str]) -> Error:
    """The exception for an error answer; codes of a later version are an InternalError."""
    return _FROM_SERVER.get(code, InternalError)(message, field)
