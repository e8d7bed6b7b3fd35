"""The blocking client."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import Any, Deque, Dict, Iterator, List, Mapping, Optional, Sequence, Type, Union

import zmq

from . import arguments
from .connection import TAKEN_MAX, close_sockets, make_settings, open_sockets, read_event
from .errors import Closed, ConnectionLost, Error, RequestTimeout, Unreachable
from .types import Model, Piece, Result, Status
from .wire import (
    FRAME_MAX,
    Assembly,
    Call,
    Calls,
    Prompt,
    Stop,
    encode,
    models_of,
    raise_error,
    status_of,
    submit_fields,
)

_Inbox = Deque[Union[Dict[str, Any], Error]]


class Client:
    """One connection to a server. For one thread at a time: give each thread a client of its own.

    endpoint         tcp://HOST:PORT or ipc://PATH; default: $SWAPSERVE_ENDPOINT, else
                     tcp://127.0.0.1:5555
    timeout          seconds for a request that is given no timeout of its own; None: no limit
    connect_timeout  seconds to wait for a connection before a request fails: Unreachable
    frame_max        bytes: the server's limit on a request (server.frame_max). One over twice that
                     would cost the connection: it is not sent, and fails with TooLong
    reply_bytes_max  an answer over this ends the connection

    When the connection breaks, requests in flight fail with ConnectionLost, and the next request
    connects again. All that can go wrong with a request is a subclass of swapserve.Error. An
    argument that no server could take (of another type, not finite, over the wire's integers, no
    Unicode) is a TypeError or a ValueError that names it, and nothing is sent.
    """

    def __init__(
        self,
        endpoint: Optional[str] = None,
        *,
        timeout: Optional[float] = None,
        connect_timeout: float = 5.0,
        frame_max: int = FRAME_MAX,
        reply_bytes_max: int = 64 << 20,
        server_key: Optional[bytes] = None,
        public_key: Optional[bytes] = None,
        secret_key: Optional[bytes] = None,
    ) -> None:
        self._settings = make_settings(
            endpoint, connect_timeout, frame_max, reply_bytes_max, server_key, public_key, secret_key
        )
        self._timeout = arguments.timeout("timeout", timeout)
        self._closed = False
        self._calls = Calls()
        self._context = zmq.Context()
        self._connected = False
        self._trouble = ""
        try:
            self._open()
        except BaseException:
            self._context.term()
            raise

    # --- requests ---------------------------------------------------------------------------

    def generate(
        self,
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
        timeout: Optional[float] = None,
    ) -> Result:
        """Generates from PROMPT (text, or token ids) and returns all of it.

        DEADLINE is when the server gives up, TIMEOUT when this side does, in seconds.
        """
        fields = submit_fields(
            model,
            prompt,
            max_tokens=max_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            stop=stop,
            stop_token_ids=stop_token_ids,
            ignore_eos=ignore_eos,
            request_class=request_class,
            deadline=deadline,
        )
        assembly = Assembly()
        assembly.take(self._ask("submit", fields, timeout))
        assert assembly.result is not None
        return assembly.result

    def stream(
        self,
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
        timeout: Optional[float] = None,
    ) -> "Stream":
        """Generates from PROMPT and returns an iterator over the pieces as they come.

        Several streams may be open at once. TIMEOUT is for the whole stream.
        """
        fields = submit_fields(
            model,
            prompt,
            max_tokens=max_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            stop=stop,
            stop_token_ids=stop_token_ids,
            ignore_eos=ignore_eos,
            request_class=request_class,
            deadline=deadline,
            stream=True,
        )
        return Stream(self, fields, self._deadline(timeout))

    def status(self, *, timeout: Optional[float] = None) -> Status:
        """What the server holds and does."""
        return status_of(self._ask("status", {}, timeout))

    def models(self, *, timeout: Optional[float] = None) -> List[Model]:
        """The models it serves."""
        return models_of(self._ask("models", {}, timeout))

    def load(self, model: str, *, timeout: Optional[float] = None) -> None:
        """Makes a model resident; returns when it is."""
        self._ask("load", {"model": arguments.text("model", model)}, timeout)

    def drop(self, model: str, *, timeout: Optional[float] = None) -> None:
        """Frees a model's device memory."""
        self._ask("drop", {"model": arguments.text("model", model)}, timeout)

    def drain(self, *, timeout: Optional[float] = None) -> None:
        """The server takes no new requests, answers the accepted ones and ends."""
        self._ask("drain", {}, timeout)

    def shutdown(self, *, timeout: Optional[float] = None) -> None:
        """The server ends now."""
        self._ask("shutdown", {}, timeout)

    def close(self) -> None:
        """Closes the connection; what is in flight, and all later calls, end with Closed."""
        if not self._closed:
            self._closed = True
            self._calls.fail_sent(Closed("the client was closed"))
            close_sockets(self._dealer, self._monitor, linger_ms=100)
            self._context.term()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    # --- the machinery ----------------------------------------------------------------------

    def _open(self) -> None:
        self._dealer, self._monitor = open_sockets(self._context, self._settings)
        self._poller = zmq.Poller()
        self._poller.register(self._dealer, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)

    def _deadline(self, timeout: Optional[float]) -> Optional[float]:
        timeout = self._timeout if timeout is None else arguments.timeout("timeout", timeout)
        return None if timeout is None else time.monotonic() + timeout

    def _ask(
        self, op: str, fields: Mapping[str, Any], timeout: Optional[float]
    ) -> Dict[str, Any]:
        """Sends a request that has one answer, and returns it."""
        deadline = self._deadline(timeout)
        inbox: _Inbox = deque()
        call = self._send(op, fields, inbox, deadline)
        try:
            return raise_error(self._receive(inbox, deadline))
        finally:
            self._abandon(call)

    def _send(
        self, op: str, fields: Mapping[str, Any], inbox: _Inbox, deadline: Optional[float]
    ) -> Call:
        if self._closed:
            raise Closed("the client is closed")
        call = self._calls.open(inbox.append)
        try:
            frame = encode(op, call.id, fields, self._settings.frame_max)
            self._await_connection(deadline)
            self._dealer.send(frame)
        except BaseException:
            self._calls.close(call)
            raise
        call.sent = True
        return call

    def _await_connection(self, deadline: Optional[float]) -> None:
        start = time.monotonic()
        limit = start + self._settings.connect_timeout
        self._pump(0)  # it may be lost since the last call
        while not self._connected:
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                raise RequestTimeout(f"{self._settings.endpoint}: no connection in time")
            if now >= limit:
                trouble = f": {self._trouble}" if self._trouble else ""
                raise Unreachable(
                    f"{self._settings.endpoint}: no connection within {now - start:.3g} s{trouble}"
                )
            self._pump(min(limit, deadline or limit) - now)

    def _receive(self, inbox: _Inbox, deadline: Optional[float]) -> Union[Dict[str, Any], Error]:
        while not inbox:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise RequestTimeout(f"{self._settings.endpoint}: no last answer in time")
            self._pump(left)
        return inbox.popleft()

    def _pump(self, seconds: Optional[float]) -> None:
        """Waits for something to happen, and takes in what has."""
        wait_ms = None if seconds is None else max(0, int(seconds * 1000) + (seconds > 0))
        ready = dict(self._poller.poll(wait_ms))
        lost = False
        if self._monitor in ready:
            while self._monitor.poll(0):
                connected, gone, trouble = read_event(self._monitor.recv_multipart())
                self._connected = connected or (self._connected and not gone)
                self._trouble = trouble
                lost = lost or gone
        taken = 0
        while (lost or taken < TAKEN_MAX) and self._dealer.poll(0):
            self._calls.take(self._dealer.recv())
            taken += 1
        if lost:
            self._reopen()

    def _reopen(self) -> None:
        """A new socket: nothing of the old one must reach a server that has come back."""
        close_sockets(self._dealer, self._monitor)
        self._connected = False
        self._open()
        self._calls.fail_sent(
            ConnectionLost(
                f"{self._settings.endpoint}: the connection was lost before the answer (a request "
                "over twice the server's frame_max ends so, too)"
            )
        )

    def _abandon(self, call: Call) -> None:
        """Ends a call; if it is still in flight, asks the server to cancel it."""
        if call.id not in self._calls.live:
            return
        self._calls.close(call)
        if self._connected and not self._closed:
            cancel = self._calls.open(lambda item: None)
            cancel.sent = True
            try:
                frame = encode("cancel", cancel.id, {"target": call.id})
                self._dealer.send(frame, zmq.DONTWAIT)
            except zmq.ZMQError:
                self._calls.close(cancel)


