"""The house stands: who may import whom, where heavy packages live, and what stays light."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import sessiontrackd

PACKAGE = Path(sessiontrackd.__file__).parent
NAME = PACKAGE.name
REGISTERS = ("readers", "engines", "channels")
MEMBER = "*"

# Room → floor, from the ground up. `readers/*` are the members of a register, `readers` is the register itself.
FLOORS = {
    room: floor
    for floor, rooms in enumerate(
        (
            "model hook patterns programs",
            "errors",
            "config store records templates",
            "contracts facts pricing tokens privacy forecast",
            "kernel archive watch queue circuit history budget condense report subagents alerts batches readers/* engines/* channels/*",
            "insights notes digest search readers engines channels",
            "following",
            "pipeline estimate",
            "daemon worker capture service doctor prove survey",
            "cli",
            "__main__",
        )
    )
    for room in rooms.split()
}

# A heavy package → the one room that imports it, and only inside the function that needs it.
HOMES = {
    "anthropic": "engines/claude",
    "tiktoken": "tokens",
    "watchfiles": "watch",
    "sqlite_utils": "store",
    "desktop_notifier": "channels/desktop",
    "jinja2": "templates",
    "genai_prices": "pricing",
    "pydantic": "engines/claude",
    "httpx2": "engines/claude",
}
# Light ones with one home, too.
LIGHT_HOMES = {
    "click": "cli",
    "tomlkit": "config",
    "re2": "privacy",
    "backports.zstd": "records",
    "compression.zstd": "records",
}
# Where our own modules may be imported late: the package's public names, the registers, the command group,
# and the way in, which answers a tool without it.
LATE = {f"{NAME}.{register}" for register in REGISTERS} | {NAME, f"{NAME}.cli.main", f"{NAME}.__main__"}


@dataclass(frozen=True)
class Import:
    """One imported module, as it stands in a source file."""

    importer: str
    imported: str
    line: int
    is_late: bool
    is_for_types: bool = False

    def __str__(self) -> str:
        """Say it so that the line is found."""
        return f"{self.importer}:{self.line} imports {self.imported}"


def module_name(path: Path) -> str:
    """Return the dotted name of a source file."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py")) if "_shipped" not in path.parts}


def inside_functions(tree: ast.Module) -> set[ast.AST]:
    """Return every node that runs only when some function is called."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {inner for function in functions for statement in function.body for inner in ast.walk(statement)}


def under_type_checking(tree: ast.Module) -> set[ast.AST]:
    """Return every node that only a type checker reads."""
    guards = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    return {inner for guarded in guards for statement in guarded.body for inner in ast.walk(statement)}


def imports_of(name: str) -> Iterator[Import]:
    """Yield every import of a module: deferred ones and those under TYPE_CHECKING too."""
    tree = ast.parse(SOURCES[name].read_bytes())
    late, for_types = inside_functions(tree), under_type_checking(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name, alias.name, node.lineno, node in late, node in for_types)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                is_module = whole in SOURCES or whole in LIGHT_HOMES
                if whole != f"{NAME}.__version__":
                    yield Import(name, whole if is_module else base, node.lineno, node in late, node in for_types)


IMPORTS = tuple(found for name in SOURCES for found in imports_of(name))
OURS = tuple(found for found in IMPORTS if found.imported.split(".")[0] == NAME)


def room(name: str) -> str:
    """Return the room of a module: `store`, `readers` (a register) or `readers/claude_code` (its member)."""
    parts = name.split(".")[1:]
    if not parts:
        return ""
    if parts[0] in REGISTERS and len(parts) > 1:
        return "/".join(parts[:2])
    return parts[0]


def floor(name: str) -> int:
    """Return the floor of a module; the package itself, whose names are resolved late, is above all."""
    of = room(name)
    if not of:
        return len(FLOORS)
    return FLOORS[f"{of.split('/')[0]}/{MEMBER}" if "/" in of else of]


def is_private(name: str) -> bool:
    """Tell whether a module is its package's own affair."""
    last = name.rsplit(".", 1)[-1]
    return last.startswith("_") and last != "__main__"


def is_within_a_package(found: Import) -> bool:
    """Tell whether an import stays inside one package and goes down: to a private module, or from the register."""
    one_room = room(found.importer) == room(found.imported)
    one_package = room(found.importer).split("/")[0] == room(found.imported).split("/")[0]
    face = f"{NAME}.{room(found.importer).replace('/', '.')}"
    if one_room and found.importer in (face, f"{face}.__main__"):
        return True  # a package's face may show any of its files
    return one_package and is_private(found.imported)


