"""Small changes of Python code, each one that a test should notice."""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file."""

    file: str
    line: int
    node: int  # place in `ast.walk`
    before: str
    after: str
    nth: int = 0  # of the same words in this file

    @property
    def key(self) -> str:
        """What it is called wherever lines move."""
        return f"{self.file} {self.nth}: {self.before} -> {self.after}"


def mutants(file: str, text: str) -> Iterator[Mutant]:
    """Every change of a module that this knows; none of annotations and words."""
    tree = ast.parse(text)
    hidden = {id(inner) for outer in ast.walk(tree) for inner in _not_code(outer)}
    seen = Counter[tuple[str, str]]()
    for place, node in enumerate(ast.walk(tree)):
        new = None if id(node) in hidden else change(node)
        if new is not None and isinstance(node, ast.expr | ast.stmt):
            words = ast.unparse(node), ast.unparse(new)
            yield Mutant(file, node.lineno, place, *words, seen[words])
            seen[words] += 1


def mutate(text: str, mutant: Mutant) -> str:
    """The module with this one change; all else stays as it is written."""
    for place, node in enumerate(ast.walk(ast.parse(text))):
        if place == mutant.node and isinstance(node, ast.expr | ast.stmt):
            new = change(node)
            assert new is not None, mutant
            words = ast.unparse(new) if isinstance(new, ast.stmt) else f"({ast.unparse(new)})"
            return _splice(text, node, words)
    raise ValueError(f"{mutant.file} has no place {mutant.node}")


def _splice(text: str, node: ast.expr | ast.stmt, words: str) -> str:
    lines = text.encode().splitlines(keepends=True)  # Python counts columns in bytes
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    start = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[: node.end_lineno - 1])) + node.end_col_offset
    whole = text.encode()
    return (whole[:start] + words.encode() + whole[end:]).decode()


def change(node: ast.AST) -> ast.AST | None:
    """Another node in place of this one; None where no small change makes sense."""
    match node:
        case ast.Compare(ops=[op, *more]) if type(op) in _COMPARED:
            return ast.Compare(node.left, [_COMPARED[type(op)](), *more], node.comparators)
        case ast.BinOp(op=op) if type(op) in _COMPUTED and not _has_words(node):
            return ast.BinOp(node.left, _COMPUTED[type(op)](), node.right)
        case ast.BoolOp(op=op):
            return ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), node.values)
        case ast.UnaryOp(op=ast.Not()):
            return node.operand
        case ast.IfExp():
            return ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
        case ast.Return(value=ast.Call() | ast.Name() | ast.Attribute() | ast.Subscript()):
            return ast.Return(ast.Constant(None))
        case ast.Constant(value=bool() | int() | float()):
            value = node.value
            return ast.Constant(not value if isinstance(value, bool) else value + 1)
        case _:
            return None


def _has_words(node: ast.BinOp) -> bool:
    words = (ast.JoinedStr, ast.List, ast.Tuple)
    sides = (node.left, node.right)
    return any(isinstance(s, words) or _is_word(s) for s in sides)


def _is_word(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _not_code(node: ast.AST) -> Iterator[ast.AST]:
    """What is below annotations, format strings, and code that only a type checker reads."""
    outer: list[ast.AST | None] = []
    match node:
        case ast.AnnAssign() | ast.arg():
            outer = [node.annotation]
        case ast.ClassDef():
            outer = [*node.decorator_list]
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            outer = [node.returns, *node.decorator_list]
        case ast.JoinedStr():
            outer = [node]
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            outer = [node]
        case ast.Raise():
            outer = [node]
    for found in outer:
        yield from ast.walk(found) if found is not None else ()
