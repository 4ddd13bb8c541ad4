# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Where credentials come from, and what keeps them out of logs, journals, results and error texts.

Order: the environment, the keyring (service ``flashket``, user name = provider), the provider's own file. Files that a provider's package
reads by itself are only looked for, never opened here.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from flashket.errors import BackendUnavailable, explanation

_HIDDEN = "<hidden>"
_known: set[str] = set()
"""Every value a Secret of this process holds, so that redact() finds them wherever a provider's error repeats them."""


class Secret:
    """A credential that prints, formats, pickles and serialises as nothing.

    ``reveal()`` is the only way to the value. Equal to nothing but itself.

    Parameters
    ----------
    value : str
        The credential.

    Examples
    --------
    >>> secret = Secret("abc-123-secret")
    >>> secret, f"{secret}", secret.reveal()
    (Secret(<hidden>), '<hidden>', 'abc-123-secret')
    """

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        object.__setattr__(self, "_Secret__value", value)
        # Shorter ones would blank out harmless words; no provider has them.
        if len(value) >= 6:
            _known.add(value)

    def reveal(self) -> str:
        """Return the value."""
        return self.__value  # type: ignore[attr-defined,no-any-return]

    def __repr__(self) -> str:
        return f"Secret({_HIDDEN})"

    def __str__(self) -> str:
        return _HIDDEN

    def __format__(self, specification: str) -> str:
        return _HIDDEN

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret does not change")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a Secret is neither pickled nor copied into files")


