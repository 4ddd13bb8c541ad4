# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""IonQ's adapter against a server on a real socket that runs what it is sent."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator

import pytest

from doorway import FAULTS, Doorway
from flashket.errors import BackendUnavailable, InputError, JobError
from flashket.program import Gate, Program
from flashket.qpu import Batch, MeasuredCircuit, open_adapter
from flashket.qpu.adapters import TransientError
from ionq_service import IonQService
from measured import FLIP, chi_square_is_fine, probabilities, random_circuit

KEY = "ionq-canary-7f3a91c2d4"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[IonQService]:
    """A service that knows KEY, which is in the environment."""
    monkeypatch.setenv("IONQ_API_KEY", KEY)
    monkeypatch.delenv("IONQ_API_URL", raising=False)
    with IonQService(KEY) as running:
        yield running


@pytest.mark.parametrize("target", ["simulator", "qpu.forte-1"])
def test_counts_of_what_the_service_ran(service, target):
    device = open_adapter(f"ionq:{target}", url=service.url)
    circuits = (FLIP, random_circuit(1), random_circuit(2, 4, (3, 0)))
    job = device.submit(Batch(circuits, (20_000,) * 3), "token-1")
    assert device.status(job) == "done"
    result = device.result(job)
    assert result.counts[0] == {2: 20_000}
    for counts, circuit in zip(result.counts, circuits, strict=True):
        assert sum(counts.values()) == 20_000
        assert chi_square_is_fine(counts, probabilities(circuit))
    assert device.result(job).counts == result.counts
    assert result.qpu_seconds == pytest.approx(5.2e-3)
    assert result.queue_seconds == pytest.approx(4.56)
    assert result.execution_seconds == pytest.approx(4.2)
    assert result.usd == (0.0 if target == "simulator" else 1.25)


def test_one_circuit_is_a_job_of_its_own_kind(service):
    device = open_adapter("ionq:simulator", url=service.url)
    result = device.result(device.submit(Batch((FLIP,), (100,), seed=3), "token"))
    assert result.counts == ({2: 100},)
    assert service.requests[0][2]["type"] == "ionq.circuit.v1"
    assert service.requests[0][2]["noise"]["model"] == "ideal"


def test_qpus_get_native_gates_and_nothing_cancels(service):
    half = Program(2, 0, (Gate("h", (0,)), Gate("cx", (0, 1))))
    device = open_adapter("ionq:qpu.forte-1", url=service.url)
    device.submit(Batch((MeasuredCircuit((half, half.inverse()), (0, 1)),), (100,)), "token")
    given = service.requests[0][2]["input"]
    assert given["gateset"] == "native"
    assert {gate["gate"] for gate in given["circuit"]} <= {"gpi", "gpi2", "zz"}
    entangling = [gate for gate in given["circuit"] if gate["gate"] == "zz"]
    assert len(entangling) == 2
    assert all(0 < gate["angle"] <= 0.25 for gate in entangling)


def test_jobs_are_found_by_their_token_on_every_page(service):
    device = open_adapter("ionq:simulator", url=service.url)
    jobs = {token: device.submit(Batch((FLIP,), (10,)), token) for token in ("a1", "b2", "c3", "d4", "e5")}
    assert {token: device.find(token) for token in jobs} == jobs
    assert device.find("f6") is None


def test_cancel(service):
    device = open_adapter("ionq:simulator", url=service.url)
    job = device.submit(Batch((FLIP,), (10,)), "token")
    device.cancel(job)
    assert device.status(job) == "cancelled"
    with pytest.raises(JobError, match="canceled"):
        device.result(job)


