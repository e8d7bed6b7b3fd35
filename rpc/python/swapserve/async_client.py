"""The client for asyncio: many requests at once on one connection."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Dict, List, Mapping, Optional, Sequence, Type, Union

import zmq
import zmq.asyncio

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


class AsyncClient:
    """One connection to a server, for the tasks of one event loop. Arguments as for Client.

    Make it inside the loop. A task that is cancelled while it waits cancels its request, too.
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
        self._context = zmq.asyncio.Context()
        self._connected = asyncio.Event()
        self._trouble = ""
        try:
            self._dealer, self._monitor = open_sockets(self._context, self._settings)
        except BaseException:
            self._context.term()
            raise
        self._reader = asyncio.get_running_loop().create_task(self._read())

    # --- requests ---------------------------------------------------------------------------

    async def generate(
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
        assembly.take(await self._ask("submit", fields, timeout))
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
    ) -> "AsyncStream":
        """Generates from PROMPT; `async for` over the stream gives the pieces as they come.

        The request is sent when the iteration begins. TIMEOUT is for the whole stream.
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
        return AsyncStream(self, fields, self._deadline(timeout))

    async def status(self, *, timeout: Optional[float] = None) -> Status:
        """What the server holds and does."""
        return status_of(await self._ask("status", {}, timeout))

    async def models(self, *, timeout: Optional[float] = None) -> List[Model]:
        """The models it serves."""
        return models_of(await self._ask("models", {}, timeout))

    async def load(self, model: str, *, timeout: Optional[float] = None) -> None:
        """Makes a model resident; returns when it is."""
        await self._ask("load", {"model": arguments.text("model", model)}, timeout)

    async def drop(self, model: str, *, timeout: Optional[float] = None) -> None:
        """Frees a model's device memory."""
        await self._ask("drop", {"model": arguments.text("model", model)}, timeout)

    async def drain(self, *, timeout: Optional[float] = None) -> None:
        """The server takes no new requests, answers the accepted ones and ends."""
        await self._ask("drain", {}, timeout)

    async def shutdown(self, *, timeout: Optional[float] = None) -> None:
        """The server ends now."""
        await self._ask("shutdown", {}, timeout)

    async def close(self) -> None:
        """Closes the connection; what is in flight, and all later calls, end with Closed."""
        if self._closed:
            return
        self._closed = True
        self._connected.set()  # who waits for it looks again
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        self._calls.fail_sent(Closed("the client was closed"))
        close_sockets(self._dealer, self._monitor, linger_ms=100)
        self._context.term()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.close()

    # --- the machinery ----------------------------------------------------------------------

    def _deadline(self, timeout: Optional[float]) -> Optional[float]:
        timeout = self._timeout if timeout is None else arguments.timeout("timeout", timeout)
        return None if timeout is None else asyncio.get_running_loop().time() + timeout

    async def _ask(
        self, op: str, fields: Mapping[str, Any], timeout: Optional[float]
    ) -> Dict[str, Any]:
        deadline = self._deadline(timeout)
        inbox: asyncio.Queue[Union[Dict[str, Any], Error]] = asyncio.Queue()
        call = self._calls.open(inbox.put_nowait)
        try:
            await self._send(op, call, fields, deadline)
            return raise_error(await self._receive(inbox, deadline))
        finally:
            await self._abandon(call)

    async def _send(
        self, op: str, call: Call, fields: Mapping[str, Any], deadline: Optional[float]
    ) -> None:
        frame = encode(op, call.id, fields, self._settings.frame_max)
        if not self._connected.is_set():
            await self._await_connection(deadline)
        if self._closed:
            raise Closed("the client is closed")
        call.sent = True
        await self._dealer.send(frame)

    async def _await_connection(self, deadline: Optional[float]) -> None:
        loop = asyncio.get_running_loop()
        limit = loop.time() + self._settings.connect_timeout
        first = limit if deadline is None else min(limit, deadline)
        try:
            await asyncio.wait_for(self._connected.wait(), first - loop.time())
        except asyncio.TimeoutError:
            if first < limit:
                raise RequestTimeout(f"{self._settings.endpoint}: no connection in time") from None
            trouble = f": {self._trouble}" if self._trouble else ""
            raise Unreachable(
                f"{self._settings.endpoint}: no connection within "
                f"{self._settings.connect_timeout:.3g} s{trouble}"
            ) from None

    async def _receive(
        self, inbox: "asyncio.Queue[Union[Dict[str, Any], Error]]", deadline: Optional[float]
    ) -> Union[Dict[str, Any], Error]:
        if deadline is None:
            return await inbox.get()
        left = deadline - asyncio.get_running_loop().time()
        try:
            return await asyncio.wait_for(inbox.get(), left)
        except asyncio.TimeoutError:
            raise RequestTimeout(f"{self._settings.endpoint}: no last answer in time") from None

    async def _read(self) -> None:
        """Takes in answers and the connection's fate, for as long as the client lives."""
        while True:
            poller = zmq.asyncio.Poller()
            poller.register(self._dealer, zmq.POLLIN)
            poller.register(self._monitor, zmq.POLLIN)
            lost = False
            while not lost:
                ready = dict(await poller.poll())
                if self._monitor in ready:
                    lost = await self._watch()
                taken = 0
                while (lost or taken < TAKEN_MAX) and await self._dealer.poll(0):
                    self._calls.take(await self._dealer.recv())
                    taken += 1
                await asyncio.sleep(0)  # polling what is there does not let others run
            # A new socket: nothing of the old one must reach a server that has come back.
            self._connected.clear()
            close_sockets(self._dealer, self._monitor)
            self._dealer, self._monitor = open_sockets(self._context, self._settings)
            self._calls.fail_sent(
                ConnectionLost(
                    f"{self._settings.endpoint}: the connection was lost before the answer (a "
                    "request over twice the server's frame_max ends so, too)"
                )
            )

    async def _watch(self) -> bool:
        """Reads the monitor; true if the connection was lost."""
        lost = False
        while await self._monitor.poll(0):
            connected, gone, self._trouble = read_event(await self._monitor.recv_multipart())
            if connected:
                self._connected.set()
            lost = lost or gone
        return lost

    async def _abandon(self, call: Call) -> None:
        """Ends a call; if it is still in flight, asks the server to cancel it."""
        if call.id not in self._calls.live:
            return
        self._calls.close(call)
        if call.sent and self._connected.is_set() and not self._closed:
            cancel = self._calls.open(lambda item: None)
            cancel.sent = True
            await self._dealer.send(encode("cancel", cancel.id, {"target": call.id}))


