"""The way from a session to an insight, with real money in a real ledger and a real server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sessiontrackd.budget import SCHEMA, Limit, TokenManager
from sessiontrackd.engines.claude import ClaudeEngine
from sessiontrackd.errors import CircuitOpen, ConsentRequired, Failed, Held, OverBudget, SessiontrackdError, Waiting
from sessiontrackd.insights import AIInsightGenerator, Purpose, open_messages, read_session, session_of
from sessiontrackd.model import InsightLevel
from sessiontrackd.store import Store, open_store
from tests.counterpart import Counterpart, Fault, tokens_of
from tests.engines.test_claude import FAULTS

KEY = "not-a-real-key"
USD = 10**12
TALK = [
    {"role": "user", "content": "The import is slow. Which database should we take for the field app?"},
    {"role": "assistant", "content": "Take SQLite with a nightly export, because one device writes at a time."},
    {"role": "user", "content": "Good. We still have to measure the sync on the oldest phone."},
]
FOUNDED = {"kind": "decision", "text": "SQLite it is.", "quote": "Take SQLite with a nightly export", "messages": [2]}


def answer(*findings: dict[str, Any], **other: Any) -> str:
    """Return an answer as a model would write it."""
    return json.dumps({"title": "A database", "summary": "They take SQLite.", "findings": list(findings)} | other)


def agreed(folder: str | None, provider: str) -> None:
    """Allow everything."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "state.db", SCHEMA) as opened:
        yield opened


@pytest.fixture
def money(store: Store) -> TokenManager:
    manager = TokenManager(store=store, timezone="UTC")
    manager.set_limits(Limit(5 * USD))
    return manager


def generated(
    server: Counterpart,
    money: TokenManager,
    talk: Any = TALK,
    consent: Callable[[str | None, str], None] = agreed,
    slept_s: list[float] | None = None,
) -> dict[str, Any]:
    """Ask the server for the insight of a talk; waiting takes no time and is noted in `slept_s`."""

    async def sleep(seconds: float) -> None:
        if slept_s is not None:
            slept_s.append(seconds)

    async def once() -> dict[str, Any]:
        engine = ClaudeEngine(model="claude-haiku-5-5", api_key=KEY, base_url=server.base_url)
        generator = AIInsightGenerator(money, engine=engine, consent=consent, sleep=sleep)
        async with contextlib.aclosing(generator):
            return await generator.generate_insights(talk)

    return asyncio.run(once())


def states(money: TokenManager) -> list[str]:
    """Return the states of all attempts."""
    return [attempt.state for attempt in money._ledger.attempts()]


def test_the_ledger_equals_the_bill_and_the_insight_is_the_models(money: TokenManager) -> None:
    """What the server charged is what is booked and what the insight says; one request, one row."""
    with Counterpart(lambda _: answer(FOUNDED)) as server:
        made = generated(server, money)

        assert server.invalid == []
        assert money.status().spent_picousd == server.billed_picousd
        assert made["cost_usd"] == pytest.approx(server.billed_picousd / USD)
        assert len(server.requests) == len(states(money)) == 1
    assert (made["title"], made["summary"], made["engine"]) == ("A database", "They take SQLite.", "claude")
    decided = [finding for finding in made["findings"] if finding["kind"] == "decision"]
    assert [(one["quote"], one["messages"], one["origin"]) for one in decided] == [(FOUNDED["quote"], [2], "model")]


def test_near_the_end_the_providers_own_count_decides(money: TokenManager) -> None:
    """Where the hard bound does not fit; a server that cannot count, or a prompt that never fits, is refused."""
    with Counterpart(lambda _: answer(FOUNDED)) as server:
        generated(server, money)
        counted = tokens_of(json.loads(server.requests[0]))
        spent = money.status().spent_picousd
        by_count = (math.ceil(counted * 1.02) + 50) * 100_000 + 1_500 * 500_000
        money.set_limits(Limit(spent + by_count))
        server.counts = False
        with pytest.raises(OverBudget):
            generated(server, money)
        server.counts = True
        generated(server, money)
        with pytest.raises(OverBudget):
            generated(server, money)

    assert (server.counted, len(server.requests)) == (2, 2)
    assert money._ledger.attempts()[-1].reserve.picousd == by_count
    assert states(money) == ["settled", "settled"]


def test_what_is_not_founded_is_dropped_and_counted(money: TokenManager) -> None:
    """A quote off by one, a wrong message, an unknown kind, a made-up number: none of them is printed."""
    wrong = [
        FOUNDED | {"quote": "Take SQLite with a nightly expert"},
        FOUNDED | {"messages": [1]},
        FOUNDED | {"kind": "prophecy"},
        FOUNDED | {"text": "SQLite is 17 times faster."},
        FOUNDED | {"messages": ["2", None, True]},
        {"kind": "decision"},
        "nonsense",
    ]
    with Counterpart(lambda _: answer(*wrong, FOUNDED, summary="It saves 99 %.")) as server:  # type: ignore[arg-type]
        made = generated(server, money)

    assert [finding["origin"] for finding in made["findings"]].count("model") == 1
    assert made["provenance"]["quotes_checked"] == 7
    assert made["provenance"]["quotes_kept"] == 1
    assert "99" not in made["summary"]


