"""A transcript on disk: opened without surprises, unpacked within limits, always read as UTF-8."""

from __future__ import annotations

import codecs
import errno
import gzip
import hashlib
import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sessiontrackd.errors import NotStable, Skipped, Unreadable
from sessiontrackd.model import Fingerprint
from sessiontrackd.records._packed import ZSTD_MAGIC, zstd
from sessiontrackd.records._shape import Shape, shape_of

HEAD_BYTES = 64 * 1024
BEGINNING_BYTES = 128  # of a transcript: enough to tell two apart, and what is shorter seldom grows
BUFFER_BYTES = 64 * 1024  # a small file is opened three times: for its head, its shape and its records
PART_BYTES = 1024 * 1024
BEFORE_BYTES = 64 * 1024  # so many tell whether what was read still stands before the place
UNPACKED_LIMIT_BYTES = 4 * 1024**3
RATIO_LIMIT = 200  # logs pack 5 to 40 times
RATIO_FREE_BYTES = 8 * 1024**2  # below this a high ratio is harmless
MEMBER_LIMIT = 20_000
PACKED_SUFFIXES = {".gz", ".zst", ".zip"}
DAMAGED_MEMBER = (NotImplementedError, zipfile.BadZipFile, OSError, ValueError, struct.error)
"""What zipfile raises about a member whose entry is wrong; its place may lie outside the file."""
FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (ZSTD_MAGIC, "zstd"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"SQLite format 3\0", "sqlite"),
)
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Source:
    """One transcript, or one member of an archive, as a stream of bytes in UTF-8.

    `only_figures` tells a reader that nobody wants the messages, only what the session says about itself at its end;
    a reader may then skip what it would decode for them alone. `is_plain` says that its lines stand in the file byte for
    byte: neither packed nor in another encoding.
    """

    def __init__(
        self,
        path: Path,
        fingerprint: Fingerprint,
        container: str | None,
        member: str | None = None,
        *,
        is_plain: bool = False,
    ) -> None:
        """Describe a file that was looked at; `open_source` makes these."""
        self.path = path
        self.fingerprint = fingerprint
        self.container = container
        self.member = member
        self.is_plain = is_plain
        self.only_figures = False

    @property
    def name(self) -> str:
        """The name of the file or of the archive's member: for ties only."""
        return PurePosixPath(self.member).name if self.member else self.path.name

    @property
    def display(self) -> str:
        """The name as it can be shown to people."""
        return os.fsencode(self.name).decode("utf-8", "replace")

    @cached_property
    def stem(self) -> str:
        """The name without suffixes, also without that of a container."""
        path = PurePosixPath(os.fsencode(self.name).decode("utf-8", "replace"))
        while path.suffix in PACKED_SUFFIXES:
            path = path.with_suffix("")
        return path.stem

    @cached_property
    def own_id(self) -> str:
        """A session id for what records none: by name and beginning, so that two files of one name are two sessions.

        It stays while a transcript grows, and where its file is moved or packed.
        """
        return f"{self.stem or 'session'}-{hashlib.sha256(self.head[:BEGINNING_BYTES]).hexdigest()[:8]}"

    @cached_property
    def head(self) -> bytes:
        """The first bytes after unpacking, in UTF-8; of a database its raw first bytes, of a zip nothing."""
        if self.container == "zip" and self.member is None:
            return b""
        with self.open() as file:
            return file.read(HEAD_BYTES)

    @cached_property
    def shape(self) -> Shape:
        """What kind of text or JSON it is."""
        if self.container in ("zip", "sqlite") and self.member is None:
            return Shape(self.container)
        return shape_of(self.head, self.open)

    @cached_property
    def members(self) -> tuple[str, ...]:
        """The names of a zip's files, in name order, without what the Mac adds."""
        if self.container != "zip":
            return ()
        with self._raw() as raw, _zip(raw, self.display) as archive:
            names = [one.filename for one in archive.infolist() if not one.is_dir()]
        if len(names) > MEMBER_LIMIT:
            raise Unreadable(f"{self.display} holds {len(names):,} files; more than {MEMBER_LIMIT:,} are not read.")
        return tuple(sorted(name for name in set(names) if not _is_apple_double(name)))

    @cached_property
    def sha256(self) -> str:
        """The hash of the file's own bytes, as hex."""
        with self._raw() as raw:
            return hashlib.file_digest(raw, "sha256").hexdigest()

    def of_member(self, name: str) -> Source:
        """Return one file of the archive as a source of its own."""
        inner = Source(self.path, self.fingerprint, self.container, name)
        inner.only_figures = self.only_figures
        return inner

    def open(self) -> BinaryIO:
        """Open the content: unpacked, in UTF-8 without a byte-order mark, within the limits.

        Raises:
            Unreadable: it is no whole archive, or unpacks to more than is reasonable.
            NotStable: another file took its place.
        """
        return self._content() if self.container == "sqlite" else _in_utf8(self._content())

    def _content(self) -> BinaryIO:
        """Open the content: unpacked, in whatever encoding it has."""
        if self.member is not None:
            return self.open_member(self.member)
        raw = self._raw()
        if self.container in (None, "sqlite"):
            return raw
        packed: BinaryIO = gzip.GzipFile(fileobj=raw) if self.container == "gzip" else zstd().ZstdFile(raw)  # type: ignore[assignment]
        return _bounded(packed, self.fingerprint.size_bytes, self.display, raw)

    def open_member(self, name: str) -> BinaryIO:
        """Open one file of the zip; nothing is ever written to disk."""
        raw = self._raw()
        try:
            archive = _zip(raw, self.display)
            entry = archive.getinfo(name)
            if entry.flag_bits & 0x1:
                raise Unreadable(f"{self.display} is encrypted; unpack it with its password first.")
            if entry.file_size > UNPACKED_LIMIT_BYTES:
                raise Unreadable(f"{name} in {self.display} unpacks to more than {UNPACKED_LIMIT_BYTES // 2**30} GB.")
            packed = archive.open(entry)
        except KeyError as error:
            raw.close()
            raise Unreadable(f"{self.display} holds no {name}.") from error
        except DAMAGED_MEMBER as error:
            raw.close()
            raise Unreadable(f"{name} in {self.display} cannot be unpacked: {error}.") from error
        except Unreadable:
            raw.close()
            raise
        return _bounded(packed, entry.compress_size, self.display, raw)  # type: ignore[arg-type]

    def text_lines(self) -> Iterator[str]:
        """Yield the lines of a text file, split on LF, without CR and LF; what is no UTF-8 is guessed at."""
        encoding = _encoding_of(self.head)
        with self.open() as file:
            for line in iter(lambda: file.readline(PART_BYTES), b""):
                yield line.rstrip(b"\r\n").decode(encoding, "replace").replace("\0", "")

    @property
    def is_utf8(self) -> bool:
        """Whether the first bytes are valid UTF-8."""
        return _encoding_of(self.head) == "utf-8"

    def sha256_before(self, offset_bytes: int) -> bytes:
        """Return the hash of the bytes right before a place in the file."""
        with self._raw() as raw:
            raw.seek(max(0, offset_bytes - BEFORE_BYTES))
            return hashlib.sha256(raw.read(min(offset_bytes, BEFORE_BYTES))).digest()

    def is_wholly_utf8(self) -> bool:
        """Say whether the bytes as they stand in the file, after unpacking, are valid UTF-8 to the end."""
        decoder = codecs.getincrementaldecoder("utf-8")("strict")
        with self._content() as file:
            try:
                for part in iter(lambda: file.read(PART_BYTES), b""):
                    decoder.decode(part)
                decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                return False
        return True

    def _raw(self) -> io.BufferedReader:
        """Open the file itself, and make sure that it still is the one that was looked at."""
        descriptor = _open(self.path)
        found = os.fstat(descriptor)
        if (found.st_dev, found.st_ino) != (self.fingerprint.device, self.fingerprint.inode):
            os.close(descriptor)
            raise NotStable(f"{self.display} was replaced while it was read.")
        return io.BufferedReader(io.FileIO(descriptor), BUFFER_BYTES)