class AsyncStream:
    """The pieces of one answer, as they come; `result` is set when the last one has come.

    A stream that is closed, or left by an `async with` block, before its end is cancelled.
    """

    def __init__(
        self, client: AsyncClient, fields: Mapping[str, Any], deadline: Optional[float]
    ) -> None:
        self._client = client
        self._fields = fields
        self._deadline = deadline
        self._inbox: asyncio.Queue[Union[Dict[str, Any], Error]] = asyncio.Queue()
        self._assembly = Assembly()
        self._over = False
        self._call: Optional[Call] = None

    @property
    def result(self) -> Optional[Result]:
        """All that was generated; None until the stream has ended in order."""
        return self._assembly.result

    def __aiter__(self) -> "AsyncStream":
        return self

    async def __anext__(self) -> Piece:
        try:
            if self._call is None and not self._over:
                self._call = self._client._calls.open(self._inbox.put_nowait)
                await self._client._send("submit", self._call, self._fields, self._deadline)
            while self.result is None and not self._over:
                piece = self._assembly.take(
                    await self._client._receive(self._inbox, self._deadline)
                )
                if piece.text or piece.tokens:
                    return piece
        except BaseException:
            await self.close()
            raise
        raise StopAsyncIteration

    async def cancel(self) -> None:
        """Asks the server to end it; what there is still comes."""
        if self._call is not None and self._call.id in self._client._calls.live:
            cancel = self._client._calls.open(lambda item: None)
            fields = {"target": self._call.id}
            await self._client._send("cancel", cancel, fields, self._deadline)

    async def close(self) -> None:
        """Gives the rest up; so does an error."""
        self._over = True
        if self._call is not None:
            await self._client._abandon(self._call)

    async def __aenter__(self) -> "AsyncStream":
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.close()