@pytest.mark.parametrize("text", ["", "I cannot.", '{"findings": 3}', '{"title": "x"', "[]"])
def test_an_answer_without_the_shape_is_asked_for_once_more(money: TokenManager, text: str) -> None:
    """Each request is reserved and paid for by itself; what both cost stands in the insight."""
    answers = iter([text, answer(FOUNDED)])
    with Counterpart(lambda _: next(answers)) as server:
        made = generated(server, money)

        assert money.status().spent_picousd == server.billed_picousd
        assert made["cost_usd"] == pytest.approx(server.billed_picousd / USD)
        assert "one JSON object" in server.requests[1].decode()
    assert states(money) == ["settled"] * 2
    assert made["title"] == "A database"


def test_an_answer_that_never_has_the_shape_is_paid_and_is_no_insight(money: TokenManager) -> None:
    """Usage is booked before the answer is read, and there is no third request."""
    with Counterpart(lambda _: "I cannot.") as server:
        with pytest.raises(Held, match=r"shape.*when it was asked again.*paid"):
            generated(server, money)

        assert money.status().spent_picousd == server.billed_picousd > 0
    assert states(money) == ["settled"] * 2


@pytest.mark.parametrize("reason", ["max_tokens", "refusal", "pause_turn", "model_context_window_exceeded"])
def test_an_answer_that_ended_early_is_paid_and_not_asked_for_again(money: TokenManager, reason: str) -> None:
    """It would end the same way."""
    with Counterpart(lambda _: answer(FOUNDED)) as server:
        server.stop_reason = reason
        with pytest.raises(Held, match=reason):
            generated(server, money)

    assert states(money) == ["settled"]


def test_without_room_to_ask_again_an_answer_without_the_shape_is_not_asked_for_anew(money: TokenManager) -> None:
    """It was paid for; to begin from the start would pay for it again."""

    def spoil(_: dict[str, Any]) -> str:
        money.set_limits(Limit(1))
        return "I cannot."

    with Counterpart(spoil) as server:
        with pytest.raises(Held, match="it was paid for") as caught:
            generated(server, money)

        assert not isinstance(caught.value, OverBudget)
        assert len(server.requests) == 1


def test_prose_around_the_answer_is_left_out(money: TokenManager) -> None:
    """Servers that ignore the schema put words around it."""
    with Counterpart(lambda _: f"Here it is:\n```json\n{answer(FOUNDED)}\n```") as server:
        assert generated(server, money)["title"] == "A database"


@pytest.mark.parametrize(
    ("status", "error", "requests"),
    [
        (400, Failed, 1),
        (401, CircuitOpen, 1),
        (402, CircuitOpen, 1),
        (403, CircuitOpen, 1),
        (404, CircuitOpen, 1),
        (413, Failed, 1),
        (429, Waiting, 3),
        (529, Waiting, 3),
    ],
)
def test_a_sure_refusal_costs_nothing(
    money: TokenManager, status: int, error: type[SessiontrackdError], requests: int
) -> None:
    """The reservation is given back, and the class says what becomes of the job."""
    slept_s: list[float] = []
    with Counterpart() as server:
        server.script += [Fault("status", status=status, headers={"retry-after": "7"})] * 3
        with pytest.raises(error) as caught:
            generated(server, money, slept_s=slept_s)

        assert len(server.requests) == requests
    assert states(money) == ["released"] * requests
    assert slept_s == [7] * (requests - 1)
    assert money.status().spent_picousd == 0
    assert getattr(caught.value, "delay_s", 7) == 7


def test_a_refusal_for_now_is_followed_by_an_answer(money: TokenManager) -> None:
    """Without a time from the server the pause is drawn at random, and grows."""
    slept_s: list[float] = []
    with Counterpart(lambda _: answer(FOUNDED)) as server:
        server.script += [Fault("status", status=529)] * 2
        assert generated(server, money, slept_s=slept_s)["title"] == "A database"

    assert states(money) == ["released", "released", "settled"]
    assert all(0 < seconds <= most for seconds, most in zip(slept_s, (1, 2), strict=True))


def test_a_server_that_asks_for_patience_is_left_alone_for_that_long(money: TokenManager) -> None:
    """Nobody waits for minutes: the job is put off."""
    slept_s: list[float] = []
    with Counterpart() as server:
        server.script.append(Fault("status", status=429, headers={"retry-after": "120"}))
        with pytest.raises(Waiting) as caught:
            generated(server, money, slept_s=slept_s)

    assert (caught.value.delay_s, slept_s, states(money)) == (120, [], ["released"])


