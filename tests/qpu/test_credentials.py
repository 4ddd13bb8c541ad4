# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Credentials are found where they may be, and never come out anywhere else."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import sys
import traceback
from pathlib import Path

import pytest

from flashket.errors import BackendUnavailable, JobError
from flashket.qpu import Batch, open_adapter
from flashket.qpu.adapters import TransientError
from flashket.qpu.adapters._asking import asked
from flashket.qpu.credentials import Secret, find_credential, need_credential, redact
from ionq_service import IonQService
from measured import FLIP

CANARY = "canary-Zx81-4711-0815"
PROVIDERS = ("ibm", "braket", "cirq", "quantinuum", "ionq", "iqm")


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home without files, and none of the providers' variables."""
    for name in list(__import__("os").environ):
        if name.startswith(("AWS_", "IBM_", "QISKIT_", "IONQ_", "IQM_", "GOOGLE_", "NEXUS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.setitem(sys.modules, "keyring", None)
    return tmp_path


def test_a_secret_never_shows():
    secret = Secret(CANARY)
    texts = [repr(secret), str(secret), f"{secret}", f"{secret!r:>30}", "%s" % secret, repr([secret]), repr({"a": secret})]  # noqa: UP031
    assert not any(CANARY in text for text in texts)
    for fails in (lambda: pickle.dumps(secret), lambda: json.dumps(secret), lambda: copy.deepcopy(secret)):
        with pytest.raises(TypeError) as caught:
            fails()
        assert CANARY not in str(caught.value)
    with pytest.raises(AttributeError):
        secret.value = "other"
    assert not hasattr(secret, "__dict__")
    assert secret.reveal() == CANARY


@pytest.mark.parametrize(
    "text",
    [
        f"401 for Authorization: Bearer {CANARY}",
        f"Authorization: apiKey {CANARY}",
        f'{{"Authorization": "apiKey {CANARY}"}}',
        f"token={CANARY}&next=2",
        f"https://host/path?token={CANARY}",
        f"https://user:{CANARY}@host/",
        f"api_key='{CANARY}'",
        f"aws_secret_access_key = {CANARY}",
        f'"access_token": "{CANARY}"',
        f"X-Api-Key: {CANARY}",
        f"https://bucket.s3/x?X-Amz-Signature={CANARY}&y=1",
    ],
)
def test_redact_knows_how_credentials_look(text):
    # Not known as a Secret here: the digits differ.
    assert CANARY[::-1] not in redact(text.replace(CANARY, CANARY[::-1]))


def test_redact_keeps_what_is_harmless():
    for text in ("[ionq] circuits must have the same shots, got [1, 2]", "queue position 17", "calibration 2026-04-17T10:00:00Z"):
        assert redact(text) == text
    assert redact({"shots": 100, "usage": {"seconds": 1.5}, "none": None, "tags": ["flashket", "ab12"]}) == {
        "shots": 100,
        "usage": {"seconds": 1.5},
        "none": None,
        "tags": ["flashket", "ab12"],
    }


def test_redact_hides_known_secrets_anywhere():
    Secret("plain words that are a secret")
    found = redact({"text": ["x plain words that are a secret y", ("plain words that are a secret",)], "password": "abc", "Cookie": "d"})
    assert "plain words" not in json.dumps(found)
    assert found["password"] == found["Cookie"] == "<hidden>"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_without_credentials_the_error_says_where_they_go(provider):
    assert find_credential(provider) is None
    with pytest.raises(BackendUnavailable, match="nothing was sent") as caught:
        need_credential(provider, "here")
    assert "run: " in str(caught.value)


@pytest.mark.parametrize(
    ("provider", "name"), [("ibm", "QISKIT_IBM_TOKEN"), ("ionq", "IONQ_API_KEY"), ("iqm", "IQM_TOKEN"), ("braket", "AWS_SECRET_ACCESS_KEY")]
)
def test_the_environment_comes_first(provider, name, monkeypatch):
    monkeypatch.setenv(name, CANARY)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA" + "A" * 16)
    found = find_credential(provider)
    assert found is not None
    assert found.secret.reveal() == CANARY
    assert name in found.origin
    assert CANARY not in repr(found) + str(dataclasses.astuple(dataclasses.replace(found, secret=None)))


@pytest.mark.parametrize(
    ("provider", "path", "text"),
    [
        ("ibm", ".qiskit/qiskit-ibm.json", "{}"),
        ("braket", ".aws/credentials", "[default]\naws_access_key_id = A\n"),
        ("cirq", ".config/gcloud/application_default_credentials.json", "{}"),
        ("quantinuum", ".qnx/auth/token.json", "{}"),
    ],
)
def test_files_of_providers_are_seen_and_not_read(provider, path, text, empty):
    file = empty / path
    file.parent.mkdir(parents=True)
    file.write_text(text)
    found = find_credential(provider)
    assert found is not None
    assert found.secret is None
    assert path in found.origin


def test_a_planted_secret_comes_out_nowhere(monkeypatch, caplog, capsys):
    """The canary: every way out of an adapter is searched for the key, whether the job works or fails."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("IONQ_API_KEY", CANARY)
    seen: list[str] = []
    with IonQService(CANARY) as service:
        device = open_adapter("ionq:qpu.forte-1", url=service.url)
        job = device.submit(Batch((FLIP,), (100,)), "token")
        result = device.result(job)
        seen += [repr(device), repr(vars(device)), repr(result), json.dumps(result.raw), job, repr(device.limits()), repr(service.jobs)]
        for status in (400, 401, 429, 500):
            service.faults.append((status, {}, json.dumps({"message": f"bad header Authorization: apiKey {CANARY}", "echo": [CANARY]})))
            try:
                device.status(job)
            except (JobError, TransientError) as error:
                seen += [str(error), repr(error), "".join(traceback.format_exception(error)), pickle.dumps(error).decode("latin-1")]
        service.faults.append((200, {}, f"no json {CANARY}"))
        with pytest.raises(JobError) as caught:
            device.status(job)
        seen += [str(caught.value), "".join(traceback.format_exception(caught.value))]

    def sdk_fails() -> None:
        raise RuntimeError(f"session with {CANARY} refused")

    with pytest.raises(JobError) as caught:
        asked("here", sdk_fails)
    seen += [str(caught.value), "".join(traceback.format_exception(caught.value))]
    captured = capsys.readouterr()
    seen += [captured.out, captured.err, caplog.text]
    assert not [text for text in seen if CANARY in text]


def test_a_planted_secret_is_not_in_the_journal(monkeypatch, tmp_path, caplog):
    """The same canary through the whole machinery of jobs: the journal's files, the result, and what failing jobs say."""
    from flashket.qpu.jobs import submit
    from flashket.qpu.retry import Retry
    from flashket.qpu.spending import budget

    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("IONQ_API_KEY", CANARY)
    path = tmp_path / "journal" / "jobs.sqlite"
    path.parent.mkdir()
    seen: list[str] = []
    with IonQService(CANARY) as service, budget(usd=1000, qpu_seconds=1000):
        device = open_adapter("ionq:simulator", url=service.url)
        job = submit(Batch((FLIP, FLIP), (100, 100)), device, journal=path)
        result = job.result(timeout=30)
        assert result.counts == ({2: 100}, {2: 100})
        seen += [repr(result), repr(job.status()), repr(vars(job))]
        for code, error in ((400, JobError), (403, BackendUnavailable)):
            service.faults.append((code, {}, json.dumps({"message": f"Authorization: apiKey {CANARY}"})))
            with pytest.raises(error) as caught:
                submit(Batch((FLIP,), (code,)), device, journal=path, retry=Retry()).result(timeout=30)
            seen += [str(caught.value), "".join(traceback.format_exception(caught.value))]
    files = [file for file in path.parent.rglob("*") if file.is_file()]
    assert files
    seen += [caplog.text, *(file.read_bytes().decode("latin-1") for file in files)]
    assert not [text for text in seen if CANARY in text]
