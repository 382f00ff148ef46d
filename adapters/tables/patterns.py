"""Patterns of presets. They run in time linear in the text, whatever they say (RE2)."""

from functools import lru_cache

import re2

from medgen.adapters.sources.folder import FaultyContent
from medgen.engine.errors import ConfigError

MAX_PATTERN = 1_000  # characters
MAX_SEARCHED = 1_000_000  # characters of a text


def check_pattern(pattern: str, where: str) -> None:
    """Refuse a pattern that cannot be run in linear time.

    Raises:
        ConfigError: it is too long, wrong, or looks ahead, behind or back.
    """
    if len(pattern) > MAX_PATTERN:
        raise ConfigError(f"{where}: a pattern of more than {MAX_PATTERN:,} characters")
    try:
        _compile(pattern)
    except re2.error as err:
        said = err.args[0].decode() if isinstance(err.args[0], bytes) else str(err)
        raise ConfigError(
            f"{where}: {pattern!r} is no pattern of RE2 ({said}); it knows neither look-ahead, "
            "look-behind nor references back"
        ) from err


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> "re2._Regexp":
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


def substitute(pattern: str, by: str, text: str) -> str:
    r"""The text with everything that matches replaced; `\1` in `by` is the first group.

    Raises:
        FaultyContent: the text is too long, or the replacement names a group that is not there.
    """
    _check_length(text)
    try:
        return _compile(pattern).sub(by, text)
    except (re2.error, IndexError) as err:
        raise FaultyContent(f"{by!r} cannot stand for {pattern!r} ({err})") from err


def first_group(pattern: str, text: str) -> str | None:
    """The first group of the first match, or the whole match without groups; None without one.

    Raises:
        FaultyContent: the text is too long.
    """
    _check_length(text)
    found = _compile(pattern).search(text)
    if found is None:
        return None
    return found[1] if found.re.groups else found[0]


def _check_length(text: str) -> None:
    if len(text) > MAX_SEARCHED:
        raise FaultyContent(f"a text of {len(text):,} characters is too long for a pattern")
