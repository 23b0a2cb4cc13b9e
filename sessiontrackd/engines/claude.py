"""Ask Claude, or a server that speaks its protocol: one request through the anthropic package."""

from __future__ import annotations

import ipaddress
import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from sessiontrackd.config import Home, Settings, find_key
from sessiontrackd.engines._claude_reply import outcome_of, reply_of
from sessiontrackd.errors import EngineError, Refused, SettingsError, Unknown
from sessiontrackd.model import Ask, Reply

if TYPE_CHECKING:
    import anthropic
    import httpx2

TIMEOUT_S = 300.0  # a long answer at 6,000 tokens takes about two minutes
SURELY_UNBILLED = frozenset({400, 401, 402, 403, 404, 413, 422, 429, 529})  # what the API refuses before it works
KNOWN_CODES = frozenset({"enforced_spend_limit_reached"})  # as hopeless, whatever the status
RETRY_AFTER_MOST_S = 86_400.0
UNREACHED_S = 60.0  # before a server that cannot be reached is tried again
FOR_NOW = frozenset({429, 500, 502, 503, 504, 529})  # too many requests, overloaded, a fault of the server's
HOPELESS = frozenset({401, 402, 403, 404})  # no other request will fare better: key, money, permission, model
ANTHROPIC = "anthropic"
LOGGERS = ("anthropic", "httpx2", "httpcore2")
HEADERS = frozenset(
    {"accept", "accept-encoding", "anthropic-beta", "anthropic-version", "authorization", "connection", "content-length",
     "content-type", "host", "transfer-encoding", "user-agent", "x-api-key"}
)  # fmt: skip
NO_KEY = "no-key"  # for a server of one's own that asks for none


