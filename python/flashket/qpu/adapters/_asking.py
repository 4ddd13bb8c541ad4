# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""How providers are asked, and what the errors of their SDKs mean: above all, whether a job may have been taken.

SDKs have no common errors, so theirs are known by name; nothing of them is imported. A request that sends a job and fails leaves one of
three things: the provider surely took nothing (it was never reached, or it answered 401, 403 or 429), it says why it refuses (other 4xx;
the job is looked for all the same), or nobody knows. What is not certain counts as not known.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from flashket.errors import BackendUnavailable, FlashKetError, JobError, explanation
from flashket.qpu.adapters._base import TransientError
from flashket.qpu.credentials import redact

Answer = TypeVar("Answer")


def asked(place: str, question: Callable[[], Answer]) -> Answer:
    """Return what a provider's SDK answers; its errors become ours, with every credential removed.

    The SDK's own exception is not chained: its text, and the frames it keeps alive, may hold credentials.

    Raises
    ------
    TransientError
        For timeouts, lost connections, 429 and 5xx.
    JobError
        For everything else, with the provider's reason.
    """
    try:
        return question()
    except (FlashKetError, TransientError):
        raise
    except Exception as error:  # noqa: BLE001  # SDKs have no common base class
        failure = translated(place, error)
    raise failure


def sent(place: str, question: Callable[[], Answer], *, is_one_request: bool = True) -> Answer:
    """Return what a provider answers to the request that sends a job; of a failure, say whether the job may have been taken.

    Parameters
    ----------
    place : str
        The adapter's name.
    question : callable
        Sends the job.
    is_one_request : bool
        Whether it makes a single request. Where it makes several, the last one's failure says nothing about those before.

    Raises
    ------
    TransientError
        As :func:`asked`; ``refused`` where the provider surely took nothing.
    BackendUnavailable
        For credentials that are missing, wrong or expired, or may not do this: nothing was taken.
    JobError
        For everything else, with the provider's reason.
    """
    try:
        return question()
    except (FlashKetError, TransientError):
        raise
    except Exception as error:  # noqa: BLE001  # SDKs have no common base class
        failure = translated(place, error)
        if not is_one_request and isinstance(failure, TransientError):
            failure = TransientError(str(failure), failure.retry_after)
        elif is_one_request and isinstance(failure, JobError) and _is_denied(error):
            failure = BackendUnavailable(f"{failure} (nothing was sent)")
    raise failure


def before_sending(question: Callable[[], Answer]) -> Answer:
    """Return the answer to what is asked before a job is sent, so that its failure leaves no doubt: the provider took nothing.

    Raises
    ------
    TransientError
        With ``refused``.
    BackendUnavailable
        For everything else that the provider says, e.g. that credentials have expired.
    """
    try:
        return question()
    except TransientError as error:
        failure: Exception = TransientError(str(error), error.retry_after, refused=True)
    except JobError as error:
        failure = BackendUnavailable(f"{error} (nothing was sent)")
    raise failure


def asked_in_vain(place: str, question: Callable[[], Answer]) -> Answer | None:
    """Return what a provider's SDK answers, None if it does not: for what a result can be without."""
    try:
        return asked(place, question)
    except (JobError, TransientError):
        return None


