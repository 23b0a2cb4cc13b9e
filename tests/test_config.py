"""Settings: each option stated once, mistakes named with their line, changes that keep the file as it was."""

from __future__ import annotations

import os
import stat
import sys
import tomllib
from pathlib import Path

import pytest

from sessiontrackd import config
from sessiontrackd.config import Amount, Home, Settings
from sessiontrackd.errors import Busy, SettingsError
from sessiontrackd.model import InsightLevel


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.find(tmp_path / "home", {})
    home.prepare()
    return home


def write(home: Home, text: str) -> None:
    home.config_path.write_text(text, encoding="utf-8")


def mistake(home: Home, text: str) -> str:
    write(home, text)
    with pytest.raises(SettingsError) as caught:
        config.load(home)
    return str(caught.value)


def test_everything_lies_below_the_chosen_folder(tmp_path: Path) -> None:
    """--home wins over the variable, and puts settings, state, logs and lock under one folder."""
    home = Home.find(tmp_path / "a", {"SESSIONTRACKD_HOME": str(tmp_path / "b")})

    for path in (home.config_path, home.db_path, home.log_dir, home.lock_path, home.notes_dir):
        assert path.is_relative_to(tmp_path / "a")
    assert Home.find(None, {"SESSIONTRACKD_HOME": str(tmp_path / "b")}).config_path == tmp_path / "b" / "config.toml"


def test_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    """0700 for what is made, and for what was too open."""
    home = Home.find(tmp_path / "home", {})
    (tmp_path / "home").mkdir(mode=0o755)
    before = os.umask(0)
    try:
        home.prepare()
    finally:
        os.umask(before)

    assert stat.S_IMODE(home.state_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.log_dir.stat().st_mode) == 0o700


def test_a_home_that_cannot_be_made_is_an_error_for_people(tmp_path: Path) -> None:
    """A file in the way gives one line with the remedy."""
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match="--home"):
        Home.find(tmp_path / "file" / "home", {}).prepare()


def test_no_file_means_every_default(home: Home) -> None:
    """Without a settings file nothing is watched and no budget is set."""
    settings = config.load(home)

    assert settings == Settings(timezone=config.system_timezone())
    assert settings.monthly_budget_picousd is None


def test_the_register_and_the_dataclasses_have_the_same_defaults(home: Home) -> None:
    """Writing every default out changes nothing."""
    lines = [f"{option.name} = {_toml(option.default)}" for option in config.options("global").values()]
    lines.append("[[folder]]\npath = '/t'")
    lines += [f"{o.name} = {_toml(o.default)}" for o in config.options("folder").values() if o.name != "path"]
    write(home, "\n".join(lines))
    written_out = config.load(home)
    write(home, "[[folder]]\npath = '/t'\n")

    assert config.load(home) == written_out


def _toml(value: object) -> str:
    return {"True": "true", "False": "false"}.get(str(value), repr(value))


