"""What was read already."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from msgspec import structs

from sessiontrackd import pricing
from sessiontrackd.errors import Unpriced
from sessiontrackd.history import SCHEMA, History, Spent
from sessiontrackd.history._tariffs import Tariffs
from sessiontrackd.model import Finding, Insight, InsightLevel, Session, Usage, UsageRecord
from sessiontrackd.pricing import FREE, Prices, Tariff, override
from sessiontrackd.store import open_store

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SESSION = Session("s1", "claude_code", project="/home/me/agentv", ended_at=NOW)
INSIGHT = Insight(
    level=InsightLevel.STANDARD,
    title="publish to npm failed",
    summary="It works ⟦github-token-1⟧",
    findings=(
        Finding(
            "problem",
            "E403",
            "quote",
            (3, 4),
            parts=(Finding("fix", "x"),),
            details={"added": 3, "new": True, "n": "a"},
        ),
    ),
    engine="claude",
    model="claude-haiku-5-5",
    usage=Usage(1, 2, 3, 4, 5, complete=False),
    cost_picousd=9_200_000_000_000_000_000,
    keywords=("npm",),
    made_at=datetime(2026, 11, 24, 13, 0, 1, tzinfo=timezone(timedelta(hours=1))),
    provenance={"stop_reason": "end_turn", "chunks": [1, 2], "nested": {"a": None}},
)


@pytest.fixture
def history() -> Iterator[History]:
    with open_store(None, SCHEMA) as store:
        yield History(store, now=lambda: NOW)


def test_an_insight_comes_back_exactly(history: History) -> None:
    """What was paid for is stored whole."""
    history.keep_insight("s1", "ab", INSIGHT)

    assert history.insight("s1", "ab", InsightLevel.STANDARD, "claude", "claude-haiku-5-5") == INSIGHT
    assert history.insights_of("s1") == [INSIGHT]


def test_a_copy_under_another_session_id_is_the_same_insight(history: History) -> None:
    """Where a format records no id, it comes from the file's name; the content decides."""
    history.keep_insight("s1", "ab", INSIGHT, model="m")

    assert history.insight("s2", "ab", InsightLevel.STANDARD, "claude", "m") == INSIGHT


@pytest.mark.parametrize(
    "other",
    [("s1", "cd", InsightLevel.STANDARD, "claude", "m"),
     ("s1", "ab", InsightLevel.MINIMAL, "claude", "m"), ("s1", "ab", InsightLevel.STANDARD, "local", "m"),
     ("s1", "ab", InsightLevel.STANDARD, "claude", None)],
)  # fmt: skip
def test_an_insight_is_found_by_its_whole_key(history: History, other: tuple[str, str, InsightLevel, str, str]) -> None:
    """Another content, level, engine or model is another insight."""
    history.keep_insight("s1", "ab", INSIGHT, model="m")

    assert history.insight(*other) is None
    assert history.insight("s1", "ab", InsightLevel.STANDARD, "claude", "m") == INSIGHT


def test_notes_are_listed_newest_first(history: History) -> None:
    """A note is found by its session, from one transcript or from any."""
    for hour, (session, source) in enumerate([("s1", b"/a"), ("s1", b"/b\xff"), ("s2", b"/b\xff")]):
        at = NOW + timedelta(hours=hour)
        history.notes.keep(source, session, source + session.encode(), level="minimal", engine="local",
                            title="t", body_sha256="x", at=at)  # fmt: skip

    assert [report.session_id for report in history.notes.newest(limit=2)] == ["s2", "s1"]
    assert [report.path for report in history.notes.of_source(b"/b\xff")] == [b"/b\xffs1", b"/b\xffs2"]
    newest, first = history.notes.of("s1")[0], history.notes.of("s1", b"/a")[0]
    assert newest is not None
    assert newest.source == b"/b\xff"
    assert first is not None
    assert first.at == NOW


def reply(tokens: int, message_id: str = "m1", *, sidechain: bool = False, complete: bool = True) -> UsageRecord:
    return UsageRecord(message_id, None, "claude-haiku-5-5", NOW, Usage(10, tokens, complete=complete), sidechain)


def record(
    history: History, source: bytes, replies: list[UsageRecord], session: Session = SESSION, folder: str | None = None
) -> None:
    """Note a session with these replies."""
    history.record_session(structs.replace(session, usage_records=tuple(replies)), source, folder=folder)


def test_the_largest_record_of_a_reply_wins(history: History) -> None:
    """A reply stands on several lines, some of them before its end; of equal ones the later holds."""
    record(history, b"/a", [reply(1), reply(90), reply(5)])
    record(history, b"/a", [reply(90, complete=False), reply(2)])

    total = history.recorded()["total"]
    assert (total["calls"], total["output_tokens"], total["incomplete"]) == (1, 90, True)


