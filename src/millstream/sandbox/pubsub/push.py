"""Push: messages posted to an endpoint until it says that it has them."""

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import orjson

from millstream.log import get_logger
from millstream.sandbox.pubsub.broker import Broker
from millstream.sandbox.pubsub.subscription import Given, Subscription

_log = get_logger(__name__)

ISSUER: Final = "https://accounts.google.com"
TAKEN: Final = frozenset({102, 200, 201, 202, 204})
"""Answers that acknowledge (Pub/Sub guide "push")."""

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 60.0
"""Backoff of redelivery in seconds (the same guide)."""

AT_ONCE: Final = 20
LONG_PULL: Final = 30.0
TOKEN_SECONDS: Final = 3_600
RENEW_BEFORE: Final = 300

Sign = Callable[[bytes], str]


class Pusher:
    """One task for every subscription with an endpoint. `sign` makes a JWT out of claims."""

    def __init__(self, broker: Broker, sign: Sign) -> None:
        self._broker = broker
        self._sign = sign
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._tokens: dict[tuple[str, str], tuple[float, str]] = {}
        self._http: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Begin with the subscriptions there are, and follow every later one."""
        self._http = aiohttp.ClientSession()
        self._broker.on_push = self._follow
        for subscription in self._broker.subscriptions.values():
            self._follow(subscription)

    async def close(self) -> None:
        """Stop posting; what is not acknowledged stays in its subscription."""
        self._broker.on_push = lambda _subscription: None
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()
        if self._http is not None:
            await self._http.close()

    def _follow(self, subscription: Subscription) -> None:
        for name in [name for name, task in self._tasks.items() if task.done()]:
            del self._tasks[name]
        running = self._tasks.pop(subscription.name, None)
        if running is not None:
            running.cancel()
        if subscription.settings.push_endpoint and self._http is not None:
            self._tasks[subscription.name] = asyncio.create_task(self._push(self._http, subscription))

    async def _push(self, http: aiohttp.ClientSession, subscription: Subscription) -> None:
        pause = 0.0
        while not subscription.is_closed:
            deadline = float(subscription.settings.ack_deadline)
            given = await subscription.pull(AT_ONCE, wait=LONG_PULL, deadline=deadline + LONGEST_PAUSE)
            if not given:
                continue
            taken = await asyncio.gather(*(self._post(http, subscription, one) for one in given))
            subscription.acknowledge(one.ack_id for one, done in zip(given, taken, strict=True) if done)
            left = [one.ack_id for one, done in zip(given, taken, strict=True) if not done]
            if not left:
                pause = 0.0
                continue
            pause = min(max(pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
            await asyncio.sleep(pause)
            subscription.extend(left, 0)

    async def _post(self, http: aiohttp.ClientSession, subscription: Subscription, given: Given) -> bool:
        settings = subscription.settings
        headers = {"Content-Type": "application/json", "User-Agent": "APIs-Google"}
        if settings.push_account:
            token = self.token(settings.push_account, settings.push_audience or settings.push_endpoint)
            headers["Authorization"] = f"Bearer {token}"
        timeout = aiohttp.ClientTimeout(total=settings.ack_deadline)
        try:
            async with http.post(
                settings.push_endpoint, data=body(subscription.name, given), headers=headers, timeout=timeout,
                allow_redirects=False,
            ) as answer:  # fmt: skip
                return answer.status in TAKEN
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.debug("push_failed", subscription=subscription.name, error=str(error))
            return False

    def token(self, account: str, audience: str) -> str:
        """The token of one account for one audience; an hour old at most.

        Its times are real, not the sandbox's: whoever checks it looks at a clock of its own.
        """
        now = time.time()
        until, token = self._tokens.get((account, audience), (0.0, ""))
        if until <= now:
            claims = {
                "aud": audience,
                "azp": "100000000000000000002",
                "email": account,
                "email_verified": True,
                "exp": int(now) + TOKEN_SECONDS,
                "iat": int(now),
                "iss": ISSUER,
                "sub": "100000000000000000002",
            }
            token = self._sign(orjson.dumps(claims))
            self._tokens[account, audience] = (now + TOKEN_SECONDS - RENEW_BEFORE, token)
        return token


def message_document(given: Given) -> dict[str, Any]:
    """A message as the REST API shows it."""
    message = given.message
    document: dict[str, Any] = {
        "data": b64encode(message.data).decode(),
        "messageId": message.id,
        "publishTime": datetime.fromtimestamp(message.published, UTC).isoformat(timespec="milliseconds").replace(
            "+00:00", "Z"
        ),
    }  # fmt: skip
    if message.attributes:
        document["attributes"] = dict(message.attributes)
    return document


def body(subscription: str, given: Given) -> bytes:
    """A push body: Google sends the id and the time under both spellings."""
    message = message_document(given)
    message |= {"message_id": message["messageId"], "publish_time": message["publishTime"]}
    return orjson.dumps({"message": message, "subscription": subscription})
