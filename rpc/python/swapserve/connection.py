"""Settings of a connection, and of the sockets it is made of."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple

import zmq
from zmq.utils.monitor import parse_monitor_message

from . import arguments
from .wire import DEFAULT_ENDPOINT

# Messages taken in at once: however fast answers come, what is to be sent, or is waited for, has its
# turn.
TAKEN_MAX = 64

_EVENTS = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
)

_TROUBLE: Dict[int, str] = {
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "the server refused this client's key",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "what listens there speaks no ZeroMQ, or has other keys",
}


@dataclass(frozen=True)
class Settings:
    endpoint: str
    connect_timeout: float
    frame_max: int
    reply_bytes_max: int
    server_key: Optional[bytes] = None
    public_key: Optional[bytes] = None
    secret_key: Optional[bytes] = None


def make_settings(
    endpoint: Optional[str],
    connect_timeout: float,
    frame_max: int,
    reply_bytes_max: int,
    server_key: Optional[bytes],
    public_key: Optional[bytes],
    secret_key: Optional[bytes],
) -> Settings:
    endpoint = endpoint or os.environ.get("SWAPSERVE_ENDPOINT") or DEFAULT_ENDPOINT
    arguments.text("endpoint", endpoint)
    if not endpoint.startswith(("tcp://", "ipc://")):
        raise ValueError(f"endpoint: found {endpoint!r}, want tcp://HOST:PORT or ipc://PATH")
    keys = (server_key, public_key, secret_key)
    if any(keys) and not all(keys):
        raise ValueError("CURVE needs server_key, public_key and secret_key")
    return Settings(
        endpoint,
        arguments.seconds("connect_timeout", connect_timeout),
        arguments.whole("frame_max", frame_max, 256, 1 << 30),
        arguments.whole("reply_bytes_max", reply_bytes_max, 1, 1 << 62),
        *keys,
    )


def open_sockets(context: Any, settings: Settings) -> Tuple[Any, Any]:
    """A connecting DEALER and its monitor, of the CONTEXT's kind (plain or asyncio)."""
    dealer = context.socket(zmq.DEALER)
    monitor = None
    try:
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.setsockopt(zmq.SNDHWM, 10000)
        dealer.setsockopt(zmq.RCVHWM, 10000)
        dealer.setsockopt(zmq.MAXMSGSIZE, settings.reply_bytes_max)
        dealer.setsockopt(zmq.IPV6, int(settings.endpoint.startswith("tcp://[")))
        # Long enough that a lost connection is seen, and this socket given up, before libzmq
        # connects again and sends what is left in it.
        dealer.setsockopt(zmq.RECONNECT_IVL, 200)
        dealer.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
        dealer.setsockopt(zmq.HEARTBEAT_IVL, 5000)
        dealer.setsockopt(zmq.HEARTBEAT_TIMEOUT, 15000)
        if settings.server_key:
            dealer.setsockopt(zmq.CURVE_SERVERKEY, settings.server_key)
            dealer.setsockopt(zmq.CURVE_PUBLICKEY, settings.public_key)
            dealer.setsockopt(zmq.CURVE_SECRETKEY, settings.secret_key)
        monitor = dealer.get_monitor_socket(_EVENTS)
        monitor.setsockopt(zmq.LINGER, 0)
        try:
            dealer.connect(settings.endpoint)
        except zmq.ZMQError as error:
            raise ValueError(f"endpoint: {settings.endpoint!r}: {error}") from error
    except BaseException:
        if monitor is not None:
            close_sockets(dealer, monitor)
        dealer.close(0)
        raise
    return dealer, monitor


def close_sockets(dealer: Any, monitor: Any, linger_ms: int = 0) -> None:
    """Closes what open_sockets() gave; a socket left open would hang the context's end."""
    dealer.disable_monitor()
    monitor.close(0)
    dealer.close(linger_ms)


def read_event(frames: Any) -> Tuple[bool, bool, str]:
    """(connected, lost, trouble) from a monitor's message."""
    event = int(parse_monitor_message(frames)["event"])
    return (
        event == zmq.EVENT_HANDSHAKE_SUCCEEDED,
        event == zmq.EVENT_DISCONNECTED,
        _TROUBLE.get(event, ""),
    )
