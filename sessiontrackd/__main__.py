"""Run the command line with `python -m sessiontrackd`."""

import sys

from sessiontrackd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
