"""What a place's error means: whether asking again may help, and the cure in words.

Object storage says what is wrong by a code (`SlowDown`, `NoSuchBucket` …), a disk by an errno. A
code that is not in `refusals.yaml` is told by the words that it is made of; any other is named as
it is, and nothing is guessed about it.
"""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from medgen.engine.beside import read_beside
from medgen.engine.errors import BusyError, StoreError

# What asking again cannot help, whatever the vendor: rights, names, arguments.
_FINAL = (PermissionError, FileNotFoundError, FileExistsError, TypeError, ValueError, ImportError)
_FINAL_WORDS = ("Credential", "NoRegion", "Profile")
_FINAL_KINDS = ("ParamValidationError", "InvalidEndpointURL", "UnknownEndpoint")  # of S3's client
_KEYS = "Look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_PROFILE"

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# What a shared disk says for a moment: a file handle that went stale, a server that is away.
_PASSING_ERRNOS = frozenset(
    {
        *(errno.ESTALE, errno.EIO, errno.EREMOTEIO, errno.EAGAIN, errno.EINTR, errno.EBUSY),
        *(errno.ETIMEDOUT, errno.ENOLCK, errno.ENOTCONN, errno.ESHUTDOWN, errno.ECONNABORTED),
        *(errno.ECONNRESET, errno.ECONNREFUSED, errno.EHOSTDOWN, errno.EHOSTUNREACH),
        *(errno.ENETDOWN, errno.ENETUNREACH, errno.EPIPE),
    }
)


class _Cure(msgspec.Struct, frozen=True):
    """What some codes mean, and what helps."""

    cure: str
    passing: bool = False  # asking again may help
    codes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()  # patterns, of the codes of other vendors

    def as_error(self, begin: str) -> StoreError:
        """The error that begins so."""
        kind = BusyError if self.passing else StoreError
        return kind(f"{begin}. {self.cure}" if self.cure else begin)


@cache
def _cures() -> tuple[_Cure, ...]:
    return read_beside(__package__, "refusals.yaml", tuple[_Cure, ...])


@cache
def _by_code() -> dict[str, _Cure]:
    return {code.casefold(): cure for cure in _cures() for code in cure.codes}


def _of_code(code: str) -> _Cure | None:
    """By the code as it stands in the table, else by the words that it is made of."""
    by_words = (c for c in _cures() for w in c.words if re.search(w, code, re.IGNORECASE))
    return _by_code().get(code.casefold()) or next(by_words, None)


@contextlib.contextmanager
def explain(action: str, where: str) -> Iterator[None]:
    """Turn whatever a place raises into a sentence; that there is no such object stays.

    Raises:
        StoreError: asking again cannot help.
        BusyError: it may.
    """
    try:
        yield
    except (FileNotFoundError, StoreError) as err:
        if vendor_code(err)[0] in ("NoSuchBucket", "ContainerNotFound", "NoSuchUpload"):
            raise refusal(action, where, err) from err
        raise
    except Exception as err:  # fsspec back ends raise whatever their vendor does
        raise refusal(action, where, err) from err


def refusal(action: str, where: str, err: Exception) -> StoreError:
    """The error as ours: what could not be done, what the place said, and what to do."""
    code, message = vendor_code(err)
    if not code:
        return _of_errno(f"cannot {action} {where}", err)
    said = f"{code}: {message}" if message and message != code else code
    begin = f"cannot {action} {where}: {said}"
    if cure := _of_code(code):
        return cure.as_error(begin)
    # Nobody knows the code: its class of status says whose fault it is.
    status = _status(err)
    return (BusyError if status is None or status >= 500 else StoreError)(begin)


def vendor_code(err: BaseException) -> tuple[str, str]:
    """The code that an object store gave, and its words; empty when it gave none."""
    for cause in _chain(err):
        response = getattr(cause, "response", None)
        if isinstance(response, dict) and isinstance(response.get("Error"), dict):
            error = response["Error"]
            code = str(error.get("Code") or _status(cause) or "")
            if code in ("None", "Unknown"):
                code = str(_status(cause) or "")
            return code, str(error.get("Message") or "").strip().rstrip(".")
        given: Any = getattr(cause, "error_code", None) or getattr(cause, "code", None)
        # aiohttp gives what broke off, or is no HTTP, a code of its own, 400; no store said that.
        broke_off = type(cause).__module__.startswith("aiohttp.")
        if isinstance(given, str | int) and not isinstance(cause, SystemExit) and not broke_off:
            words = str(getattr(cause, "message", None) or cause).splitlines()
            return str(getattr(given, "value", given)), words[0] if words else ""
    return "", ""


def _status(err: BaseException) -> int | None:
    for cause in _chain(err):
        response: Any = getattr(cause, "response", None)
        if isinstance(response, dict):
            found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return int(found) if found else None
        found = getattr(cause, "status_code", None) or getattr(cause, "code", None)
        if isinstance(found, int):
            return found
    return None


def _chain(err: BaseException) -> Iterator[BaseException]:
    """An error and what it came from."""
    seen: set[int] = set()
    cause: BaseException | None = err
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _of_errno(begin: str, err: Exception) -> StoreError:
    code = err.errno if isinstance(err, OSError) else None
    words = f"{begin}: {_words_of(err)}"
    if isinstance(err, RecursionError):  # of the client, which follows where it is sent
        return StoreError(
            f"{begin}: the store redirects without end. {_by_code()['permanentredirect'].cure}"
        )
    if isinstance(err, PermissionError) or code == errno.EROFS:
        return StoreError(f"{words}. Has this user the right to?")
    if code in _FULL:
        return StoreError(f"{words}. Is the disk full? {_by_code()['quotaexceeded'].cure}")
    if _is_final(err, code):
        cure = f". {_KEYS}" if any(word in type(err).__name__ for word in _FINAL_WORDS) else ""
        return StoreError(f"{words}{cure}")
    return BusyError(f"{words}. Is the store reachable?")


def _words_of(err: Exception) -> str:
    """Its words; where it brings none, what its number or its type is called."""
    if isinstance(err, OSError) and err.errno is not None and not err.strerror:
        return os.strerror(err.errno)
    said = str(err).strip()
    return type(err).__name__ if said in ("", "None") else said


def _is_final(err: Exception, code: int | None) -> bool:
    if code is not None:
        return code not in _PASSING_ERRNOS
    kind = type(err).__name__
    return isinstance(err, _FINAL) or any(w in kind for w in (*_FINAL_WORDS, *_FINAL_KINDS))
