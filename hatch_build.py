"""Put the top-level templates/, systemd/ and launchd/ into the wheel, where an installed program finds them."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHIPPED = ("templates", "systemd", "launchd")


class ShipFolders(BuildHookInterface[Any]):
    """Force-include each shipped folder that exists as sessiontrackd/_shipped/<name>."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the folders, for a real wheel only: an editable one reads the checkout itself."""
        if version == "editable":
            return
        for name in SHIPPED:
            folder = Path(self.root) / name
            if folder.is_dir() and any(folder.iterdir()):
                build_data["force_include"][str(folder)] = f"sessiontrackd/_shipped/{name}"
