"""Frames of the protocol, and which answer belongs to which request; no sockets here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

import msgpack

from . import arguments
from .errors import Error, ProtocolError, TooLong, from_server
from .types import Model, ModelStatus, Piece, RankStatus, Result, Status, Timing, Usage, build

VERSION = 1
DEFAULT_ENDPOINT = "tcp://127.0.0.1:5555"
FRAME_MAX = 1 << 20  # bytes: what servers take by default

Prompt = Union[str, Sequence[int]]
Stop = Union[str, Sequence[str]]


def submit_fields(
    model: str,
    prompt: Prompt,
    *,
    max_tokens: int = 64,
    temperature: float = 0.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: Optional[int] = None,
    stop: Stop = (),
    stop_token_ids: Sequence[int] = (),
    ignore_eos: bool = False,
    request_class: str = "normal",
    deadline: Optional[float] = None,
    stream: bool = False,
) -> Dict[str, Any]:
    """The fields of a submit. DEADLINE is in seconds; a str as STOP is one stop string."""
    fields: Dict[str, Any] = {
        "model": arguments.text("model", model),
        "max_tokens": arguments.whole("max_tokens", max_tokens),
        "temperature": arguments.number("temperature", temperature),
        "top_k": arguments.whole("top_k", top_k),
        "top_p": arguments.number("top_p", top_p),
        "stop": arguments.texts("stop", stop),
        "stop_token_ids": arguments.token_ids("stop_token_ids", stop_token_ids),
        "ignore_eos": arguments.flag("ignore_eos", ignore_eos),
        "class": arguments.text("request_class", request_class),
        "stream": stream,
    }
    if isinstance(prompt, str):
        fields["prompt"] = arguments.text("prompt", prompt)
    else:
        fields["tokens"] = arguments.token_ids(
            "prompt", prompt, "text (a str) or token ids (a sequence of ints)"
        )
    if seed is not None:
        fields["seed"] = arguments.whole("seed", seed, least=0)
    if deadline is not None:
        fields["deadline_ms"] = arguments.milliseconds("deadline", deadline)
    return fields


def encode(
    op: str, request_id: int, fields: Mapping[str, Any], frame_max: int = FRAME_MAX
) -> bytes:
    """A request's frame. TooLong where a server that takes FRAME_MAX bytes would not even refuse
    it, but end the connection, and all that is in flight on it."""
    frame: bytes = msgpack.packb({"v": VERSION, "id": request_id, "op": op, **fields})
    if len(frame) > 2 * frame_max:
        raise TooLong(
            f"a request of {len(frame)} bytes was not sent: the server's frame_max is taken to be "
            f"{frame_max} bytes, and one over twice that costs the connection; if the server takes "
            "more, tell the client so (frame_max=...)"
        )
    return frame


def decode(frame: bytes) -> Dict[str, Any]:
    """An answer's map; ProtocolError if it is none."""
    try:
        reply = msgpack.unpackb(frame)
    except (ValueError, RecursionError) as error:
        # Every failure of msgpack is a ValueError; broken UTF-8 is one, too.
        raise ProtocolError(f"an answer that is no msgpack: {error}") from error
    if not isinstance(reply, dict) or "v" not in reply or "op" not in reply:
        raise ProtocolError("an answer without v and op")
    if reply["v"] != VERSION:
        raise ProtocolError(f"an answer of version {reply['v']!r}, this client speaks {VERSION}")
    return reply


@dataclass
class Call:
    """A request in flight. DELIVER takes its answers, and the Error that ends it."""

    id: int
    deliver: Callable[[Union[Dict[str, Any], Error]], None]
    sent: bool = False
    next_seq: int = 0


@dataclass
class Calls:
    """All requests in flight on one connection."""

    live: Dict[int, Call] = field(default_factory=dict)
    last_id: int = 0

    def open(self, deliver: Callable[[Union[Dict[str, Any], Error]], None]) -> Call:
        self.last_id += 1
        call = Call(self.last_id, deliver)
        self.live[call.id] = call
        return call

    def close(self, call: Call) -> None:
        self.live.pop(call.id, None)

    def take(self, frame: bytes) -> None:
        """Gives FRAME to the call it answers. Probes, and answers to closed calls, go nowhere."""
        try:
            reply = decode(frame)
        except ProtocolError as error:
            self.fail_sent(error)  # it may have been to any of them
            return
        call = self.live.get(reply.get("id"))  # type: ignore[arg-type]
        if call is None:
            return
        if reply.get("seq") != call.next_seq:
            self._fail(
                call, ProtocolError(f"answer {reply.get('seq')} came where {call.next_seq} was due")
            )
            return
        call.next_seq += 1
        if reply.get("fin"):
            self.close(call)
        call.deliver(reply)

    def fail_sent(self, error: Error) -> None:
        """Ends every call that was sent."""
        for call in [call for call in self.live.values() if call.sent]:
            self._fail(call, error)

    def _fail(self, call: Call, error: Error) -> None:
        self.close(call)
        call.deliver(error)


def raise_error(item: Union[Dict[str, Any], Error]) -> Dict[str, Any]:
    """The answer, unless it is an error: then raises it."""
    if isinstance(item, Error):
        raise item
    if item["op"] == "error":
        raise from_server(
            str(item.get("code")), str(item.get("message", "")), item.get("field") or None
        )
    return item


@dataclass
class Assembly:
    """Puts the answers to one submit together."""

    texts: List[str] = field(default_factory=list)
    tokens: List[int] = field(default_factory=list)
    result: Optional[Result] = None

    def take(self, item: Union[Dict[str, Any], Error]) -> Piece:
        """The piece in an answer, maybe empty; after the last one `result` is set. Raises Error."""
        reply = raise_error(item)
        if reply["op"] not in ("tokens", "done"):
            raise ProtocolError(f"an answer {reply['op']!r} to a submit")
        piece = Piece(reply.get("text", ""), list(reply.get("tokens", ())))
        self.texts.append(piece.text)
        self.tokens.extend(piece.tokens)
        if reply["op"] == "done":
            self.result = Result(
                text="".join(self.texts),
                tokens=self.tokens,
                finish_reason=reply.get("finish_reason", ""),
                usage=build(Usage, reply.get("usage", {})),
                timing=build(Timing, reply.get("timing", {})),
            )
        return piece


def status_of(reply: Mapping[str, Any]) -> Status:
    values = dict(reply)
    values["models"] = [build(ModelStatus, model) for model in reply.get("models", ())]
    values["ranks"] = [build(RankStatus, rank) for rank in reply.get("ranks", ())]
    try:
        return build(Status, values)
    except TypeError as error:
        raise ProtocolError(f"a status that is not whole: {error}") from error


def models_of(reply: Mapping[str, Any]) -> List[Model]:
    return [build(Model, model) for model in reply.get("models", ())]