class Stream:
    """The pieces of one answer, as they come; `result` is set when the last one has come.

    A stream that is closed, or left by a `with` block, before its end is cancelled.
    """

    def __init__(
        self, client: Client, fields: Mapping[str, Any], deadline: Optional[float]
    ) -> None:
        self._client = client
        self._deadline = deadline
        self._inbox: _Inbox = deque()
        self._assembly = Assembly()
        self._over = False
        self._call = client._send("submit", fields, self._inbox, deadline)

    @property
    def result(self) -> Optional[Result]:
        """All that was generated; None until the stream has ended in order."""
        return self._assembly.result

    def __iter__(self) -> Iterator[Piece]:
        return self

    def __next__(self) -> Piece:
        while self.result is None and not self._over:
            try:
                item = self._client._receive(self._inbox, self._deadline)
                piece = self._assembly.take(item)
            except BaseException:
                self.close()
                raise
            if piece.text or piece.tokens:
                return piece
        raise StopIteration

    def cancel(self) -> None:
        """Asks the server to end it; what there is still comes."""
        if self._call.id in self._client._calls.live:
            inbox: _Inbox = deque()
            self._client._send("cancel", {"target": self._call.id}, inbox, self._deadline)

    def close(self) -> None:
        """Gives the rest up; so does an error."""
        self._over = True
        self._client._abandon(self._call)

    def __enter__(self) -> "Stream":
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()
