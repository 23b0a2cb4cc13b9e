"""Changes to the settings file that keep its comments and its order, written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

Checked = TypeVar("Checked")


class Edit:
    """A settings file open for change."""

    def __init__(self, raw: bytes) -> None:
        """Read what is there."""
        import tomlkit

        self.document: TOMLDocument = tomlkit.parse(raw.decode("utf-8-sig"))

    def add_folder(self, values: dict[str, Any]) -> None:
        """Append a [[folder]]."""
        import tomlkit
        from tomlkit.items import AoT

        table = tomlkit.table()
        for name, value in values.items():
            table.append(name, list(value) if isinstance(value, tuple) else value)
        folders = self.document.get("folder")
        if isinstance(folders, AoT):
            folders.append(table)
        else:
            if self.document.as_string().strip():
                self.document.add(tomlkit.nl())
            array = tomlkit.aot()
            array.append(table)
            self.document["folder"] = array

    def remove_folder(self, nth: int) -> None:
        """Take the nth [[folder]] out."""
        folders = self.document["folder"]
        del folders[nth]
        if not len(folders):
            del self.document["folder"]

    def set_folder(self, nth: int, name: str, value: Any) -> None:
        """Set or remove an option of the nth [[folder]]."""
        _put(self.document["folder"][nth], name, value)

    def set_global(self, name: str, value: Any) -> None:
        """Set or remove an option of the whole program."""
        import tomlkit

        table, _, key = name.rpartition(".")
        if not table:
            _put(self.document, key, value)
            return
        if table not in self.document:
            if value is None:
                return
            self.document[table] = tomlkit.table()
        _put(self.document[table], key, value)

    def set_project_budget(self, project: str, value: str | None) -> None:
        """Set or remove a line of [budget.projects]."""
        import tomlkit

        budget = self.document.setdefault("budget", tomlkit.table())
        _put(budget.setdefault("projects", tomlkit.table()), project, value)
        if not budget["projects"]:
            del budget["projects"]

    def bytes(self) -> bytes:
        """Return the file's new content."""
        return self.document.as_string().encode("utf-8")


def _put(table: Any, key: str, value: Any) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = list(value) if isinstance(value, tuple) else value


def change(path: Path, lock_dir: Path, edit: Callable[[Edit], None], check: Callable[[bytes], Checked]) -> Checked:
    """Apply `edit` to the file at `path` while no other process does, and return what `check` says of the result.

    The file is replaced only after `check` has accepted its new content. A symlink stays one: its target is replaced.
    """
    with _locked(lock_dir / "settings.lock"):
        path = Path(os.path.realpath(path))
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            raw = b""
        check(raw)
        editing = Edit(raw)
        edit(editing)
        result = check(editing.bytes())
        write_private(path, editing.bytes())
    return result


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_private(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace the file at `path` as a whole, readable by its owner alone unless `mode` says otherwise."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