@pytest.mark.parametrize(
    ("status", "kind", "wait"),
    [
        (429, TransientError, 7.0),
        (503, TransientError, None),
        (500, TransientError, None),
        (400, JobError, None),
        (403, BackendUnavailable, None),
    ],
)
def test_what_the_service_refuses(service, status, kind, wait):
    device = open_adapter("ionq:simulator", url=service.url)
    service.faults.append((status, {"Retry-After": "7"} if wait else {}, json.dumps({"message": f"Authorization: apiKey {KEY}"})))
    with pytest.raises(kind) as caught:
        device.submit(Batch((FLIP,), (10,)), "token")
    assert str(status) in str(caught.value)
    assert KEY not in str(caught.value)
    assert caught.value.__context__ is None
    if kind is TransientError:
        assert caught.value.retry_after == wait
        assert caught.value.refused == (status == 429)


def test_a_wrong_key_is_no_transient_error(service, monkeypatch):
    monkeypatch.setenv("IONQ_API_KEY", "wrong-key-0000")
    with pytest.raises(BackendUnavailable, match="check the API key") as caught:
        open_adapter("ionq:simulator", url=service.url).submit(Batch((FLIP,), (10,)), "token")
    assert "wrong-key-0000" not in str(caught.value)


def test_a_service_that_is_gone_is_a_transient_error(service):
    device = open_adapter("ionq:simulator", url="http://127.0.0.1:9/v0.4", timeout=2)
    with pytest.raises(TransientError) as caught:
        device.submit(Batch((FLIP,), (10,)), "token")
    assert caught.value.refused


@pytest.mark.parametrize("fault", FAULTS)
def test_connections_that_fail(service, fault):
    """Only what surely was not taken is called so."""
    parts = urllib.parse.urlsplit(service.url)
    door = Doorway(parts.port or 80, fault, 0)
    device = open_adapter("ionq:simulator", url=f"http://127.0.0.1:{door.port}{parts.path}", timeout=5)
    kind = {401: BackendUnavailable, 403: BackendUnavailable, 400: JobError}.get(fault, TransientError)
    with pytest.raises((TransientError, BackendUnavailable, JobError)) as caught:
        device.submit(Batch((FLIP,), (10,)), "token")
    assert isinstance(caught.value, kind)
    assert len(service.requests) == (fault == "read")
    if kind is TransientError:
        assert caught.value.refused == (fault in ("gone", 429))
        assert caught.value.retry_after == (7.0 if isinstance(fault, int) else None)


def test_a_door_that_speaks_no_tls_was_never_opened(service):
    url = service.url.replace("http://", "https://")
    with pytest.raises(TransientError) as caught:
        open_adapter("ionq:simulator", url=url, timeout=5).submit(Batch((FLIP,), (10,)), "token")
    assert caught.value.refused
    assert service.requests == []


def test_without_a_key_nothing_is_sent(service, monkeypatch):
    monkeypatch.delenv("IONQ_API_KEY")
    monkeypatch.delenv("IONQ_API_TOKEN", raising=False)
    with pytest.raises(BackendUnavailable, match="IONQ_API_KEY"):
        open_adapter("ionq:simulator", url=service.url).submit(Batch((FLIP,), (10,)), "token")
    assert service.requests == []


def test_a_key_is_never_sent_in_clear():
    with pytest.raises(InputError, match="https"):
        open_adapter("ionq:simulator", url="http://example.org/v0.4")


def test_limits_of_a_job(service):
    device = open_adapter("ionq:simulator", url=service.url)
    with pytest.raises(InputError, match="same shots"):
        device.submit(Batch((FLIP, FLIP), (10, 20)), "token")
    many = MeasuredCircuit((Program(2, 0, (Gate("cx", (0, 1)), Gate("h", (0,))) * 40_000),), (0,))
    with pytest.raises(InputError, match="150,000"):
        device.submit(Batch((many, many), (10, 10)), "token")
    assert service.requests == []


def test_requests_hold_no_key(service):
    device = open_adapter("ionq:simulator", url=service.url)
    device.result(device.submit(Batch((FLIP, FLIP), (10, 10)), "token"))
    assert KEY not in json.dumps(service.requests)
