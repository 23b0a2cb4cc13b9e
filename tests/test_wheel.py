"""What is installed: the wheel carries the program, its samples and the folders that lie beside it in a checkout."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import sessiontrackd

CHECKOUT = Path(__file__).resolve().parent.parent
SHIPPED = ("templates", "systemd", "launchd")


def files_below(folder: Path) -> set[str]:
    """Return the files of a folder, relative to it, bytecode left out."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix() for path in found}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Build the wheel and return the names of its files."""
    target = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-B", "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True, timeout=60)
    with zipfile.ZipFile(next(target.glob("*.whl"))) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize("name", SHIPPED)
def test_the_wheel_ships_a_folder(wheel: set[str], name: str) -> None:
    """Each file of a folder beside the package is in the wheel, where the installed program looks for it."""
    if not (CHECKOUT / name).is_dir():
        pytest.skip(f"there is no {name}/ yet")

    assert {f"sessiontrackd/_shipped/{name}/{file}" for file in files_below(CHECKOUT / name)} <= wheel


def test_the_wheel_holds_the_package(wheel: set[str]) -> None:
    """Every file of the package is in the wheel: modules, samples, the marker of its types."""
    assert {f"sessiontrackd/{file}" for file in files_below(CHECKOUT / "sessiontrackd")} <= wheel


def test_the_version_is_stated_alike() -> None:
    """The package and its metadata agree on the version."""
    metadata = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())

    assert metadata["project"]["version"] == sessiontrackd.__version__


def test_every_dependency_is_pinned() -> None:
    """Each requirement has its exact version in constraints.txt, and no line of it names a place to download from."""
    metadata = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    wanted = [*metadata["dependencies"], *metadata["optional-dependencies"]["dev"]]
    pins = [line for line in (CHECKOUT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in pins}

    assert [name for line in wanted if (name := line.split(">=")[0].lower()) not in pinned] == []
    assert [line for line in pins if "/" in line or "==" not in line] == []
