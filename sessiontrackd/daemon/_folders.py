"""The watched folders: scanned whole when it is time, looked at where something changed, offered to the queue."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path

from sessiontrackd import queue, watch
from sessiontrackd.config import Home, Settings, lowered, take_hints
from sessiontrackd.daemon._status import Seen, Status
from sessiontrackd.model import Folder
from sessiontrackd.store import Store

log = logging.getLogger(__name__)

MARGIN_S = 0.002  # the queue counts whole milliseconds
BATCH = 100  # files offered in one transaction
BREATH = 500  # files looked at before others get their turn
ARM_S = 2.0  # a new folder is scanned at the latest then, although its watch may not stand yet
SCAN_SHARE = 20  # scanning takes at most a twentieth of the time
CLOCK_JUMP_S = 60.0  # the wall clock ran on so much more than ours: the machine slept, events may be lost


class Folders:
    """What is known of each watched folder, and looking at them.

    Args:
        home: whose folders.
        settings: in force.
        store: opened with the queue's tables.
        status: told how each folder stands.
        on_news: awaited whenever transcripts were offered.
        at_once: scan a new folder without waiting for its watch to stand.
    """

    def __init__(
        self,
        home: Home,
        settings: Settings,
        store: Store,
        status: Status,
        on_news: Callable[[], Awaitable[None]],
        *,
        at_once: bool,
    ) -> None:
        """Keep the parts."""
        self._home = home
        self._settings = settings
        self._store = store
        self._queue = queue.Queue(store)
        self._status = status
        self._on_news = on_news
        self._at_once = at_once
        self._is_ending = False
        self._hinted: dict[Path, set[bytes]] = {}
        self._ended: set[bytes] = set()  # transcripts of which a tool said that their session does not go on
        self._drift_s = time.time() - time.monotonic()

    def take_up(self, settings: Settings) -> None:
        """Go on with changed settings: forget folders that are no longer watched, scan the others soon."""
        self._settings = settings
        watched = {folder.path for folder in settings.folders if folder.enabled}
        for path in self._status.folders.keys() - watched:
            del self._status.folders[path]
        self.scan_all_soon()

    def hint(self, folder: Path, places: Iterable[bytes]) -> None:
        """Have places below a folder looked at in the next turn; an empty one means all of it."""
        self._hinted.setdefault(folder, set()).update(places)

    def end(self) -> None:
        """Stop looking, also in the middle of a scan."""
        self._is_ending = True

    def next_scan_s(self) -> float:
        """Return when the next folder is to be scanned, on the monotonic clock."""
        return min((seen.next_scan_s for seen in self._status.folders.values()), default=float("inf"))

    def avoid(self, folder: Folder) -> Collection[Path]:
        """Return the places below a folder that do not belong to it: other watched folders, our notes, our state."""
        others = [each.path for each in self._settings.folders if each.path != folder.path]
        vaults = [
            Path(each.output.removeprefix("vault:"))
            for each in self._settings.folders
            if each.output.startswith("vault:")
        ]
        return (*others, *vaults, self._home.state_dir)

    async def look_around(self) -> None:
        """Scan what it is time for, else where something was said to have changed."""
        drift_s = time.time() - time.monotonic()
        if abs(drift_s - self._drift_s) > CLOCK_JUMP_S:
            self._drift_s = drift_s
            self.scan_all_soon()
        for told in take_hints(self._home, self._settings.folders):
            if holding := self._settings.folder_of(told.path):
                self.hint(holding.path, {os.fsencode(told.path)})
                if told.has_ended:
                    self._ended.add(os.fsencode(told.path))
        hinted, self._hinted = self._hinted, {}
        for folder in self._settings.folders:
            if not folder.enabled or self._is_ending:
                continue
            places = hinted.get(folder.path, set())
            if time.monotonic() >= self._of(folder).next_scan_s or b"" in places:
                await self._look_through(folder)
            else:
                for place in places:
                    await self._look(folder, place)
        self._ended.clear()

    def _of(self, folder: Folder) -> Seen:
        """Return what is known of a folder; a new one is scanned when its watch stands, so that once is enough."""
        return self._status.folders.setdefault(folder.path, Seen(0.0 if self._at_once else time.monotonic() + ARM_S))

    def scan_all_soon(self) -> None:
        """Let each folder be scanned at the next turn."""
        for seen in self._status.folders.values():
            seen.next_scan_s = 0.0

    async def _look_through(self, folder: Folder) -> None:
        """Scan a whole folder and note how it is."""
        began_s, seen = time.monotonic(), self._of(folder)
        seen.files = await self._look(folder)
        state = "watched" if watch.is_online(folder) else "offline"
        if state == "offline" and seen.state != "offline":
            log.warning("%s is not there; what is known about it is kept", watch.display(os.fsencode(folder.path)))
        took_s = time.monotonic() - began_s
        seen.state = state
        seen.next_scan_s = time.monotonic() + max(self._settings.scan_interval_s, SCAN_SHARE * took_s)
        self._status.tell()

    async def _look(self, folder: Folder, below: bytes | None = None) -> int:
        """Offer what is new or has changed in a folder, or below a place in it; return how many files are there."""
        files, new, batch, there = 0, 0, list[watch.Found](), set[bytes]()
        for found in watch.scan(folder, below, self.avoid(folder)):
            files += 1
            there.add(found.path)
            known = self._queue.job(found.path)
            new += known is None
            is_news = known is None or known.fingerprint != found.fingerprint or found.path in self._ended
            if is_news and lowered(folder, found.path).left_alone is None:
                batch.append(found)
            if len(batch) >= BATCH or files % BREATH == 0:
                await self._offer(folder, batch)
                batch.clear()
                self._status.tell_progress(folder, files)
            if self._is_ending:
                break
        await self._offer(folder, batch)
        if below is None and not self._is_ending and watch.is_online(folder):
            await self._offer(folder, [watch.Found(path, watch.GONE) for path in self._gone(folder, there)])
        if below is not None and new:
            self._of(folder).files += new
            self._status.tell()
        return files

    def _gone(self, folder: Folder, there: Collection[bytes]) -> list[bytes]:
        """Return the known transcripts of a folder that are no longer there, each once: their notes are to say so.

        What stood on another disk than the folder now does may be unmounted.
        """
        device, known = folder.path.stat().st_dev, self._queue.fingerprints(os.fspath(folder.path))
        missing = (path for path, seen in known.items() if path not in there and seen.device == device)
        return [path for path in missing if not os.path.lexists(path)]

    async def _offer(self, folder: Folder, batch: Collection[watch.Found]) -> None:
        """Let files wait until they have rested; the worker is started meanwhile."""
        await asyncio.sleep(0)  # others get their turn
        if not batch or self._is_ending:
            return
        now, news = datetime.now(UTC), 0
        with self._store.immediate():
            for found in batch:
                rest_s = watch.rest_s(found.fingerprint, now, folder.stable_s)
                news += self._queue.offer(
                    found.path,
                    watch.display(found.path),
                    found.fingerprint,
                    os.fspath(folder.path),
                    delay_s=rest_s + MARGIN_S if rest_s else 0.0,
                    ended=found.path in self._ended,
                )
        if news:
            await self._on_news()
