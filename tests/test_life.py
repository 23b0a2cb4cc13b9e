"""The whole life of an installation, from the wheel, as a new user types it from the README."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
WITHOUT_SYSTEMD = shutil.which("systemd-analyze") is None or os.geteuid() != 0

LIFE = r"""
set -eu
typed() {  # as it stands in the README
  grep -qF -- "$1" "$README" || { echo "the README has no: $1"; exit 1; }
  echo "\$ $1"; eval "$1"
}
until_() { for _ in $(seq 300); do "$@" && return 0; sleep 0.1; done; echo "never: $*"; exit 1; }
"$TESTS_PYTHON" "$SERVER" > "$HOME/shown" &
until_ test -s "$HOME/shown"
mkdir -p ~/transcripts ~/talk
cp "$SAMPLE" ~/talk/talk.md; cd ~/talk

typed 'sessiontrackd try talk.md' | grep -q "## "
typed 'sessiontrackd watch add ~/transcripts --level standard'
mkdir -p "$(dirname "$(sessiontrackd config path)")"
printf '\n[alerts]\nreports = true\n' >> "$(sessiontrackd config path)"
typed 'sessiontrackd service install'
typed 'sessiontrackd service status' | grep -q "active: watching 1 folder"
cp talk.md ~/transcripts/dropped.md
until_ test -e ~/transcripts/dropped.md.insights.md
grep -q "^level: standard" ~/transcripts/dropped.md.insights.md
notified() { grep -q "dropped.md.insights.md" "$HOME/shown"; }
until_ notified
typed 'sessiontrackd reports' | grep -q dropped
typed 'sessiontrackd status' | grep -q "1 done"
typed 'sessiontrackd doctor' > "$HOME/doctor" || { cat "$HOME/doctor"; exit 1; }
grep -q "^ok *service" "$HOME/doctor"; grep -q "^ok *notification.*tests 1" "$HOME/doctor"
typed 'sessiontrackd service uninstall'
[ -z "$(find ~/.config/systemd -name 'sessiontrackd*')" ]
[ -z "$(pgrep -f '[s]essiontrackd run' || true)" ]
echo whole
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Build the wheel and install it alone into a fresh environment; what it needs is taken from this one."""
    build = [sys.executable, "-B", "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True, timeout=120)
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=120)
    wheel = str(next(tmp_path.glob("*.whl")))
    pip = [str(environment / "bin" / "pip"), "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, check=True, capture_output=True, timeout=120)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "needed.pth").write_text(str(Path(click.__file__).parent.parent) + "\n")
    return environment


@pytest.mark.prove
@pytest.mark.skipif(WITHOUT_SYSTEMD, reason="needs root and systemd")
def test_installed_used_and_removed(installed: Path, shared: Path) -> None:
    """Watch, install the service, drop a transcript, read the note, be notified, remove it: no trace of a service."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "SESSIONTRACKD", "PYTHON"))
    }
    samples = next(installed.glob("lib/python*/site-packages/sessiontrackd/samples"))
    environ = {
        "PATH": f"{installed / 'bin'}:{os.environ['PATH']}", "README": str(CHECKOUT / "README.md"),
        "SAMPLE": str(samples / "harbour-meeting.md"), "SERVER": str(CHECKOUT / "tests" / "notification_server.py"),
        "TESTS_PYTHON": sys.executable,
    }  # fmt: skip
    done = subprocess.run(
        [shared / "tools" / "with-user-systemd", "bash", "-c", LIFE], capture_output=True, text=True, timeout=240,
        check=False, env=kept | environ,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("whole")
    assert (installed / "share" / "man" / "man1" / "sessiontrackd.1").exists()
