"""What is sent: to whom, with whose consent, to which model, with which key."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sessiontrackd import config, privacy
from sessiontrackd.doctor._patient import FAILURE, OK, WARNING, Check, Patient, opened
from sessiontrackd.engines import provider_of
from sessiontrackd.engines.claude import is_exposed
from sessiontrackd.errors import SessiontrackdError, SettingsError
from sessiontrackd.insights import AS_OF, LEVELS, known_model


def consents(patient: Patient) -> Iterator[Check]:
    """Say for each folder whose text is sent away to whom, and whether somebody allowed it."""
    if patient.sending_folders and is_exposed(patient.settings.claude_base_url):
        address, remedy = patient.settings.claude_base_url, "Write https in claude.base_url."
        if patient.settings.claude_unencrypted:
            yield Check("address", WARNING, f"text and key are sent to {address} unencrypted", remedy)
        else:
            yield Check("address", FAILURE, f"nothing is sent to {address}: it would be unencrypted", remedy)
    for folder in patient.sending_folders:
        scope, provider = str(folder.path), provider_of(folder.engine, patient.settings) or folder.engine
        if _is_allowed(patient, scope, provider):
            yield Check("consent", OK, f"text of {scope} may go to {provider}, condensed and redacted")
        else:
            text = f"nobody consented to sending text of {scope} to {provider}, so its notes are made locally"
            yield Check("consent", WARNING, text, f"Allow it: {privacy.grant_line(scope, provider)}")


def _is_allowed(patient: Patient, scope: str, provider: str) -> bool:
    """Say whether somebody allowed it; of a database that cannot be read nothing is taken for granted."""
    if not patient.home.db_path.exists():
        return False
    try:
        with opened(patient) as store:
            return privacy.Consents(store).is_granted(scope, provider)
    except SessiontrackdError:
        return False


def models(patient: Patient) -> Iterator[Check]:
    """Say whether the models that are asked still exist, as far as this version knows."""
    settings, today = patient.settings, patient.now.date()
    asking = [folder for folder in patient.sending_folders if folder.engine == "claude"]
    for name in sorted({settings.claude_model or LEVELS[folder.level].model for folder in asking}):
        model, remedy = known_model(name), "Choose another: claude.model in the settings, or none for the usual one."
        if model is None and provider_of("claude", settings) == "anthropic":
            text = f"{name} is not among the models known on {AS_OF}; it is asked without thinking and effort"
            yield Check("model", WARNING, text, remedy)
        elif model and model.retires_on and model.retires_on <= today:
            yield Check("model", FAILURE, f"{name} was retired on {model.retires_on}", remedy)
        elif model and model.retires_on:
            yield Check("model", WARNING, f"{name} will be retired on {model.retires_on}", remedy)
        else:
            yield Check("model", OK, f"{name} can be asked, as far as was known on {AS_OF}")


def key(patient: Patient) -> Iterator[Check]:
    """Say where the key is found, without using it."""
    if not any(folder.engine == "claude" for folder in patient.sending_folders):
        return
    try:
        key = config.find_key(patient.home)
    except SettingsError as error:
        yield Check("key", FAILURE, str(error), "Do what it says, or: sessiontrackd key set")
        return
    if key is None and provider_of("claude", patient.settings) != "anthropic":
        yield Check("key", OK, "there is no key; a server of your own may not need one")
    elif key is None:
        yield Check("key", WARNING, "there is no key, so notes are made locally", "Store one: sessiontrackd key set")
    else:
        yield Check("key", OK, "there is a key; only a request would show whether it is valid, and none was made")


def service_key(patient: Patient, standing: dict[str, Any]) -> Iterator[Check]:
    """Say whether the installed service finds a key: it does not see what stands in this shell only."""
    asks = any(folder.engine == "claude" for folder in patient.sending_folders)
    if not (standing["installed"] and asks and config.KEY_VARIABLE in os.environ):
        return
    with suppress(SettingsError):  # told of elsewhere
        if standing["key_given"] or config.find_key(patient.home, {}):
            yield Check("service key", OK, "the service finds a key without this shell")
        else:
            text = f"the key is in {config.KEY_VARIABLE} of this shell, which the service does not see"
            yield Check("service key", FAILURE, text, "Store it where the service finds it: sessiontrackd key set")
