from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

def sync(loop: AbstractEventLoop, func: Callable[[], Awaitable[T]]) -> T: ...
