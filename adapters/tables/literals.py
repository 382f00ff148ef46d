"""Values that stand as text in a cell: JSON, a Python literal, lines, a split."""

import ast
import json

from medgen.adapters.sources.folder import FaultyContent
from medgen.engine.bounds import RECORD
from medgen.engine.errors import ConfigError
from medgen.engine.syntax import parse_expression

MAX_LITERAL = 100_000  # characters
_NAMES: dict[str, object] = {"nan": None, "inf": None, "null": None, "true": True, "false": False}
KINDS = ("json", "literal", "literal-or-text", "lines")


def check_parse(kind: str, where: str) -> None:
    """Refuse an unknown way to parse.

    Raises:
        ConfigError: it is none of those that there are.
    """
    if kind not in KINDS and not (kind.startswith("split:") and len(kind) > 6):
        raise ConfigError(f"{where}: {kind!r} is none of {', '.join(KINDS)}, split:<sign>")


def parse(kind: str, value: object) -> object:
    """The value that a cell's text stands for; what is no text stays as it is.

    Raises:
        FaultyContent: the text is nothing of the kind.
    """
    if not isinstance(value, str):
        return value
    if kind == "lines":
        return [line.strip() for line in value.splitlines() if line.strip()]
    if kind.startswith("split:"):
        return [part.strip() for part in value.split(kind[6:]) if part.strip()]
    if kind == "json":
        return _json(value)
    if kind == "literal":
        return _literal(value)
    if not value.lstrip().startswith(("[", "(", "{", "'", '"')):
        return value
    try:
        return _literal(value)
    except FaultyContent:
        return value


def _json(text: str) -> object:
    try:
        found: object = json.loads(text, parse_constant=lambda name: None)
    except (ValueError, RecursionError) as err:
        raise FaultyContent(f"{_brief(text)} is no JSON ({err})") from err
    return found


def _literal(text: str) -> object:
    if len(text) > MAX_LITERAL:
        raise FaultyContent(f"a literal of {len(text):,} characters; at most {MAX_LITERAL:,}")
    try:
        return _evaluate(parse_expression(text.strip()), 0)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as err:
        raise FaultyContent(f"{_brief(text)} is no list, text or number ({err})") from err


def _evaluate(node: ast.expr, depth: int) -> object:
    if depth > RECORD.depth:
        raise ValueError("too deep")
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | None):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        return [_evaluate(item, depth + 1) for item in node.elts]
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {
            str(_evaluate(key, depth + 1)): _evaluate(item, depth + 1)
            for key, item in pairs
            if key is not None
        }
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _evaluate(node.operand, depth + 1)
        if isinstance(number, int | float):
            return -number
    if isinstance(node, ast.Name) and node.id in _NAMES:
        return _NAMES[node.id]
    raise ValueError("only lists, objects, texts and numbers are read")


def _brief(text: str) -> str:
    return repr(text if len(text) < 80 else text[:77] + "...")
