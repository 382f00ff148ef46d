"""What a place's error means: whether asking again may help, and the cure in words.

Object storage says what is wrong by a code (`SlowDown`, `NoSuchBucket` …), a disk by an errno. A
code that is not in the tables is told by the words that it is made of; any other is named as it is,
and nothing is guessed about it.
"""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from typing import Any

from medgen.engine.errors import BusyError, StoreError

# What asking again cannot help, whatever the vendor: rights, names, arguments.
_FINAL = (PermissionError, FileNotFoundError, FileExistsError, TypeError, ValueError, ImportError)
_FINAL_WORDS = ("Credential", "NoRegion", "Profile")
_FINAL_KINDS = ("ParamValidationError", "InvalidEndpointURL", "UnknownEndpoint")  # of S3's client
_KEYS = "Look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_PROFILE"
_RIGHTS = "Has this user the right to list, read, write and delete there?"
_RENEW = "Get new credentials, and run the same command again: everything committed is kept"
_ROOM = "Make room or have the quota raised; everything committed is kept"
_NO_BUCKET = "Make the bucket, or name the right one and its endpoint (AWS_ENDPOINT_URL)"
_REGION = "The bucket is in another region: set AWS_DEFAULT_REGION and AWS_ENDPOINT_URL"
_ACCOUNT = "The account is blocked or not paid; ask whoever runs it"
_LOCKED = "The store forbids this; is it read-only, or its objects locked?"
_CLOCK = "This machine's clock is wrong: set it (NTP)"
_SIZE = "One object may have 5 GiB: make the shards smaller (`shard_size`)"
_CHECKSUM = (
    "This store wants or refuses checksums: see AWS_REQUEST_CHECKSUM_CALCULATION "
    "(when_required or when_supported)"
)
# Codes of S3 and its kin, Google's JSON API and Azure's blobs that asking again cannot help.
_CURES = {
    "NoSuchBucket": _NO_BUCKET,
    "InvalidBucketName": "The bucket's name is none; `s3://BUCKET/PREFIX` is how a store is named",
    "AccessDenied": _RIGHTS,
    "AllAccessDisabled": _RIGHTS,
    "AccountProblem": _ACCOUNT,
    "NotSignedUp": "The account has no object storage; ask whoever runs it",
    "InvalidAccessKeyId": f"The store does not know this key. {_KEYS}",
    "SignatureDoesNotMatch": (
        f"The secret does not belong to the key, or a proxy changed the request. {_KEYS}"
    ),
    "InvalidSecurity": f"The credentials are not valid. {_KEYS}",
    "InvalidToken": f"The session's token is not valid. {_RENEW}",
    "ExpiredToken": f"The session's token has run out. {_RENEW}",
    "TokenRefreshRequired": f"The session's token has run out. {_RENEW}",
    "InvalidClientTokenId": f"The store does not know this key. {_KEYS}",
    "UnrecognizedClientException": f"The store does not know this key. {_KEYS}",
    "RequestTimeTooSkewed": _CLOCK,
    "RequestExpired": _CLOCK,
    "QuotaExceeded": _ROOM,
    "UserQuotaExceeded": _ROOM,
    "BucketQuotaExceeded": _ROOM,
    "XMinioAdminBucketQuotaExceeded": _ROOM,
    "InsufficientCapacity": _ROOM,
    "XMinioStorageFull": _ROOM,
    "EntityTooLarge": _SIZE,
    "MaxMessageLengthExceeded": _SIZE,
    "EntityTooSmall": "The store takes no object so small; ask whoever runs it",
    "KeyTooLongError": "A key may have 1,024 bytes: choose a shorter prefix for the store",
    "NoSuchUpload": "Something ended this upload; run the same command again",
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "InvalidObjectState": "The object was moved to an archive; restore it, or choose another store",
    "MethodNotAllowed": _LOCKED,
    "ObjectLocked": _LOCKED,
    "FileImmutable": _LOCKED,
    "ObjectLockConfigurationNotFoundError": "The bucket's lock is not set up",
    "InvalidRequest": _CHECKSUM,
    "MissingContentMD5": _CHECKSUM,
    "MissingContentLength": _CHECKSUM,
    "XAmzContentSHA256Mismatch": "A proxy between here and the store changed the bytes",
    "XAmzContentChecksumMismatch": "A proxy between here and the store changed the bytes",
    "KMS.DisabledException": "The key that encrypts the bucket is disabled",
    "KMS.NotFoundException": "The key that encrypts the bucket is gone",
    "NotImplemented": "The store does not know this request; is it a full S3?",
    "InvalidArgument": "",
    "InvalidURI": "",
    "MalformedXML": "",
    "ContainerNotFound": "Make the container, or name the right one",
    "AuthenticationFailed": "The store does not take these credentials; look at AZURE_STORAGE_*",
    "AuthorizationFailure": _RIGHTS,
    "AuthorizationPermissionMismatch": _RIGHTS,
    "InsufficientAccountPermissions": _RIGHTS,
    "AccountIsDisabled": _ACCOUNT,
    "RequestBodyTooLarge": _SIZE,
    "Redirect": "Redirects are not followed; is AWS_ENDPOINT_URL the store's own address?",
    "301": _REGION,
    "400": "",
    "401": "The store wants credentials",
    "403": _RIGHTS,
    "404": "What answers is no object store: is it a proxy's page? Look at AWS_ENDPOINT_URL",
    "405": "The store forbids this; is it read-only?",
    "407": "The proxy wants credentials",
    "413": _SIZE,
    "507": _ROOM,
}
_SLOWER = "The store asks for fewer requests at a time"
_LATER = "The store failed and says no more"
# Codes that asking again may help.
_PASSING = {
    "SlowDown": _SLOWER,
    "SlowDownRead": _SLOWER,
    "SlowDownWrite": _SLOWER,
    "Throttling": _SLOWER,
    "ThrottlingException": _SLOWER,
    "RequestLimitExceeded": _SLOWER,
    "TooManyRequests": _SLOWER,
    "TooManyRequestsException": _SLOWER,
    "BandwidthLimitExceeded": _SLOWER,
    "rateLimitExceeded": _SLOWER,
    "ServerBusy": _SLOWER,
    "429": _SLOWER,
    "ServiceUnavailable": _LATER,
    "InternalError": _LATER,
    "OperationAborted": "Something else changes the same object or bucket",
    "ConditionalRequestConflict": "Something else writes the same object",
    "PreconditionFailed": "Something else writes the same object",
    "RequestTimeout": "The request came too slowly",
    "IncompleteBody": "The request broke off",
    "BadDigest": "The bytes that arrived are not those that were sent",
    "OperationTimedOut": "The store needed too long",
    "408": "The request came too slowly",
    "409": "Something else writes the same object",
    "412": "Something else writes the same object",
    "500": _LATER,
    "502": "A gateway in front of the store found nobody behind it",
    "503": _LATER,
    "504": "A gateway in front of the store waited in vain",
}
_CURES_FOLDED = {code.casefold(): cure for code, cure in _CURES.items()}
_PASSING_FOLDED = {code.casefold(): cure for code, cure in _PASSING.items()}
# What the codes of other vendors are made of; the first that fits says what is meant.
_BY_WORDS: tuple[tuple[re.Pattern[str], type[StoreError], str], ...] = tuple(
    (re.compile(words, re.IGNORECASE), kind, cure)
    for words, kind, cure in (
        (
            r"throttl|slow_?down|too_?many_?req|rate_?(limit|exceed)|reduce_?rate",
            BusyError,
            _SLOWER,
        ),
        (r"(request|qps|bandwidth|throughput)\w*exceeded", BusyError, _SLOWER),
        (
            r"quota|storage_?(cap_?)?(full|exceeded|limit)|no_?space|capacity|disk_?full",
            StoreError,
            _ROOM,
        ),
        (r"expired|token_?(refresh|invalid)|invalid_?token", StoreError, _RENEW),
        (r"signature", StoreError, _CURES["SignatureDoesNotMatch"]),
        (r"access_?key|client_?token", StoreError, _CURES["InvalidAccessKeyId"]),
        (
            r"no_?such_?(bucket|container)|(bucket|container)_?not_?(found|exist)",
            StoreError,
            _NO_BUCKET,
        ),
        (r"denied|forbidden|unauthori[sz]ed|not_?authori[sz]ed|permission", StoreError, _RIGHTS),
        (r"suspended|disabled?$|payment_?required|overdue|arrear", StoreError, _ACCOUNT),
        (r"immutable|under_?hold|retention", StoreError, _LOCKED),
        (r"skewed", StoreError, _CLOCK),
        (r"too_?large", StoreError, _SIZE),
        (r"redirect|wrong_?region|location_?constraint", StoreError, _REGION),
        (r"quorum|not_?initiali[sz]ed|unavailable|internal|server_?error", BusyError, _LATER),
        (
            r"busy|conflict|concurrent|in_?progress|locked",
            BusyError,
            "Something else is at work there",
        ),
        (
            r"time_?d?_?out|incomplete",
            BusyError,
            "The store needed too long, or the request broke off",
        ),
    )
)
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
    folded = code.casefold()
    if folded in _PASSING_FOLDED:
        return BusyError(f"{begin}. {_PASSING_FOLDED[folded]}")
    if folded in _CURES_FOLDED:
        return StoreError(". ".join(filter(None, (begin, _CURES_FOLDED[folded]))))
    # A code that is not in the tables: its words, else its class of status says whose fault it is.
    for words, kind, cure in _BY_WORDS:
        if words.search(code):
            return kind(f"{begin}. {cure}")
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
        return StoreError(f"{begin}: the store redirects without end. {_REGION}")
    if isinstance(err, PermissionError) or code == errno.EROFS:
        return StoreError(f"{words}. Has this user the right to?")
    if code in _FULL:
        return StoreError(f"{words}. Is the disk full? {_ROOM}")
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
