"""What the user configured: settings, folders, templates."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sessiontrackd import config, kernel, pipeline, templates
from sessiontrackd.doctor._patient import FAILURE, OK, WARNING, Check, Patient, nearest
from sessiontrackd.engines import engine_class
from sessiontrackd.errors import SettingsError, UsageError
from sessiontrackd.model import Folder


def settings(patient: Patient) -> Iterator[Check]:
    path = patient.home.config_path
    if patient.mistake:
        yield Check("settings", FAILURE, patient.mistake, f"Fix the line it names in {path}.")
    elif not path.exists():
        yield Check("settings", OK, f"{path} does not exist yet: every setting has its default")
    else:
        yield Check("settings", OK, f"{path} can be used")


def folders(patient: Patient) -> Iterator[Check]:
    watched = [folder for folder in patient.settings.folders if folder.enabled]
    if not watched and not patient.mistake:
        yield Check("folders", WARNING, "no folder is watched", "Add one: sessiontrackd watch add DIR")
    for folder in watched:
        yield Check("folder", *_folder(folder))
        for mistake in config.mistakes_below(folder):
            yield Check("folder file", WARNING, mistake, "Fix or remove the line it names.")
        kind = kernel.file_system(folder.path)
        if not kernel.gives_all_events(kind):
            text = f"{folder.path} lies on {kind}: what another machine writes there is only seen by the next scan"
            yield Check("file system", WARNING, text, "Scan more often, in the settings: daemon.scan_interval_s = 60")
    if watched:
        yield _watches([folder.path for folder in watched if folder.path.is_dir()])


def _watches(folders: list[Path]) -> Check:
    found = kernel.watches(folders)
    number = f"{'' if found.is_exact else 'more than '}{found.folders:,} {'folder is' if found.folders == 1 else 'folders are'} watched"
    if found.limit is None:
        return Check("watch limit", OK, f"{number}; this system names no limit")
    text = f"{number}, this system allows {found.limit:,} for all programs together"
    if found.fit:
        return Check("watch limit", OK, text)
    return Check(
        "watch limit", WARNING, f"{text}; folders above that are only scanned", kernel.raise_line(found.folders)
    )


def _folder(folder: Folder) -> tuple[str, str, str | None]:
    """Say how one watched folder is."""
    path = folder.path
    if not path.is_dir():
        what = f"{path} is {'no folder' if path.exists() else 'not there'}, so nothing in it is read"
        return WARNING, what, f"Create or mount it, or: sessiontrackd watch remove {path}"
    if not os.access(path, os.R_OK | os.X_OK):
        return FAILURE, f"{path} cannot be read", f"Give yourself permission to read it: chmod u+rx {path}"
    try:
        engine_class(folder.engine)
    except UsageError as error:
        return FAILURE, f"{path}: {error}", f"Change its engine in the settings, or: sessiontrackd watch remove {path}"
    notes = path if folder.output == "beside" else Path(folder.output.removeprefix("vault:"))
    if not os.access(nearest(notes), os.W_OK | os.X_OK):
        remedy = f'Give yourself permission to write there, or choose another place: output = "vault:DIR" for {path}'
        return FAILURE, f"notes cannot be written to {notes}", remedy
    return OK, f"{path} can be read, and notes written to {'it' if notes == path else notes}", None


def page_templates(patient: Patient) -> Iterator[Check]:
    folder = patient.home.templates_dir
    try:
        number = templates.compiled(folder)
        mistakes = pipeline.mistakes_in(folder) if folder.is_dir() else []  # some show only when a note is made
        unused = templates.unused(folder) if folder.is_dir() else []
    except SettingsError as error:
        number, mistakes, unused = 0, [str(error)], []
    for name in unused:
        text = f"{folder / name} is used for nothing: there is none of that name to cover"
        yield Check("templates", WARNING, text, "Name it like the one that it is to cover, such as standard.md.j2.")
    for mistake in mistakes:
        yield Check("templates", FAILURE, mistake, None)  # it says itself what to do
    if not mistakes and not unused:
        yield Check("templates", OK, f"all {number} of them can be used")