def test_a_whole_file_is_read(home: Home) -> None:
    """Tables, amounts and folders arrive in their units."""
    write(
        home,
        'timezone = "Europe/Berlin"\n[budget]\nmonthly = "12.50usd"\nthresholds = [100, 50]\n'
        '[[folder]]\npath = "/a/../t"\nlevel = "minimal"\nbudget = "2Mtok"\nsince = 2026-03-14\nignore = ["old/*"]\n'
        '[[folder]]\npath = "~/u"\noutput = "vault:~/v"\nenabled = false\n',
    )
    settings = config.load(home)

    first, second = settings.folders
    assert (settings.zone.key, settings.monthly_budget_picousd) == ("Europe/Berlin", 12_500_000_000_000)
    assert settings.thresholds == (50, 100)
    assert (first.path, first.level, first.monthly_budget_tokens) == (Path("/t"), InsightLevel.MINIMAL, 2_000_000)
    assert (first.since, first.ignore) == ("2026-03-14", ("old/*",))
    assert second.path == Path("~/u").expanduser()
    assert (second.output, second.enabled) == (f"vault:{Path('~/v').expanduser()}", False)


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("timezone = Europe\n", 1, "quotes"),
        ("\n\nbudget = 3\n", 3, "[budget]"),
        ("# c\ntime_zone = 'UTC'\n", 2, "did you mean 'timezone'?"),
        ("timezone = 'Mars/Base'\n", 1, "'Europe/Berlin'"),
        ("[budget]\nmonthly = 50\n", 2, "'50usd'"),
        ("[budget]\n\nmontly = '5usd'\n", 3, "did you mean 'budget.monthly'?"),
        ("budget.monthly = '5eur'\n", 1, "'50usd'"),
        ("monthly = '5usd'\n", 1, "did you mean 'budget.monthly'?"),
        ("[daemon]\nscan_interval_s = 0\n", 2, "from 1 to 86400"),
        ("[[folder]]\npath = '/a'\n[[folder]]\nlevel = 'standard'\n", 3, "no path"),
        ("[[folder]]\npath = '/a'\n[[folder]]\n\npath = '/b'\nlevel = 'deep'\n", 6, "'minimal', 'standard'"),
        ("[[folder]]\npath = '/a'\n[[folder]]\npath = '/a/'\n", 4, "twice"),
        ("[[folder]]\npath = 'a'\n", 2, "whole path"),
        ("[[folder]]\npath = '~nobody-of-that-name/a'\n", 2, "no such user"),
        ("[[folder]]\npath = '/a'\nstable = 3\n", 3, "did you mean 'stable_s'?"),
        ("[[folder]]\npath = '/a'\nenabled = 'yes'\n", 3, "true or false"),
        ("[[folder]]\npath = '/a'\nsince = '30d'\n", 3, "'2026-03-14'"),
        ("[[folder]]\npath = '/a'\noutput = 'vault:notes'\n", 3, "whole path"),
        ("[[folder]]\npath = '/a'\npreset = 'claude'\n", 3, "did you mean 'claude-code'?"),
        ("[folder]\npath = '/a'\n", 1, "two pairs of brackets"),
        ("[prices]\nmodel = 'a'\n", 1, "two pairs of brackets"),
        (
            "[[folder]]\npath = '/a'\n[[prices]]\nmodel = 'a'\n[[prices]]\n\nmodel = 'b'\ninput = -1\n",
            3,
            "input and output",
        ),
        ("[[prices]]\nmodel = 'a'\ninput = 1\noutput = 1\n[[prices]]\nmodel = 'b'\ninput = -1\n", 7, "from 0 to"),
        ("[[prices]]\nmodel = 'a'\ninput = 1\noutput = 1\nfree = true\n", 1, "not both"),
        ("[[prices]]\ninput = 1\noutput = 1\n", 1, "name its model"),
        ("[[prices]]\nfree = true\n", 1, "name its model"),
        ("[[prices]]\nprovider = 'a b'\nfree = true\n", 2, "127.0.0.1:11434"),
        ("[[prices]]\nmodel = 'a'\nfrom = 'May'\nfree = true\n", 3, "2026-03-14"),
        ("[[prices]]\nmodel = 'a'\nctx = 1\n", 3, "there is no option 'ctx'"),
        ("a = [\n", 1, ""),
    ],
)
def test_a_mistake_names_file_line_and_remedy(home: Home, text: str, line: int, hint: str) -> None:
    """One sentence that a person can act on, never a traceback."""
    said = mistake(home, text)

    assert said.startswith(f"{home.config_path}, line {line}: ")
    assert hint in said


def test_a_file_that_is_no_text_is_a_mistake(home: Home) -> None:
    """The line of the first byte that is not UTF-8 is named."""
    home.config_path.write_bytes(b"# fine\n\xff\n")

    with pytest.raises(SettingsError, match=r"line 2: this is not UTF-8"):
        config.load(home)


@pytest.mark.parametrize(
    ("text", "amount", "back"),
    [
        ("50usd", Amount(picousd=50 * 10**12), "50usd"),
        ("$0.000000000001", Amount(picousd=1), "0.000000000001usd"),
        ("100 USD", Amount(picousd=100 * 10**12), "100usd"),
        ("2Mtok", Amount(tokens=2_000_000), "2Mtok"),
        ("1.5ktok", Amount(tokens=1_500), "1500tok"),
        ("7tokens", Amount(tokens=7), "7tok"),
        ("0usd", Amount(picousd=0), "0usd"),
    ],
)
def test_amounts_survive_being_written(text: str, amount: Amount, back: str) -> None:
    """An amount is exact, and is written the way it is read."""
    assert config.parse_amount(text) == amount
    assert config.format_amount(amount) == back
    assert config.parse_amount(back) == amount


@pytest.mark.parametrize(
    "text", ["50", "-1usd", "1e3usd", "usd", "0.0000000000001usd", "10000000usd", "0.5tok", 5, "٣usd"]
)
def test_no_amount_is_guessed(text: object) -> None:
    """Without a unit, negative, or finer than a pico-dollar: refused."""
    with pytest.raises(ValueError, match="50usd"):
        config.parse_amount(text)