class ClaudeEngine:
    """Ask one model by `messages.create`.

    Args:
        model: the model's id.
        api_key: sent as the only credential; the environment and profiles on disk are not searched.
        base_url: the server.
        unencrypted: send to another machine without TLS, because the user said so.
        key_problem: why there is a key that cannot be read.
    """

    NAME = "claude"
    leaves_machine = True

    def __init__(
        self,
        *,
        model: str,
        api_key: str | None,
        base_url: str,
        unencrypted: bool = False,
        key_problem: str | None = None,
    ) -> None:
        """Keep the address and the key; nothing is opened before the first attempt."""
        self.price_model: str | None = model
        self.provider = provider_name(base_url)
        self._api_key = api_key
        self._base_url = base_url
        self._unencrypted = unencrypted
        self._key_problem = key_problem
        self._client: anthropic.AsyncAnthropic | None = None

    @classmethod
    def configured(cls, home: Home, settings: Settings, model: str) -> Self:
        """Make the engine that the settings describe; without a key it refuses every attempt."""
        found, problem = None, None
        try:
            found = find_key(home)
        except SettingsError as error:
            problem = str(error)
        return cls(
            model=settings.claude_model or model,
            api_key=found[0] if found else None,
            base_url=settings.claude_base_url,
            unencrypted=settings.claude_unencrypted,
            key_problem=problem,
        )

    @classmethod
    def provider_of(cls, settings: Settings) -> str:
        """Return who gets the text as the settings stand; no key is needed to know."""
        return provider_name(settings.claude_base_url)

    async def attempt(self, ask: Ask) -> Reply:
        """Send one request and return what came back, not yet parsed.

        Raises:
            Refused: the server answered with a status that bills nothing.
            Unknown: anything else went wrong; the request may have been billed.
        """
        with self._told_apart() as client:
            answer: Any = await client.messages.create(**_request(ask))
            is_json = hasattr(answer, "to_dict")  # a captive portal's page arrives as a str
            message = answer.to_dict(mode="python", warnings=False) if is_json else {}
        return reply_of(message, getattr(answer, "_request_id", None))

    async def count_tokens(self, ask: Ask) -> int:
        """Return how many tokens the server counts in the prompt; the text is sent for it, and nothing is billed.

        Raises:
            EngineError: it does not tell.
        """
        request = {name: value for name, value in _request(ask).items() if name != "max_tokens"}
        with self._told_apart() as client:
            told: object = await client.messages.count_tokens(**request)
        counted = getattr(told, "input_tokens", None)
        if not isinstance(counted, int) or counted <= 0:
            raise Unknown("the answer is no count of tokens")
        return counted

    async def submit(self, asks: Mapping[str, Ask]) -> str:
        """Send many requests as one batch, to be answered within a day at half the price.

        Args:
            asks: by an id of at most 64 letters and digits.

        Returns:
            The batch's id.

        Raises:
            Refused: the server answered with a status that bills nothing.
            Unknown: anything else went wrong; all of them may be billed.
        """
        requests: Any = [{"custom_id": name, "params": _request(ask)} for name, ask in asks.items()]
        with self._told_apart() as client:
            batch: object = await client.messages.batches.create(requests=requests)
        if not (identifier := getattr(batch, "id", None)):
            raise Unknown("the answer is no batch of the API: it may be billed")
        return str(identifier)

    async def collect(self, batch_id: str) -> dict[str, Reply | EngineError] | None:
        """Return what came of each request of a batch, by its id; None while the server works on it.

        Raises:
            EngineError: the server does not tell just now; that costs nothing.
        """
        self._check()
        import httpx2

        with self._told_apart() as client:
            batch: object = await client.messages.batches.retrieve(batch_id)
            if getattr(batch, "processing_status", None) != "ended":
                return None
            # Not by the address that the answer names: the key goes to the server of the settings alone.
            results = await client.get(f"/v1/messages/batches/{batch_id}/results", cast_to=httpx2.Response)
            return dict(map(outcome_of, filter(None, results.text.split("\n"))))

    @contextmanager
    def _told_apart(self) -> Iterator[anthropic.AsyncAnthropic]:
        """Lend the client; what goes wrong is surely unbilled, or unknown."""
        self._check()
        client = self._set_up()
        import httpx2
        from anthropic import AnthropicError, APIStatusError

        try:
            yield client
        except APIStatusError as error:
            raise _from_status(error) from None
        except (AnthropicError, httpx2.HTTPError, ValueError, AssertionError, RecursionError) as error:
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> EngineError:
        """Tell what surely never left this machine from what may have been billed."""
        import httpx2

        cause = error.__cause__ or error
        if isinstance(cause, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError)):
            return Refused(f"{self.provider} cannot be reached", retry_after_s=UNREACHED_S, is_for_now=True)
        is_cut = isinstance(cause, httpx2.TransportError) and not isinstance(cause, httpx2.TimeoutException)
        words = f"No usable answer came from {self.provider} ({type(cause).__name__}): it may have been billed"
        return Unknown(words, is_for_now=is_cut)

    def _check(self) -> None:
        """Refuse before anything is sent or imported."""
        if is_exposed(self._base_url) and not self._unencrypted:
            raise Refused(
                f"Text and key would go to {self.provider} unencrypted: its address begins with http. "
                "Write https in claude.base_url, or claude.unencrypted = true where that network is your own.",
                circuit=True,
            )
        if self._key_problem:
            raise Refused(f"{self._key_problem} Then `sessiontrackd retry`.", circuit=True)
        if self._api_key is None and self.provider == ANTHROPIC:
            raise Refused(
                "The engine 'claude' needs an API key, and there is none. Store one: `sessiontrackd key set`, then "
                "`sessiontrackd retry`. The local engine needs none.",
                circuit=True,
            )

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _set_up(self) -> anthropic.AsyncAnthropic:
        """Return the one client.

        Raises:
            Refused: the environment names a proxy or certificates that cannot be used; nothing was sent.
        """
        import httpx2

        try:
            return self._connected()
        except (
            ImportError,
            OSError,
            ValueError,
            httpx2.InvalidURL,
        ) as error:  # their words may hold a proxy's password
            raise Refused(
                f"No connection to {self.provider} can be set up ({type(error).__name__}), so nothing was sent. Look at the "
                "variables ALL_PROXY, HTTPS_PROXY and NO_PROXY (http:// and https:// proxies can be used, socks:// cannot), "
                "SSL_CERT_FILE and SSL_CERT_DIR of the process that asks, then `sessiontrackd retry`.",
                circuit=True,
            ) from None

    def _connected(self) -> anthropic.AsyncAnthropic:
        """Return the one client: no retries, no redirects, no credentials but ours, a proxy for other machines only."""
        if self._client is None:
            import httpx2
            from anthropic import AsyncAnthropic

            for name in LOGGERS:  # they write whole requests where the variable ANTHROPIC_LOG or our level says debug
                logging.getLogger(name).setLevel(logging.WARNING)
            transport = httpx2.AsyncClient(
                trust_env=not is_loopback(self._base_url),
                follow_redirects=False,
                timeout=TIMEOUT_S,
                event_hooks={"request": [_only_needed_headers]},
            )
            self._client = AsyncAnthropic(
                api_key=self._api_key or NO_KEY,
                base_url=self._base_url,
                max_retries=0,
                timeout=TIMEOUT_S,
                http_client=transport,
            )
        return self._client