def open_source(path: Path) -> Source:
    """Look at a file and say how it can be read. A symbolic link is not followed.

    Raises:
        Skipped: empty, a folder, a link, a pipe, a socket, a device.
        Unreadable: gone, or not allowed.
    """
    name = os.fsencode(path.name).decode("utf-8", "replace")
    descriptor = _open(path)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise Skipped(f"{name} is {_kind(found.st_mode)}, not a file.")
        if not found.st_size:
            raise Skipped(f"{name} is empty.")
        magic = os.pread(descriptor, 16, 0)
    except OSError as error:
        raise Unreadable(_refusal(name, error)) from error
    finally:
        os.close(descriptor)
    fingerprint = Fingerprint(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
    container = next((kind for start, kind in MAGIC if magic.startswith(start)), None)
    is_plain = container is None and not magic.startswith(tuple(mark for mark, _ in MARKS))
    return Source(path, fingerprint, container, is_plain=is_plain)


def _open(path: Path) -> int:
    name = os.fsencode(path.name).decode("utf-8", "replace")
    try:
        return os.open(path, FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Skipped(
                f"{name} is a symbolic link, and links are not followed; the file it names is read if that lies in a watched folder."
            ) from error
        if error.errno == errno.ENXIO:
            raise Skipped(f"{name} is a socket or a device, not a file.") from error
        raise Unreadable(_refusal(name, error)) from error
    except ValueError as error:
        raise Unreadable("a path with a NUL in it cannot be read.") from error


def _refusal(name: str, error: OSError) -> str:
    remedy = " Give yourself permission to read it: chmod u+r." if error.errno == errno.EACCES else ""
    return f"{name} cannot be read: {error.strerror}.{remedy}"


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((word for test, word in kinds if test(mode)), "a device")


def _is_apple_double(name: str) -> bool:
    path = PurePosixPath(name)
    return path.name.startswith("._") or path.name == ".DS_Store" or "__MACOSX" in path.parts


def _zip(raw: BinaryIO, display: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(raw)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise Unreadable(f"{display} is no whole zip archive; it may still be on its way.") from error


class _Bounded(io.RawIOBase):
    """Unpacked bytes, as long as they are not suspiciously many."""

    def __init__(self, packed: BinaryIO, packed_bytes: int, display: str, raw: BinaryIO) -> None:
        self._packed = packed
        self._limit = min(UNPACKED_LIMIT_BYTES, max(RATIO_FREE_BYTES, packed_bytes * RATIO_LIMIT))
        self._display = display
        self._raw = raw
        self._seen = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            data = self._packed.read(len(buffer))
        except (EOFError, zlib.error, zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
            raise Unreadable(f"{self._display} cannot be unpacked to its end: cut off or damaged.") from error
        except Exception as error:
            if type(error).__name__ != "ZstdError":  # its home differs between versions of Python
                raise
            raise Unreadable(f"{self._display} cannot be unpacked to its end: cut off or damaged.") from error
        self._seen += len(data)
        if self._seen > self._limit:
            raise Unreadable(f"{self._display} unpacks to more than {self._limit // 2**20} MB, which no log does.")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._packed.close()
            self._raw.close()
        super().close()


def _bounded(packed: BinaryIO, packed_bytes: int, display: str, raw: BinaryIO) -> BinaryIO:
    return io.BufferedReader(_Bounded(packed, packed_bytes, display, raw), BUFFER_BYTES)


class _Transcoder(io.RawIOBase):
    """Text of another encoding, as UTF-8."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            part = self._file.read(len(buffer))
            self._ready = self._decoder.decode(part, final=not part).encode("utf-8", "replace")
            if not part:
                break
        data, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _in_utf8(file: BinaryIO) -> BinaryIO:
    """Take a byte-order mark off, and change UTF-16 and UTF-32 to UTF-8."""
    assert isinstance(file, io.BufferedReader)
    start = file.peek(4)[:4]
    mark, encoding = next(((mark, name) for mark, name in MARKS if start.startswith(mark)), (b"", "utf-8"))
    file.read(len(mark))
    return file if encoding == "utf-8" else io.BufferedReader(_Transcoder(file, encoding), BUFFER_BYTES)


def _encoding_of(head: bytes) -> str:
    """Guess the encoding of text without a mark: UTF-8, else Chinese if it fits, else Western European."""
    for encoding in ("utf-8", "gb18030"):
        try:
            codecs.getincrementaldecoder(encoding)("strict").decode(head, final=len(head) < HEAD_BYTES)
        except UnicodeDecodeError:
            continue
        return encoding
    return "cp1252"