@pytest.mark.parametrize("name", FAULTS)
def test_an_unknown_outcome_is_spent(money: TokenManager, name: str) -> None:
    """The ledger is never below the bill, every request has its row, and not more than two are risked."""
    with Counterpart() as server:
        server.script += [FAULTS[name]] * 3
        with pytest.raises(Held, match="counts as spent"):
            generated(server, money)

        assert states(money) == ["assumed"] * len(server.requests)
        assert len(server.requests) <= 2
        assert money.status().spent_picousd >= server.billed_picousd


@pytest.mark.parametrize(("attempts", "error"), [(1, Waiting), (2, Waiting), (3, Held)])
def test_a_job_is_put_off_longer_each_time_before_a_person_is_asked(
    money: TokenManager, attempts: int, error: type[SessiontrackdError]
) -> None:
    """Each attempt may be billed, so there is an end to it."""
    with Counterpart() as server:
        server.script += [FAULTS["a portal's page"]]

        async def once() -> None:
            engine = ClaudeEngine(model="claude-haiku-5-5", api_key=KEY, base_url=server.base_url)
            generator = AIInsightGenerator(money, engine=engine, consent=agreed)
            level = InsightLevel.MINIMAL
            async with contextlib.aclosing(generator):
                reading = read_session(open_messages(session_of(TALK)), level)
                await generator.insight(reading, level, Purpose(attempts=attempts))

        with pytest.raises(error) as caught:
            asyncio.run(once())

    assert getattr(caught.value, "delay_s", 0) == {1: 60, 2: 120, 3: 0}[attempts]


def test_over_budget_nothing_is_sent(store: Store) -> None:
    """Without a budget nothing paid is reserved; nor above it."""
    with Counterpart() as server:
        manager = TokenManager(store=store, timezone="UTC")
        for limit in (Limit(), Limit(1)):
            manager.set_limits(limit)
            with pytest.raises(OverBudget):
                generated(server, manager)

        assert server.requests == []


def test_without_consent_nothing_is_sent_or_reserved(money: TokenManager) -> None:
    """The message names the line to type."""
    with Counterpart() as server:

        async def once() -> None:
            engine = ClaudeEngine(model="claude-haiku-5-5", api_key=KEY, base_url=server.base_url)
            await AIInsightGenerator(money, engine=engine).generate_insights(TALK)

        with pytest.raises(ConsentRequired, match=f"consent grant --api --provider 127.0.0.1:{server.port}"):
            asyncio.run(once())
        assert server.requests == []
    assert states(money) == []


def test_consent_that_is_revoked_ends_a_long_session(money: TokenManager) -> None:
    """It is asked for before each request: what was paid for stays, and nothing more is sent."""
    long = [{"role": "user", "content": f"Part {n}. " + "many words of text, " * 100} for n in range(260)]
    asked: list[str] = []

    def revoked(_folder: str | None, provider: str) -> None:
        asked.append(provider)
        if len(asked) > 1:
            raise ConsentRequired("revoked")

    money.set_limits(Limit(50 * USD))
    with Counterpart(lambda _: answer(FOUNDED)) as server:
        made = generated(server, money, [*TALK, *long], revoked)

        assert len(server.requests) == 1 < len(asked)
    assert "asked in 1 of" in made["provenance"]["note"]


def test_a_secret_never_reaches_the_server(money: TokenManager) -> None:
    """Wherever it stands in a message, also beside a cut; nor does the key stand in the ledger."""
    secret = "ghp_" + os.urandom(27).hex()[:36]
    talk = [
        *TALK,
        {"role": "user", "content": "x " * 890 + secret + " y" * 900},
        {"role": "user", "content": f"token: {secret}"},
    ]
    with Counterpart(lambda _: answer(title=f"About {secret}", summary=secret)) as server:
        made = generated(server, money, talk)

        received = b"".join(server.requests).decode()
        assert not any(secret[at : at + 8] in received for at in range(len(secret) - 7))
        assert KEY not in received
    assert secret not in json.dumps(made)


def test_a_call_in_flight_that_is_cancelled_counts_as_spent(money: TokenManager) -> None:
    """Nobody knows what the server did with it."""
    with Counterpart() as server:
        server.script.append(Fault(delay_s=5))

        async def interrupted() -> None:
            engine = ClaudeEngine(model="claude-haiku-5-5", api_key=KEY, base_url=server.base_url)
            generator = AIInsightGenerator(money, engine=engine, consent=agreed)
            try:
                async with asyncio.timeout(0.5 if server.requests else 2):
                    await generator.generate_insights(TALK)
            finally:
                await engine.close()

        with pytest.raises(TimeoutError):
            asyncio.run(interrupted())

    assert states(money) == ["assumed"]


def test_an_unknown_level_is_named() -> None:
    """With the three that there are."""
    with pytest.raises(ValueError, match="minimal, standard, comprehensive"):
        asyncio.run(AIInsightGenerator().generate_insights("hello", "deep"))
