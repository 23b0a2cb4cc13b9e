"""The entry point, also of `python -m sessiontrackd`; a tool's call of `capture` is answered without loading the command line."""

import sys

from sessiontrackd import hook

INTERRUPTED = 130  # what a shell makes of Ctrl-C


def main() -> int:
    """Run one command line and return its exit status."""
    words = sys.argv[1:]
    if words[:1] == ["capture"] and hook.is_call(words[1:]):
        return hook.main(words[1:])
    try:
        from sessiontrackd.cli.main import main as command_line

        return command_line()
    except KeyboardInterrupt:  # while we were still loading
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