async def _only_needed_headers(request: httpx2.Request) -> None:
    """Drop what the variable ANTHROPIC_CUSTOM_HEADERS adds, and what the package tells of this machine."""
    for name in [each for each in request.headers if each.lower() not in HEADERS]:
        del request.headers[name]


def provider_name(base_url: str) -> str:
    """Return who gets the text: `anthropic`, or host and port of another server."""
    address = urlsplit(base_url)
    if address.hostname == "api.anthropic.com":
        return ANTHROPIC
    host = address.hostname or ""
    if host == "command":  # the names of programs begin so, which have a flat rate; with a dot it is the same host
        host = "command."
    return f"{f'[{host}]' if ':' in host else host}:{address.port or (80 if address.scheme == 'http' else 443)}"


def is_exposed(base_url: str) -> bool:
    """Say whether what is sent there can be read on the way: no TLS, and not this machine."""
    return urlsplit(base_url).scheme != "https" and not is_loopback(base_url)


def is_loopback(base_url: str) -> bool:
    """Say whether the address is on this machine by its number or the name localhost; nothing is looked up."""
    host = urlsplit(base_url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _request(ask: Ask) -> dict[str, Any]:
    """Return the arguments of `messages.create`: no temperature, no prefill, no forced tool (5.x refuses them)."""
    request: dict[str, Any] = {
        "model": ask.model,
        "max_tokens": ask.max_output_tokens,
        "messages": [{"role": "user", "content": ask.text}],
    }
    if ask.thinking:
        request["thinking"] = {"type": ask.thinking}
    output: dict[str, Any] = {"effort": ask.effort} if ask.effort else {}
    if ask.schema:
        output["format"] = {"type": "json_schema", "schema": dict(ask.schema)}
    return request | ({"output_config": output} if output else {})


def _from_status(error: anthropic.APIStatusError) -> EngineError:
    """Tell a sure refusal from an unknown outcome by the status; the body is not repeated (it may quote the text)."""
    status, code = error.status_code, error.error_code
    words = f"The server answered {status} ({code if code in KNOWN_CODES else type(error).__name__})"
    is_for_now, after_s = status in FOR_NOW, _retry_after_s(error)
    if status in HOPELESS or code in KNOWN_CODES:
        remedy = "the key, the credit, the permission or the model. Fix it, then `sessiontrackd retry`."
        return Refused(f"{words}: {remedy}", circuit=True)
    if status in SURELY_UNBILLED:
        return Refused(words, retry_after_s=after_s, is_for_now=is_for_now)
    return Unknown(f"{words}: it may have been billed", retry_after_s=after_s, is_for_now=is_for_now)


def _retry_after_s(error: anthropic.APIStatusError) -> float | None:
    """Return the server's retry-after in seconds, at most a day; it may be a number or a date."""
    headers = error.response.headers
    said = headers.get("retry-after", "")
    try:
        seconds = float(said)
    except ValueError:
        until, now = _date(said), _date(headers.get("date", "")) or datetime.now(UTC)
        seconds = (until - now).total_seconds() if until else math.nan
    return min(seconds, RETRY_AFTER_MOST_S) if seconds >= 0 else None


def _date(said: str) -> datetime | None:
    """Return a date of HTTP."""
    try:
        found = parsedate_to_datetime(said)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