_TRANSIENT_NAMES = re.compile(
    r"Timeout|TimedOut|ConnectionError|ConnectionReset|ConnectionAborted|ConnectionRefused|ConnectionClosed|BrokenPipe|EndpointConnection"
    r"|Throttl|TooManyRequests|RateLimit|RetryError|Retriable|ServiceUnavailable|SystemUnavailable|DeadlineExceeded|ResourceExhausted"
    r"|InternalServerError|InternalSystemError|BadGateway|GatewayTimeout|NameResolution|\bProtocolError\b|\bRemoteProtocolError\b"
    r"|\bConnectError\b|\bReadError\b|\bWriteError\b|\bgaierror\b|ClientConnectorError"
)
_REFUSED_NAMES = re.compile(r"TooManyRequests|RateLimit|Throttl")
# SDKs that wrap the error of their HTTP library keep its text.
_TRANSIENT_TEXT = re.compile(
    r"Max retries exceeded|timed out|Connection aborted|Remote end closed|Connection reset|failed to connect to all addresses|"
    r"DNS resolution failed|Reached max retry attempts"
)
_DENIED_NAMES = re.compile(
    r"NoCredentials|PartialCredentials|CredentialRetrieval|TokenRetrieval|SSOToken|UnauthorizedSSO|NoAuthToken|DefaultCredentialsError"
    r"|RefreshError|NotAuthorized|AuthenticationError|\bUnauthenticated\b|PermissionDenied|\bForbidden(?:Error)?\b|\bUnauthorized(?:Error)?\b"
    r"|ClientConfigurationError"
)
_AWS_CODES = {
    **dict.fromkeys(("ThrottlingException", "Throttling", "TooManyRequestsException", "SlowDown", "RequestLimitExceeded"), 429),
    **dict.fromkeys(("ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException", "InvalidSignatureException"), 403),
    **dict.fromkeys(("SignatureDoesNotMatch", "AccessDeniedException", "AccessDenied", "InvalidClientTokenId", "RequestExpired"), 403),
    **dict.fromkeys(("IncompleteSignature", "MissingAuthenticationToken", "OptInRequired", "NotAuthorized", "AuthFailure"), 403),
    "ServiceUnavailable": 503,
    "InternalServiceException": 500,
    "RequestTimeout": 408,
}
_STATUS = re.compile(
    r"\bstatus(?:[ _]code)?\s*[:=]?\s*(?:429|5\d\d)\b|\bHTTP(?:/[\d.]+)?\s+(?:429|5\d\d)\b|\b(?:429|5\d\d) (?:Client|Server) Error", re.I
)


def translated(place: str, error: BaseException) -> Exception:
    """Return TransientError or JobError for an SDK's exception."""
    kinds = _names(error)
    reason = redact(str(error)).strip() or type(error).__name__
    code, headers = _http(error)
    said = _STATUS.search(reason) if code is None else None
    passing = code in (408, 425, 429) or (code or 0) >= 500
    if passing or said or (code is None and (_TRANSIENT_NAMES.search(kinds) or _TRANSIENT_TEXT.search(reason) or never_connected(error))):
        text = explanation(place, "the provider did not answer", f"{type(error).__name__}: {reason}")
        refused = code == 429 or bool(said and "429" in said.group()) or bool(_REFUSED_NAMES.search(kinds)) or never_connected(error)
        return TransientError(text, retry_after(headers), refused=refused and not _was_repeated(error))
    return JobError(explanation(place, "the provider refused", f"{type(error).__name__}: {reason}"))


_BEFORE_NAMES = re.compile(
    r"\b(?:ConnectionRefusedError|gaierror|SSLCertVerificationError|NewConnectionError|NameResolutionError|ConnectTimeoutError|ConnectTimeout"
    r"|ConnectError|PoolTimeout|EndpointConnectionError|ClientConnectorError)\b"
)
"""Errors of a connection that was never made: builtin, and of urllib3, requests, httpx, botocore and aiohttp."""
_DOUBT_NAMES = re.compile(
    r"\b(?:ReadTimeout|ReadTimeoutError|ConnectionResetError|ConnectionAbortedError|BrokenPipeError|RemoteDisconnected|ProtocolError"
    r"|RemoteProtocolError|ReadError|WriteError|WriteTimeout|ConnectionClosedError|IncompleteRead|IncompleteReadError|ChunkedEncodingError"
    r"|SSLEOFError|SSLZeroReturnError)\b"
)
"""Errors of a request that may have been read."""
_BEFORE_TEXT = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeoutError|SSLCertVerificationError|CERTIFICATE_VERIFY_FAILED"
    r"|Failed to establish a new connection|Name or service not known|getaddrinfo"
    # gRPC, whose UNAVAILABLE alone says nothing: no connection could be picked for the call, or its credentials could not be made.
    r"|failed to connect to all addresses|DNS resolution failed|Getting metadata from plugin failed"
)
_DOUBT_TEXT = re.compile(
    r"[Rr]ead timed out|Connection aborted|[Cc]onnection reset|Remote end closed|Broken pipe|IncompleteRead|Socket closed"
)
_HANDSHAKE = ("WRONG_VERSION_NUMBER", "UNSUPPORTED_PROTOCOL", "SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_PROTOCOL_VERSION")
"""Reasons of TLS that come before a connection is one."""


