"""The digest of a period: composed of what was read, written where the settings say."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from sessiontrackd import digest, notes, report
from sessiontrackd.budget import TokenManager
from sessiontrackd.config import PERIODS, Home, Settings, Span, digest_done, digest_looked
from sessiontrackd.errors import LedgerDamaged
from sessiontrackd.history import History

FOLDER = "Digests"


def digest_place(home: Home, settings: Settings, span: Span) -> Path:
    """Return where the digest of a period belongs: as the settings say, else in the first vault, else in the state."""
    if settings.digest_folder:
        return Path(settings.digest_folder) / f"{span.key}.md"
    vaults = [report.vault_root(each.output) for each in settings.folders if report.is_vault(each.output)]
    root = next((vault for vault in vaults if vault != home.notes_dir), home.notes_dir)
    return root / FOLDER / f"{span.key}.md"


def composed(
    home: Home, history: History, money: TokenManager, settings: Settings, span: Span, *, note_path: Path | None = None
) -> str | None:
    """Return the digest of a period; None where nothing was worked on."""
    for root in {report.vault_root(each.output) for each in settings.folders if report.is_vault(each.output)}:
        notes.follow_moved(history, root)  # what was ticked in a moved note counts
    ours = _ours(money, span)
    return digest.compose(
        history, span, settings.zone, ours_picousd=ours, note_path=note_path, user_dir=home.templates_dir
    )


def write_digest(home: Home, history: History, money: TokenManager, settings: Settings, span: Span) -> Path | None:
    """Write the digest of a period and return where it stands; None where nothing was worked on.

    Raises:
        Waiting: its vault is not there.
    """
    path = digest_place(home, settings, span)
    notes.require_vault(history, path.parent.parent)
    text = composed(home, history, money, settings, span, note_path=path)
    return report.write(path, text, mode=0o600).path if text else None


def write_late(home: Home, history: History, money: TokenManager, settings: Settings, now: datetime) -> list[Path]:
    """Write again the digests of earlier periods for which sessions were read since; one that the reader deleted stays so."""
    looked = digest_looked(home)
    if looked is None or settings.digest_every not in PERIODS:
        return []
    key, since = looked
    days = {at.astimezone(settings.zone).date() for at in history.ends_read_since(since)}
    spans = {Span.of(settings.digest_every, day) for day in days}
    written = []
    for span in sorted(spans, key=lambda each: each.first):
        path = digest_place(home, settings, span)
        if span.after <= now.date() and path.exists():
            text = composed(home, history, money, settings, span, note_path=path)
            if text and report.write(path, text, mode=0o600).outcome != report.UNCHANGED:
                written.append(path)
    if days:
        digest_done(home, key, now)
    return written


def _ours(money: TokenManager, span: Span) -> int | None:
    """Return what our own insights cost; None where the account cannot be trusted."""
    try:
        return sum(money.spent_on(span.first + timedelta(day)) for day in range((span.after - span.first).days))
    except LedgerDamaged:
        return None
