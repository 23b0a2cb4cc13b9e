"""Regular expressions that are compiled when one is first used: compiling all takes longer than reading a short transcript."""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast

_METHODS = ("findall", "finditer", "fullmatch", "match", "search", "split", "sub", "subn")


class _Uncompiled:
    """Stands for a pattern; once it is asked for a method it has all of them itself, and is as fast."""

    def __init__(self, pattern: str | bytes, flags: int) -> None:
        self._asked = pattern, flags

    def __getattr__(self, name: str) -> Any:  # of what it does not have yet
        pattern, flags = self._asked
        compiled = re.compile(pattern, flags)
        vars(self).update({method: getattr(compiled, method) for method in _METHODS})
        return getattr(compiled, name)


def lazy_regex(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return what has the methods of a compiled pattern, for a pattern that many a run does not come to."""
    return cast("re.Pattern[AnyStr]", _Uncompiled(pattern, flags))


WIDE = lazy_regex(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af\u0e00-\u0e7f]")
"""A character of a script whose words no spaces part, as Chinese and Thai; Korean, whose words take endings, is read like them."""
