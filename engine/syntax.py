"""Python's own parser, for one thread at a time.

CPython 3.11 counts for all threads together how deep the tree is that it builds, and raises a
`SystemError` ("AST constructor recursion depth mismatch") where two of them parse.
"""

import ast
import threading

_ONE_AT_A_TIME = threading.Lock()


def parse_module(source: bytes) -> ast.Module:
    """A module's tree.

    Raises:
        SyntaxError: it is no Python.
    """
    with _ONE_AT_A_TIME:
        return ast.parse(source)


def parse_expression(text: str) -> ast.expr:
    """The tree of one expression.

    Raises:
        SyntaxError: it is none. ValueError, RecursionError, MemoryError: no parser takes it.
    """
    with _ONE_AT_A_TIME:
        return ast.parse(text, mode="eval").body