def test_a_reply_in_several_files_counts_once(history: History) -> None:
    """A copy in a forked session or a sub-agent's file changes nothing; the main conversation's copy is kept."""
    record(history, b"/sub", [reply(90, sidechain=True)], folder="/sub")
    record(history, b"/a", [reply(90)], folder="/main")
    record(history, b"/fork", [reply(90), reply(7, "m2")], structs.replace(SESSION, session_id="fork"), folder="/fork")

    rows = history.recorded("folder")["rows"]
    assert [(row["key"], row["output_tokens"], row["sessions"]) for row in rows] == [("/fork", 7, 1), ("/main", 90, 1)]


def test_reading_again_changes_no_sum(history: History) -> None:
    """A transcript that grew is read whole, and only what is new adds up."""
    records = [reply(10, "m1"), UsageRecord(None, None, None, None, Usage(1, 1))]
    for _ in range(2):
        record(history, b"/a", records)
    record(history, b"/a", [*records, reply(10, "m3")])

    assert history.recorded()["total"]["calls"] == 3


def test_days_are_local(history: History) -> None:
    """An evening in New York belongs to that day there."""
    late = UsageRecord("m1", None, "claude-haiku-5-5", datetime(2026, 12, 1, 3, tzinfo=UTC), Usage(1))
    record(history, b"/a", [late])

    assert [row["key"] for row in history.recorded("day", "2026-11", "America/New_York")["rows"]] == ["2026-11-30"]
    assert history.recorded("day", "2026-11", "UTC")["rows"] == []


@pytest.mark.parametrize("directory", ["/home/me/agentv/", "C:\\Users\\me\\agentv", "agentv"])
def test_a_project_is_named_as_its_folder_whichever_system_wrote_it(history: History, directory: str) -> None:
    """So that its sessions stand together, and as in their notes."""
    records = (UsageRecord("m1", None, "claude-haiku-5-5", NOW, Usage(80_000)),)
    history.record_session(structs.replace(SESSION, project=directory, usage_records=records), b"/a")

    assert [row["key"] for row in history.recorded("project")["rows"]] == ["agentv"]


def test_costs_are_counted_request_by_request(history: History) -> None:
    """Two requests below a price step are not one above it."""
    record(history, b"/a", [UsageRecord(f"m{n}", None, "claude-haiku-5-5", NOW, Usage(80_000)) for n in (1, 2)])

    assert history.recorded("project")["rows"][0] == {
        "key": "agentv", "sessions": 1, "calls": 2, "input_tokens": 160_000, "output_tokens": 0, "cache_read_tokens": 0,
        "cache_write_tokens": 0, "cost_usd": "0.016000", "incomplete": False, "unpriced_tokens": 0,
    }  # fmt: skip
    assert history.recorded_since(NOW - timedelta(hours=1)) == Spent(16_000_000_000, 160_000, 0)


def test_what_a_session_cost_is_what_each_of_its_replies_cost() -> None:
    """To the pico-dollar, also where a price has a step, changed overnight, is rounded up or unknown."""
    before = override("own", {"input": 3, "output": "15.5"})
    since = override("own", {"input": 4, "output": 16}, from_date=NOW.date())
    odd = override("odd", {"input": "0.0000007", "output": "0.0000003"})  # a token costs less than a pico-dollar
    small, large = Usage(80_001, 7, 5, 3, 2), Usage(150_000, 9, 800)
    midnight = NOW.replace(hour=0)
    models = ("own", "odd", "claude-haiku-5-5", "llama", None)
    for at in ([midnight], [midnight - timedelta(milliseconds=1), midnight, None]):
        for used in ([small, small], [large, large], [small, large, Usage(1, 2, complete=False)]):
            each = [(model, moment, usage) for model in models for moment in at for usage in used]
            with open_store(None, SCHEMA) as store:
                history = History(store, now=lambda: NOW, prices=Prices((before, since, odd)))
                record(history, b"/a", [UsageRecord(f"m{n}", None, *one) for n, one in enumerate(each)])

                usage, cost_picousd, is_all = history.recorded_of(["s1"]) or (Usage(), None, True)
                total = history.recorded()["total"]
                priced = [history._cost_picousd(row) for row in store.read("SELECT * FROM recorded")]
                assert (cost_picousd, is_all) == (sum(cost for cost in priced if cost is not None), False)
                assert total["cost_usd"] == pricing.usd_text(cost_picousd or 0)
                assert usage == pricing.summed(one for _, _, one in each)


