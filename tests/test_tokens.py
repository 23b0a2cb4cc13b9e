"""Tokens are counted near enough, and the bound learns."""

import base64
import gzip
import hashlib
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest

from sessiontrackd.store import open_store
from sessiontrackd.tokens import (
    SCHEMA,
    Counts,
    Estimator,
    _encoding,
    byte_classes,
    cl100k_tokens,
    expected_tokens,
    family,
    hard_bound,
    sized,
)

TALK = "The build fails because `pool_size` is read twice; see line 42 of src/db.py.\n" * 200
MODEL = "claude-haiku-5-5"


def learned(estimator: Estimator, actual: float, times: int = 1) -> Counts:
    """Let calls be billed with `actual` × what TALK is plainly estimated with; return the last counts before."""
    counts = Counts(0, 0, 0)
    for _ in range(times):
        counts = estimator.estimate(TALK, provider="anthropic", model=MODEL)
        estimator.learn(
            provider="anthropic",
            model=MODEL,
            expected=counts.expected,
            actual=round(counts.expected / counts.factor * actual),
            factor=counts.factor,
        )
    return counts


def input_rows(shared: Path) -> list[dict[str, Any]]:
    """Return the rows that are a valid test of the estimator."""
    with gzip.open(shared / "tokens" / "usage.jsonl.gz", "rt") as lines:
        rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [
        row
        for row in rows
        if row["side"] == "input"
        and row["chars"] >= 150
        and row["tokens"] > 20
        and 0.1 < row["tokens"] / row["chars"] < 1.6
    ]


def test_classes_cover_every_byte() -> None:
    """Each UTF-8 byte, a lone surrogate's too, belongs to exactly one class."""
    text = "aZ9 \n\t{-}é—漢字𝔘\udcff\x7f"

    assert byte_classes(text) == (1, 1, 1, 1, 2, 4, 1, 3, 2, 12)
    assert sum(byte_classes(text)) == len(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("claude-haiku-5-5", "new"),
        ("claude-opus-4-7", "new"),
        ("claude-opus-4-8-20260401", "new"),
        ("claude-fable-5", "new"),
        ("qwen3:8b", "new"),
        (None, "new"),
        ("claude-opus-4-6", "old"),
        ("anthropic/claude-sonnet-4-5-20250929", "old"),
        ("claude-sonnet-4-20250514", "old"),
        ("claude-3-5-haiku-20241022", "old"),
    ],
)
def test_the_name_tells_the_tokenizer(model: str | None, kind: str) -> None:
    """Models up to 4.6 have the old tokenizer, strangers count as the new one."""
    assert family(model) == kind


def test_counts_are_in_order() -> None:
    """Low, expected and most never cross, for any kind of text."""
    for text in ("", "x", TALK, "漢字" * 500, "{}[]()<>" * 300, "\n" * 1000):
        counts = sized(text)
        assert 0 <= counts.low <= counts.expected <= counts.most
        assert hard_bound(text) >= 500


def test_a_chinese_text_is_bounded_by_two_tokens_a_character() -> None:
    """Where nothing was fitted the bound is wide."""
    assert sized("漢" * 10_000).most >= 20_000
    assert 12_000 < sized("漢" * 10_000).expected < 14_000


def test_items_of_real_sessions_are_near(shared: Path) -> None:
    """Byte classes alone are within 9 % of what single tool results were billed with."""
    rows = [row for row in input_rows(shared) if row["family"] == "new"]
    off = [abs(expected_tokens(row["classes"], "new") / row["tokens"] - 1) for row in rows]

    assert len(rows) == 2958
    assert sum(off) / len(off) < 0.075


def test_the_level_is_learned() -> None:
    """After some calls the expected count is what the model really bills."""
    estimator = Estimator()
    plain = estimator.estimate(TALK, provider="anthropic", model=MODEL)
    learned(estimator, 1.1, 60)
    counts = estimator.estimate(TALK, provider="anthropic", model=MODEL)

    assert counts.expected == pytest.approx(plain.expected * 1.1, rel=0.01)
    assert estimator.estimate(TALK, provider="other", model=MODEL) == plain


def test_the_bound_tightens_and_holds() -> None:
    """With calls that scatter by 6 %, the bound holds and costs less than a third."""
    estimator, draw = Estimator(), random.Random(5)
    plain = Estimator().estimate(TALK, provider="anthropic", model=MODEL).expected
    ratios = []
    for _ in range(400):
        scatter = math.exp(draw.gauss(0.05, 0.06))
        ratios.append(learned(estimator, scatter).most / (plain * scatter))

    assert sum(ratio < 1 for ratio in ratios[50:]) <= 350 * 0.03
    assert sum(ratios[50:]) / 350 < 1.32


def test_one_miss_moves_the_bound() -> None:
    """A tokenizer that suddenly counts 1.35 × is missed twice at most."""
    estimator = Estimator()
    learned(estimator, 1.0, 200)
    plain = Estimator().estimate(TALK, provider="anthropic", model=MODEL).expected
    misses = sum(learned(estimator, 1.35).most < plain * 1.35 for _ in range(20))

    assert 1 <= misses <= 2


def test_calls_in_flight_do_not_move_it_twice() -> None:
    """Several calls that were counted before the first was learned move the level to the truth, not past it."""
    estimator = Estimator()
    counts = estimator.estimate(TALK, provider="anthropic", model=MODEL)
    for _ in range(16):
        estimator.learn(
            provider="anthropic",
            model=MODEL,
            expected=counts.expected,
            actual=counts.expected * 2,
            factor=counts.factor,
        )

    after = estimator.estimate(TALK, provider="anthropic", model=MODEL)
    assert after.expected <= counts.expected * 2.01


def test_what_was_learned_is_kept(tmp_path: Path) -> None:
    """Another process goes on with it."""
    path = tmp_path / "state.db"
    store = open_store(path, SCHEMA)
    learned(Estimator(store), 1.2, 30)
    before = Estimator(store).estimate(TALK, provider="anthropic", model=MODEL)
    store.close()

    store = open_store(path, SCHEMA)
    assert Estimator(store).estimate(TALK, provider="anthropic", model=MODEL) == before
    assert before.factor > 1.1
    store.close()


def test_nothing_is_learned_from_nothing() -> None:
    """A reply without input tokens teaches nothing."""
    estimator = Estimator()
    estimator.learn(provider="anthropic", model=MODEL, expected=100, actual=0)

    assert estimator.estimate("x", provider="anthropic", model=MODEL) == Estimator().estimate(
        "x", provider="a", model=MODEL
    )


def test_the_packaged_ranks_are_the_published_ones() -> None:
    """Written as OpenAI publishes them, they have the published sha256."""
    ranks = _encoding()._mergeable_ranks
    digest = hashlib.sha256()
    for token, rank in ranks.items():
        digest.update(base64.b64encode(token) + f" {rank}\n".encode())

    assert digest.hexdigest() == "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"


def test_cl100k_counts_any_text() -> None:
    """Known counts, a literal special token, and a lone surrogate."""
    assert cl100k_tokens("hello world") == 2
    assert cl100k_tokens("<|endoftext|>") > 1
    assert cl100k_tokens("\udcff") >= 1


def test_cl100k_is_nearer(shared: Path) -> None:
    """With cl100k beside the bytes single tool results are within 6 % of what was billed."""
    rows = [row for row in input_rows(shared) if row["family"] == "new"]
    off = [abs(expected_tokens(row["classes"], "new", cl100k=row["cl100k"]) / row["tokens"] - 1) for row in rows]

    assert sum(off) / len(off) < 0.06