_KEYS = re.compile(r"pass(word|phrase)|secret|authori[sz]ation|cookie|credential|api[-_]?key|access[-_]?key|(^|[-_])(token|jwt|key)$", re.I)
_PATTERNS = (
    (re.compile(r"(?i)\b(bearer|apikey|basic|token)(\s+|:\s*)(?=[^\s\"',;]*[\d._~+/=-])[A-Za-z0-9._~+/=-]{8,}"), rf"\1\2{_HIDDEN}"),
    (
        re.compile(
            r"(?i)([\"']?[\w-]*(?:(?:password|passphrase|secret|authori[sz]ation|credential|api[-_]?key|access[-_]?key)[\w-]*|[-_]token)[\"']?"
            r"\s*[:=]\s*[\"']?)(?!<hidden>)(?:(?:bearer|apikey|basic)\s+)?[^\s\"',;&}]+"
        ),
        rf"\1{_HIDDEN}",
    ),
    (re.compile(r"(?i)((?:^|[?&\s])(?:token|key|sig|signature|x-amz-[\w-]+)=)[^\s&\"']+"), rf"\1{_HIDDEN}"),
    (re.compile(r"(?i)(\w+://)[^/\s:@]+:[^/\s@]+@"), rf"\1{_HIDDEN}@"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"), _HIDDEN),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), _HIDDEN),
)


def redact(value: Any) -> Any:
    """Return text, or JSON-like data, with everything that looks like a credential replaced.

    Parameters
    ----------
    value : str, dict, list, tuple, number or None
        An error's text or a provider's metadata. Objects that are none of these become their redacted text.

    Returns
    -------
    object
        A copy: known :class:`Secret` values, authorisation headers, JSON web tokens, AWS keys, signed URLs and values under names like
        ``password`` or ``access_token`` are ``<hidden>``.

    Examples
    --------
    >>> redact("401 for Authorization: apiKey abcd-1234-efgh")
    '401 for Authorization: <hidden>'
    >>> redact({"job": "17", "headers": {"Authorization": "Bearer abcdef.123"}})
    {'job': '17', 'headers': {'Authorization': '<hidden>'}}
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, dict):
        return {redact(str(key)): _HIDDEN if _KEYS.search(str(key)) and item else redact(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redact(item) for item in value]
    text = str(value)
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


@dataclass(frozen=True)
class _Source:
    """Where a provider's credentials may be.

    ``variables`` hold the credential itself, the first one set wins; ``others`` say where else the provider's package finds one:
    environment variables with a path or a profile's name. ``files`` are read by the provider's package.
    """

    variables: tuple[str, ...]
    others: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    command: str = ""


_SOURCES = {
    "ibm": _Source(
        ("QISKIT_IBM_TOKEN", "IBM_QUANTUM_TOKEN"),
        files=("~/.qiskit/qiskit-ibm.json",),
        command="QiskitRuntimeService.save_account(token=...)",
    ),
    "braket": _Source(
        (),
        others=(
            "AWS_PROFILE",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ),
        files=("~/.aws/credentials", "~/.aws/config"),
        command="aws configure",
    ),
    "cirq": _Source(
        (),
        others=("GOOGLE_APPLICATION_CREDENTIALS",),
        files=("~/.config/gcloud/application_default_credentials.json",),
        command="gcloud auth application-default login",
    ),
    "quantinuum": _Source((), files=("~/.qnx/auth/token.json",), command="python -c 'import qnexus; qnexus.login()'"),
    "ionq": _Source(("IONQ_API_KEY", "IONQ_API_TOKEN"), command="python -m keyring set flashket ionq"),
    "iqm": _Source(("IQM_TOKEN",), others=("IQM_TOKENS_FILE",), command="python -m keyring set flashket iqm"),
}


@dataclass(frozen=True)
class Credential:
    """What was found: a secret, or None where the provider's own package reads it from ``origin``."""

    secret: Secret | None
    origin: str


def find_credential(provider: str) -> Credential | None:
    """Look for a provider's credentials.

    Parameters
    ----------
    provider : str
        ``"ibm"``, ``"braket"``, ``"cirq"``, ``"quantinuum"``, ``"ionq"`` or ``"iqm"``.

    Returns
    -------
    Credential or None
        From the environment, the keyring (where that package is installed) or the provider's file, in this order.

    Examples
    --------
    >>> find_credential("ionq") is None or find_credential("ionq").origin
    True
    """
    source = _SOURCES[provider]
    for variable in source.variables:
        if value := os.environ.get(variable, "").strip():
            return Credential(Secret(value), f"environment variable {variable}")
    if provider == "braket" and os.environ.get("AWS_ACCESS_KEY_ID") and (value := os.environ.get("AWS_SECRET_ACCESS_KEY", "")):
        # boto3 reads them itself; making Secrets of them lets redact() find them.
        for variable in ("AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"):
            Secret(os.environ.get(variable, ""))
        return Credential(Secret(value), "environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    for variable in source.others:
        if os.environ.get(variable):
            return Credential(None, f"environment variable {variable}")
    if (kept := _keyring(provider)) is not None:
        return Credential(Secret(kept), f"keyring, service flashket, user {provider}")
    for name in source.files:
        if _holds_credentials(provider, Path(name).expanduser()):
            return Credential(None, name)
    return None


def need_credential(provider: str, place: str) -> Credential:
    """Return a provider's credentials, or raise BackendUnavailable that says where they may be put.

    Raises
    ------
    BackendUnavailable
        Naming the environment variable, the keyring entry, the file and the command. Nothing was sent.
    """
    found = find_credential(provider)
    if found is not None:
        return found
    source = _SOURCES[provider]
    variables = (
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" if provider == "braket" else " or ".join(source.variables[:1] + source.others[:1])
    )
    ways = [f"set {variables}" if variables else "", f"run: {source.command}"]
    ways.insert(1, f"put it into {source.files[0]}" if source.files else "")
    do = ", or ".join(way for way in ways if way)
    raise BackendUnavailable(explanation(place, f"credentials of {provider} are needed", "none; nothing was sent", do))


def _keyring(provider: str) -> str | None:
    try:
        import keyring
        import keyring.errors
    except ImportError:
        return None
    # Machines without a desktop have no keyring service, which is no error here.
    try:
        value = keyring.get_password("flashket", provider)
    except (keyring.errors.KeyringError, RuntimeError, OSError):
        return None
    return value or None


def _holds_credentials(provider: str, path: Path) -> bool:
    """Say whether a provider's file is there, and for files with other contents too, whether it has the entry."""
    entry = ("[" if path.name == "credentials" else "credential") if provider == "braket" else ""
    try:
        return path.is_file() and (entry in path.read_text(errors="replace"))
    except OSError:
        return False