def test_what_was_spent_since_a_moment_is_kept_up_to_date(tmp_path: Path) -> None:
    """What grew, what another process notes a little late, and any part of an hour count as if they were read anew."""
    with open_store(tmp_path / "state.db", SCHEMA) as ours, open_store(tmp_path / "state.db", SCHEMA) as theirs:
        history = History(ours, now=lambda: NOW)
        late = History(theirs, now=lambda: NOW - timedelta(seconds=50))
        spans = [
            (NOW - timedelta(minutes=ago), NOW + timedelta(minutes=more)) for ago in (240, 91, 0) for more in (1, 200)
        ]
        for step, where in enumerate((history, late, history, history, late, late)):
            at = NOW + timedelta(minutes=37 * step - 90)
            grown = [UsageRecord(f"m{step}", None, "claude-haiku-5-5", at, Usage(7 + step))]
            grown += [UsageRecord("m1", None, "claude-haiku-5-5", at, Usage(1, 90 + step)), reply(3, f"u{step % 2}")]
            record(where, b"/a", [*grown, UsageRecord(f"l{step}", None, "llama", at, Usage(5))])

            for since, until in spans:
                anew = History(ours, now=lambda: NOW).recorded_since(since, until)
                assert history.recorded_since(since, until) == anew
                assert anew.tokens > 0


def test_the_price_package_is_asked_once_for_what_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process finds its answer, also that it knows no price; a new version of it is asked again."""
    asked: list[str] = []

    def packaged(model: str, *_: object) -> Tariff:
        asked.append(model)
        if model == "llama":
            raise Unpriced("nobody knows")
        return Tariff(FREE.base, ((10, FREE.base),))

    monkeypatch.setattr(pricing, "packaged", packaged)
    with open_store(None, SCHEMA) as store:
        first, found = Tariffs(store, Prices()), {}
        for known in (first, Tariffs(store, Prices())):
            found[known] = [known.of(model, NOW) for model in ("llama", "claude-next")]
        assert asked == ["llama", "claude-next"]
        assert list(found.values()) == [[None, Tariff(FREE.base, ((10, FREE.base),))]] * 2

        own = override("llama", {"input": 1, "output": 2})
        assert Tariffs(store, Prices((own,))).of("llama", NOW) == own.tariff
        monkeypatch.setattr("sessiontrackd.history._tariffs.package", lambda: "genai-prices 99")
        assert Tariffs(store, Prices()).of("llama", NOW) is None
        assert asked[2:] == ["llama"]
        assert store.read("SELECT count(*) FROM tariff")[0][0] == 1


def test_what_has_no_price_is_not_zero(history: History) -> None:
    """Unknown models, and sums under a price with steps, are shown as unpriced."""
    record(history, b"/a", [UsageRecord("m1", None, "llama", NOW, Usage(5)), reply(1, "m2")])
    by_model = {"claude-haiku-5-5": Usage(100), "claude-sonnet-5-5": Usage(100)}
    record(history, b"/b", [], structs.replace(SESSION, session_id="s2", usage_by_model=by_model))

    found = {
        row["key"]: (row["cost_usd"], row["unpriced_tokens"], row["calls"]) for row in history.recorded("model")["rows"]
    }
    assert found == {
        "llama": (None, 5, 1),
        "claude-haiku-5-5": ("0.0000015", 100, 1),
        "claude-sonnet-5-5": ("0.000200", 0, 0),
    }


def test_recorded_usage_has_no_level(history: History) -> None:
    """A level is ours, not the transcript's."""
    with pytest.raises(ValueError, match="not by level"):
        history.recorded("level")


def test_what_is_forgotten_leaves_amounts_only(history: History) -> None:
    """Insight, note, names and paths go; sums stay."""
    history.keep_insight("s1", "ab", INSIGHT)
    history.notes.keep(b"/a", "s1", b"/a.md", level="minimal", engine="local", title="t", body_sha256="x")
    record(history, b"/a", [reply(90)])

    assert history.forget(sources=[b"/a"]) == 2
    assert (history.insights_of("s1"), history.notes.newest()) == ([], [])
    assert history.recorded("project")["rows"][0]["key"] is None
    assert history.recorded()["total"]["output_tokens"] == 90


def test_what_is_read_again_after_it_was_forgotten_counts_once(history: History) -> None:
    """Under its name again; sums that have no message id, too, although their key tells no name meanwhile."""
    sums = Session("talk", "meeting", models=("m",), usage=Usage(7, 3))
    for _ in range(2):
        record(history, b"/a", [reply(90)])
        history.record_session(sums, b"/talk")
        assert history.forget(sources=[b"/a", b"/talk"]) == 0
        keys = [row["key"] for row in history._store.read("SELECT key FROM recorded")]
        assert not any(key.startswith("talk") for key in keys)

    record(history, b"/a", [reply(90)])
    history.record_session(sums, b"/talk")
    assert history.recorded()["total"]["output_tokens"] == 93
    assert history.recorded_of(["talk"]) is not None
    assert history.recorded_of(["s1"]) is not None
