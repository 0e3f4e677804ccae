"""One attempt: a POST over a connection that goes to no private address, follows nothing, and ends in time."""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpcore

from services.runtime import tracing
from services.webhook_registry.addresses import AddressPolicy, ForbiddenAddress, Resolve, parse_url, resolve
from services.webhook_registry.log import Attempt
from services.webhook_registry.signing import SIGNATURE_HEADER, signature
from services.webhooks.deliveries import Claim

_USER_AGENT = b"ocr-services-webhooks/1"
_ANSWER_BYTES_MAX = 64 * 1024
"""An answer is not read beyond this: its status is all that counts."""
_LOOKUP_THREADS = 32


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Opens connections to addresses that the policy allows, at the moment it opens them."""

    def __init__(
        self, policy: AddressPolicy, lookups: ThreadPoolExecutor, resolve: Resolve, *, encrypted: bool
    ) -> None:
        self._policy = policy
        self._lookups = lookups
        self._resolve = resolve
        self._encrypted = encrypted
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the interface's own
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connects to the address that was judged; the TLS above it still asks for the name.

        Raises:
            ForbiddenAddress: the policy does not allow it.
            httpcore.ConnectError: the name is unknown, or nobody listens.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._lookups, self._resolve, host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"the host {host} is unknown") from error
        address = self._policy.choose(host, found, is_encrypted=self._encrypted)
        return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise ForbiddenAddress("a webhook is not a file")

    async def sleep(self, seconds: float) -> None:
        """As asked."""
        await asyncio.sleep(seconds)


class Sender:
    """Makes attempts, many at a time, each bounded as a whole. Used inside one event loop; close it there."""

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        attempt_seconds_max: float,
        resolve: Resolve = resolve,
        trust: ssl.SSLContext | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._attempt_seconds_max = attempt_seconds_max
        self._now = now
        # Threads of its own: a name server that hangs must hold up neither the database nor the rest.
        self._lookups = ThreadPoolExecutor(_LOOKUP_THREADS, "lookup")
        self._pools = {
            scheme: httpcore.AsyncConnectionPool(
                ssl_context=trust or ssl.create_default_context(),
                # A connection is used once: the next attempt is judged anew.
                max_keepalive_connections=0,
                network_backend=GuardedNetwork(policy, self._lookups, resolve, encrypted=scheme == "https"),
            )
            for scheme in ("https", "http")
        }

    async def close(self) -> None:
        """Closes what is open."""
        for pool in self._pools.values():
            await pool.aclose()
        self._lookups.shutdown(wait=False, cancel_futures=True)

    async def attempt(self, claim: Claim) -> Attempt:
        """How the attempt went; whatever a receiver does is an outcome, and none of it is raised."""
        started_at, started = self._now(), time.monotonic()
        status_code, error = None, None
        try:
            async with asyncio.timeout(self._attempt_seconds_max):
                status_code = await self._post(claim, int(started_at.timestamp()))
        except TimeoutError:
            error = f"no answer within {self._attempt_seconds_max:g} s"
        except (ForbiddenAddress, OSError, httpcore.NetworkError, httpcore.ProtocolError) as problem:
            error = f"{type(problem).__name__}: {problem}"
        if status_code is not None and 300 <= status_code < 400:
            error = "redirects are not followed"
        return Attempt(started_at, round((time.monotonic() - started) * 1000), status_code, error)

    async def _post(self, claim: Claim, timestamp: int) -> int:
        headers = [
            (b"Content-Type", b"application/json"),
            (b"User-Agent", _USER_AGENT),
            (SIGNATURE_HEADER.encode(), signature(claim.secrets, timestamp, claim.body).encode()),
        ]
        if (traceparent := tracing.current()) is not None:
            headers.append((b"traceparent", traceparent.encode()))
        pool = self._pools[parse_url(claim.url).scheme]
        async with pool.stream("POST", claim.url, headers=headers, content=claim.body) as answer:
            received = 0
            async for chunk in answer.aiter_stream():
                received += len(chunk)
                if received > _ANSWER_BYTES_MAX:
                    break
            return int(answer.status)
