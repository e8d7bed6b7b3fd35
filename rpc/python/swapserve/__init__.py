"""Client of swapserve: text or token ids in, generated text and tokens out.

    from swapserve import Client

    with Client("tcp://127.0.0.1:5555") as client:
        print(client.generate("opt-tiny", "Permission is hereby", max_tokens=40).text)
        for piece in client.stream("opt-tiny", "Permission is hereby"):
            print(piece.text, end="", flush=True)

AsyncClient has the same calls for asyncio. Every refusal is an exception: see swapserve.errors; an
argument of the wrong type, or out of all bounds, is a TypeError or ValueError that names it.
"""

from .async_client import AsyncClient, AsyncStream
from .client import Client, Stream
from .errors import (
    BadRequest,
    Busy,
    Cancelled,
    Closed,
    ConnectionLost,
    DeadlineExceeded,
    Draining,
    Error,
    InternalError,
    Overloaded,
    ProtocolError,
    RequestTimeout,
    TooLong,
    UnknownModel,
    Unreachable,
    Unsupported,
    UnsupportedVersion,
)
from .types import Model, ModelStatus, Piece, RankStatus, Result, Status, Timing, Usage

__all__ = [
    "AsyncClient",
    "AsyncStream",
    "BadRequest",
    "Busy",
    "Cancelled",
    "Client",
    "Closed",
    "ConnectionLost",
    "DeadlineExceeded",
    "Draining",
    "Error",
    "InternalError",
    "Model",
    "ModelStatus",
    "Overloaded",
    "Piece",
    "ProtocolError",
    "RankStatus",
    "RequestTimeout",
    "Result",
    "Status",
    "Stream",
    "Timing",
    "TooLong",
    "UnknownModel",
    "Unreachable",
    "Unsupported",
    "UnsupportedVersion",
    "Usage",
]