def never_connected(error: BaseException) -> bool:
    """Return whether a request surely did not reach the provider: no connection was made, and no earlier attempt's fate is open."""
    if _http(error)[0] is not None:
        return False
    links = list(_chain(error))
    texts = " ".join(map(str, links))
    if any(_DOUBT_NAMES.search(_names(link)) for link in links) or _DOUBT_TEXT.search(texts):
        return False
    handshake = any(isinstance(link, ssl.SSLError) and getattr(link, "reason", None) in _HANDSHAKE for link in links)
    return handshake or any(_BEFORE_NAMES.search(_names(link)) for link in links) or bool(_BEFORE_TEXT.search(texts))


def _is_denied(error: BaseException) -> bool:
    """Return whether a request failed for its credentials: the provider, or the SDK before it, did not let it in."""
    code, _ = _http(error)
    if _was_repeated(error):
        return False
    return code in (401, 403) or (code is None and any(_DENIED_NAMES.search(_names(link)) for link in _chain(error)))


def _names(error: BaseException) -> str:
    return " ".join(kind.__name__ for kind in type(error).__mro__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those it was made of: causes, contexts, and where urllib, urllib3, requests and botocore keep theirs."""
    seen: list[BaseException] = []
    todo: list[Any] = [error]
    while todo and len(seen) < 30:
        each = todo.pop(0)
        if not isinstance(each, BaseException) or any(each is one for one in seen):
            continue
        seen.append(each)
        yield each
        kept = getattr(each, "kwargs", None)
        todo += [each.__cause__, None if each.__suppress_context__ else each.__context__, getattr(each, "reason", None), *each.args]
        todo += [kept.get("error")] if isinstance(kept, dict) else []


def _http(error: BaseException) -> tuple[int | None, Mapping[str, str]]:
    """Return the HTTP status and headers that an exception carries, in the places where requests, urllib, boto3 and gRPC put them."""
    for link in _chain(error):
        response: Any = getattr(link, "response", None)
        if isinstance(response, dict):
            metadata = response.get("ResponseMetadata", {})
            name = response.get("Error", {}).get("Code", "")
            return _AWS_CODES.get(name, metadata.get("HTTPStatusCode")), metadata.get("HTTPHeaders", {})
        for place in (response, link):
            for attribute in ("status_code", "code", "http_status"):
                value = getattr(place, attribute, None)
                if isinstance(value, int) and 100 <= value < 600:
                    return int(value), getattr(place, "headers", None) or {}
    return None, {}


def _was_repeated(error: BaseException) -> bool:
    """Return whether boto3 says that it asked more than once: what became of the first request is open then."""
    responses: list[Any] = [getattr(link, "response", None) for link in _chain(error)]
    return any(isinstance(one, dict) and one.get("ResponseMetadata", {}).get("RetryAttempts") for one in responses)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header; its other form, a date, is turned into seconds from now.

    Examples
    --------
    >>> retry_after({"Retry-After": "7"}), retry_after({})
    (7.0, None)
    """
    from email.utils import parsedate_to_datetime

    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError):
            return None
    # NaN is no wait, and compares with nothing.
    return max(0.0, seconds) if seconds == seconds else None


class Unlisted:
    """What is known of the jobs of a provider that cannot be asked for them by token: those that this process sent.

    Parameters
    ----------
    place : str
        The adapter's name.
    is_one_request : bool
        Whether a job is sent by one request and nothing else. Objects that run a circuit and wait for its counts make many: whatever
        fails there, the job may have been taken.
    """

    def __init__(self, place: str, *, is_one_request: bool = True) -> None:
        self.place, self._sent, self._refused, self._is_one_request = place, dict[str, str](), set[str](), is_one_request

    def send(self, token: str, question: Callable[[], str]) -> str:
        """Return the id of the job that ``question`` sends, and keep what became of the token."""
        try:
            self._sent[token] = sent(self.place, question, is_one_request=self._is_one_request)
        except JobError:
            if self._is_one_request:
                self._refused.add(token)
            raise
        return self._sent[token]

    def find(self, token: str) -> str | None:
        """Return the id, None if the provider refused the job; raise JobError for what another process sent."""
        if token in self._sent or token in self._refused:
            return self._sent.get(token)
        do = "look at the provider's own list of jobs, and only if it is not there submit again with retry_unknown=True (--retry-unknown)"
        raise JobError(explanation(self.place, "jobs of this provider cannot be looked up by their token", repr(token), do))
