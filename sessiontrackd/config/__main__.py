"""Print docs/settings.md: python -m sessiontrackd.config > docs/settings.md."""

import sys

from sessiontrackd.config import document

sys.stdout.write(document())