def packages_of(homes: dict[str, str], imported: str) -> str | None:
    """Return the key of `homes` that an imported name belongs to."""
    return next((package for package in homes if f"{imported}.".startswith(f"{package}.")), None)


def refused(found: Import) -> bool:
    """Tell whether an import breaks the rule of floors."""
    if found.imported == NAME:
        return found.importer != f"{NAME}.__main__" and floor(found.importer) < FLOORS["daemon"]
    return floor(found.imported) >= floor(found.importer) and not is_within_a_package(found)


def test_every_module_has_a_floor() -> None:
    """Each module belongs to a room of the plan, so that a new one is placed on purpose."""
    strangers = [name for name in SOURCES if room(name) and room(name) not in FLOORS and "/" not in room(name)]

    assert strangers == []


def test_imports_go_down() -> None:
    """A module imports from floors below its own, or a private file of its own package."""
    assert [str(found) for found in OURS if refused(found)] == []


def test_no_circles() -> None:
    """No module imports itself by a detour, late imports counted."""
    graph = {name: {found.imported for found in OURS if found.importer == name} for name in SOURCES if name != NAME}
    left = {name: {target for target in targets if target in graph} - {name} for name, targets in graph.items()}
    while free := [name for name, targets in left.items() if not targets]:
        left = {name: targets - set(free) for name, targets in left.items() if name not in free}

    assert sorted(left) == []


def test_own_modules_are_imported_late_in_the_registers_only() -> None:
    """Our own modules are imported at the top, but for the public names, the registers and the command group."""
    assert [str(found) for found in OURS if found.is_late and found.importer not in LATE] == []


def test_each_package_has_one_home() -> None:
    """A third-party package is imported in one room, so that replacing it touches one file."""
    homes = HOMES | LIGHT_HOMES
    astray = [
        str(found)
        for found in IMPORTS
        if (package := packages_of(homes, found.imported)) and room(found.importer) != homes[package]
    ]

    assert astray == []


def test_records_are_structs_or_tuples() -> None:
    """A dataclass is slow to define, at every start."""
    assert [str(found) for found in IMPORTS if found.imported == "dataclasses"] == []


def test_heavy_packages_are_imported_late() -> None:
    """A heavy package is imported inside the function that needs it."""
    early = [
        str(found)
        for found in IMPORTS
        if packages_of(HOMES, found.imported) and not found.is_late and not found.is_for_types
    ]

    assert early == []


@pytest.mark.parametrize("name", [n for n, module in sessiontrackd.PUBLIC.items() if f"{NAME}.{module}" in SOURCES])
def test_public_names_resolve(name: str) -> None:
    """Each public name is found in the module that the package names, and listed."""
    assert getattr(sessiontrackd, name).__name__ == name
    assert name in dir(sessiontrackd)


def catches_everything(node: ast.AST) -> bool:
    """Tell whether a node is an `except` that swallows whatever goes wrong; one that raises again is tidying up."""
    if not isinstance(node, ast.ExceptHandler):
        return False
    caught = node.type.id if isinstance(node.type, ast.Name) else None
    is_broad = node.type is None or caught in ("Exception", "BaseException")
    return is_broad and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))


def test_broad_excepts_are_two() -> None:
    """`except Exception` stands around a job and around an alert, and nowhere else."""
    broad = [
        f"{name}:{getattr(node, 'lineno', 0)}"
        for name, path in SOURCES.items()
        for node in ast.walk(ast.parse(path.read_bytes()))
        if catches_everything(node)
    ]

    assert len(broad) <= 2, broad


def loaded_after(code: str, home: Path) -> set[str]:
    """Run code in a fresh interpreter and return the top-level modules it has loaded."""
    tail = "\nimport json, sys; sys.stderr.write('\\n' + json.dumps(sorted({n.split('.')[0] for n in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", code + tail],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=home,
    )
    loaded: list[str] = json.loads(done.stderr.splitlines()[-1])
    return set(loaded)


def command(*arguments: str) -> str:
    """Return code that runs the command line in-process and goes on after its exit."""
    return f"""
import sys
from sessiontrackd.cli.main import main
sys.argv = ["sessiontrackd", *{list(arguments)!r}]
try:
    main()
except SystemExit as stopped:
    assert not stopped.code, stopped.code
"""


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import sessiontrackd", id="import"),
        pytest.param(command("--help"), id="help"),
    ],
)
def test_start_is_light(code: str, home: Path) -> None:
    """Importing the package, asking for help and asking for the status load none of the heavy packages."""
    if "cli" in code and f"{NAME}.cli.main" not in SOURCES:
        pytest.skip("there is no command line yet")

    assert loaded_after(code, home) & set(HOMES) == set()
