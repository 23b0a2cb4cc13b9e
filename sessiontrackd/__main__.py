"""The entry point, also of `python -m sessiontrackd`; a tool's call of `capture` is answered without loading the command line."""

import gc
import sys

from sessiontrackd import hook

INTERRUPTED = 130  # what a shell makes of Ctrl-C
COLLECT_AFTER = 100_000  # new objects, not 700: loading makes many, all of them to stay, and a command ends soon


def main() -> int:
    """Run one command line and return its exit status."""
    words = sys.argv[1:]
    if words[:1] == ["capture"] and hook.is_call(words[1:]):
        return hook.main(words[1:])
    gc.set_threshold(COLLECT_AFTER)
    try:
        from sessiontrackd.cli.main import main as command_line

        return command_line()
    except KeyboardInterrupt:  # while we were still loading
        return INTERRUPTED
    finally:
        gc.freeze()  # what is left goes with the process; looking for circles in it would take a twentieth of the time


if __name__ == "__main__":
    sys.exit(main())