def test_a_preset_never_writes_into_its_own_folder(home: Home) -> None:
    """Its reports go to a vault in the state folder, and 'beside' is refused."""
    write(home, "[[folder]]\npath = '/t'\npreset = 'claude-code'\n")
    assert config.load(home).folders[0].output == f"vault:{home.notes_dir}"

    for output in ("beside", "vault:/t/notes"):
        assert "tool" in mistake(home, f"[[folder]]\npath = '/t'\npreset = 'codex'\noutput = '{output}'\n")


def test_presets_know_where_a_tool_writes(tmp_path: Path) -> None:
    """The tool's own variable wins over its usual place."""
    claude = config.PRESETS["claude-code"]

    assert claude.roots(tmp_path, {}) == (tmp_path / ".claude/projects", tmp_path / ".config/claude/projects")
    assert claude.roots(tmp_path, {"CLAUDE_CONFIG_DIR": "/c"}) == (Path("/c/projects"),)
    assert config.PRESETS["codex"].roots(tmp_path, {})[0] == tmp_path / ".codex/sessions"


def test_a_folder_is_added_without_touching_the_rest(home: Home) -> None:
    """Comments, order and spacing stay; the file is private."""
    before = "# mine\n[budget]  # money\nmonthly = '5usd'\n\n[[folder]]\n# the first\npath = '/a'\n"
    write(home, before)
    folder = config.add_folder(home, "/b", level="minimal", output=None, ignore=("x*",))

    text = home.config_path.read_text()
    assert text.startswith(before)
    assert folder == config.load(home).folders[1]
    assert (folder.path, folder.level, folder.ignore) == (Path("/b"), InsightLevel.MINIMAL, ("x*",))
    assert stat.S_IMODE(home.config_path.stat().st_mode) == 0o600
    assert not list(home.config_path.parent.glob(".*.tmp"))


def test_a_folder_is_added_to_no_file(tmp_path: Path) -> None:
    """The first `watch add` makes home and file."""
    home = Home.find(tmp_path / "new", {})
    config.add_folder(home, tmp_path / "t")

    assert tomllib.loads(home.config_path.read_text()) == {"folder": [{"path": str(tmp_path / "t")}]}


def test_a_second_addition_and_wrong_values_change_nothing(home: Home) -> None:
    """The file is replaced only when its new content is right."""
    config.add_folder(home, "/a")
    before = home.config_path.read_bytes()

    with pytest.raises(SettingsError, match="watched already"):
        config.add_folder(home, "/a/")
    with pytest.raises(SettingsError, match="level"):
        config.add_folder(home, "/b", level="deep")
    with pytest.raises(SettingsError, match="UTF-8"):
        config.add_folder(home, os.fsdecode(b"/\xff"))
    assert home.config_path.read_bytes() == before


def test_a_folder_is_removed_and_the_rest_stays(home: Home) -> None:
    """The others and the comments above stay; what was not there is said to be so."""
    write(home, "# mine\ntimezone = 'UTC'\n\n[[folder]]\npath = '/a'\n\n[[folder]]\npath = '/b'  # keep\n")

    assert config.remove_folder(home, "/a")
    assert not config.remove_folder(home, "/a")
    assert [folder.path for folder in config.load(home).folders] == [Path("/b")]
    assert "# mine" in home.config_path.read_text()
    assert "# keep" in home.config_path.read_text()
    assert config.remove_folder(home, "/b")
    assert config.load(home).folders == ()
    config.add_folder(home, "/c")
    assert [folder.path for folder in config.load(home).folders] == [Path("/c")]


def test_one_value_is_set_and_taken_out(home: Home) -> None:
    """In the program's tables and in a folder's; None brings the default back."""
    write(home, "# mine\n")
    config.set_value(home, "budget.monthly", "7usd")
    config.set_value(home, "timezone", "Europe/Paris")
    config.add_folder(home, "/a")
    settings = config.set_value(home, "budget", "1Mtok", folder="/a")

    assert settings == config.load(home)
    assert settings.monthly_budget_picousd == 7 * 10**12
    assert settings.timezone == "Europe/Paris"
    assert settings.folders[0].monthly_budget_tokens == 1_000_000
    assert config.set_value(home, "budget.monthly", None).monthly_budget_picousd is None
    with pytest.raises(SettingsError, match="watch add"):
        config.set_value(home, "level", "minimal", folder="/b")
    with pytest.raises(SettingsError, match="did you mean"):
        config.set_value(home, "timezon", "UTC")


