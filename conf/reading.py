"""YAML from files and the command line: plain values, within bounds, the same in every process."""

from pathlib import Path
from typing import Any, ClassVar

import yaml

_MAX_DEPTH = 24  # of a YAML document; deeper ones are mistakes or attacks
_MAX_VALUES = 100_000
_LONGEST = 2_000_000  # characters of a file; the longest of ours have some thousands
_PLAIN = ("bool", "int", "float", "null", "merge")  # what a text without quotes may be
# The safe loader in C, where PyYAML was built with it: ten times as fast.
_SAFE: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ConfError(Exception):
    """The configuration is wrong; the message says where and what was probably meant."""


class _Loader(_SAFE):  # type: ignore[misc, valid-type]
    """Plain values only: a date is a text, as in OmegaConf.

    The tables are our own because libraries that vLLM loads write into those of PyYAML's
    loaders, and a file has to read alike in every process.
    """

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, form) for tag, form in forms if tag.rsplit(":", 1)[1] in _PLAIN]
        for first, forms in _SAFE.yaml_implicit_resolvers.items()
    }
    yaml_constructors: ClassVar = {
        tag: make
        for tag, make in _SAFE.yaml_constructors.items()
        if tag is None or tag.rsplit(":", 1)[1] in (*_PLAIN, "str", "seq", "map")
    }


def read_yaml(path: str) -> dict[str, Any]:
    """A YAML mapping, loaded safely.

    Raises:
        ConfError: not YAML, not a mapping, too deep, too large, or refers to itself.
    """
    try:
        with Path(path).open(encoding="utf-8") as source:
            text = source.read(_LONGEST + 1)
        if len(text) > _LONGEST:
            raise ConfError(f"{path}: more than {_LONGEST:,} characters; is it a configuration?")
        body = _construct(text)
    except (yaml.YAMLError, OSError, ValueError) as err:
        raise ConfError(f"{path}: {err}{_quoting(err)}") from err
    except RecursionError as err:
        raise ConfError(f"{path}: too deep") from err
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise ConfError(f"{path}: a mapping is expected at the top, not {type(body).__name__}")
    _check_size(body, path)
    return body


def _construct(text: str) -> Any:
    """The value of a document.

    Raises:
        YAMLError: it is none, or one of its mappings has a key twice, of which YAML takes the last.
    """
    loader = _Loader(text)
    try:
        whole = loader.get_single_node()
        if whole is None:
            return None
        _refuse_twins(whole)
        return loader.construct_document(whole)
    finally:
        loader.dispose()


def _refuse_twins(whole: yaml.Node) -> None:
    seen, stack = set[int](), [whole]
    while stack:
        node = stack.pop()
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            stack.extend(node.value)
            continue
        keys = set[str]()
        for key, value in node.value:
            stack.append(value)
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name in keys and not key.tag.endswith(":merge"):
                line = key.start_mark.line + 1
                raise yaml.YAMLError(f"key {name[:80]!r} stands twice, again in line {line}")
            keys.update([name] if name else [])


def _quoting(err: Exception) -> str:
    """What most often helps where YAML stops in the middle of a text."""
    words = str(err)
    signs = ("flow mapping", "flow sequence", "mapping values", "cannot start any token", "plain")
    if not any(sign in words for sign in signs):
        return ""
    return '\nQuote a text with ?, :, #, commas, braces or brackets: {is: "Which one?"}'


def _check_size(body: object, path: str) -> None:
    stack: list[tuple[object, int]] = [(body, 0)]
    count = 0
    while stack:
        value, depth = stack.pop()
        count += 1
        if depth > _MAX_DEPTH or count > _MAX_VALUES:
            raise ConfError(f"{path}: too deep or too large; does an anchor refer to itself?")
        if isinstance(value, dict):
            stack.extend((v, depth + 1) for v in value.values())
        elif isinstance(value, list):
            stack.extend((v, depth + 1) for v in value)


def value_of(text: str, value: str) -> Any:
    """The value of the override `text`, from what stands behind its sign of equality.

    Raises:
        ConfError: it is no YAML of plain values.
    """
    try:
        found = _construct(value)
    except (yaml.YAMLError, ValueError, RecursionError) as err:
        problem = getattr(err, "problem", None) or (str(err).splitlines() or ["too deep"])[0]
        raise ConfError(f"override {text[:80]!r}: its value is no YAML ({problem[:200]})") from err
    _check_size(found, f"override {text[:80]!r}")
    return found