def test_a_linked_settings_file_stays_a_link(home: Home, tmp_path: Path) -> None:
    """Who keeps the file elsewhere finds the change there."""
    elsewhere = tmp_path / "dotfiles.toml"
    elsewhere.write_text("# here\n")
    home.config_path.symlink_to(elsewhere)
    config.add_folder(home, "/a")

    assert home.config_path.is_symlink()
    assert "# here" in elsewhere.read_text()
    assert "/a" in elsewhere.read_text()


def test_what_is_shown_can_be_read_again(home: Home) -> None:
    """`config show` prints a settings file that says the same."""
    write(home, config.EXAMPLE)
    settings = config.load(home)
    write(home, config.show(settings))

    assert config.load(home) == settings


def test_a_project_has_a_budget_of_its_own(home: Home) -> None:
    """A table of amounts, shown so that it can be read again; what is none is named."""
    write(home, "[budget.projects]\n'a \"b\"' = '5usd'\nc = '2Mtok'\n")
    settings = config.load(home)
    assert settings.project_budgets == (('a "b"', Amount(5 * 10**12)), ("c", Amount(tokens=2_000_000)))

    write(home, config.show(settings))
    assert config.load(home) == settings
    assert "50usd" in mistake(home, "[budget.projects]\nc = 5\n")
    assert "budget.projects" in mistake(home, "[budget]\nprojects = '5usd'\n")


def test_the_innermost_folder_holds_a_path(home: Home) -> None:
    """A folder inside another has its own settings; a name that only starts alike is not inside."""
    write(home, "[[folder]]\npath = '/a'\n[[folder]]\npath = '/a/b'\nlevel = 'minimal'\n")
    settings = config.load(home)

    assert settings.folder_of(b"/a/b/c.md") == settings.folders[1]
    assert settings.folder_of("/a/bc.md") == settings.folders[0]
    assert settings.folder_of("/ab/c.md") is None


def test_the_page_about_settings_is_the_registers() -> None:
    """docs/settings.md is made by: python -m sessiontrackd.config > docs/settings.md."""
    page = Path(__file__).parents[1] / "docs" / "settings.md"

    assert page.read_text(encoding="utf-8") == config.document()


def test_the_example_is_right(home: Home) -> None:
    """The page's example can be copied into the file."""
    write(home, config.EXAMPLE)

    assert len(config.load(home).folders) == 2


def test_the_platforms_folders_follow_xdg(tmp_path: Path) -> None:
    """Without a chosen home the XDG folders hold settings and state; a relative XDG value is ignored."""
    config, state = tmp_path / "config", tmp_path / "state"
    if sys.platform == "darwin":
        pytest.skip("macOS has its own folders")

    named = Home.find(None, {"XDG_CONFIG_HOME": str(config), "XDG_STATE_HOME": str(state)})
    default = Home.find(None, {"XDG_CONFIG_HOME": "relative", "XDG_STATE_HOME": ""})

    assert named.config_path == config / "sessiontrackd" / "config.toml"
    assert (named.state_dir, named.log_dir) == (state / "sessiontrackd", state / "sessiontrackd" / "log")
    assert default.config_path == Path.home() / ".config" / "sessiontrackd" / "config.toml"
    assert default.state_dir == Path.home() / ".local" / "state" / "sessiontrackd"


def test_one_daemon_holds_a_home(home: Home) -> None:
    """The second is told whose it is; a number that a dead one left does not count."""
    home.lock_path.write_text("1\n")
    assert config.daemon_pid(home) is None
    assert not config.poke(home)
    with config.hold(home):
        assert config.daemon_pid(home) == os.getpid()
        with pytest.raises(Busy, match=str(os.getpid())), config.hold(home):
            pass

    assert config.daemon_pid(home) is None


def test_what_a_daemon_said_counts_while_it_lives(home: Home) -> None:
    """A word left by a dead one is not believed."""
    config.tell(home, {"pid": os.getpid(), "since": "now", "scanning": None, "folders": {}, "problem": None})
    assert config.heard(home) is None
    with config.hold(home):
        heard = config.heard(home)
        assert heard is not None
        assert heard["since"] == "now"
        config.tell(home, {"pid": 1, "since": "then"})
        assert config.heard(home) == {
            "pid": os.getpid(),
            "since": None,
            "scanning": None,
            "folders": {},
            "problem": None,
        }
        config.tell(home, None)
        assert (config.heard(home) or {})["since"] is None
