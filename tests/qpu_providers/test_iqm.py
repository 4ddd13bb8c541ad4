# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""iqm-client itself, speaking to a server on a real socket that runs the circuits it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from flashket.errors import BackendUnavailable, InputError, JobError
from flashket.qpu import Batch, open_adapter
from flashket.qpu.adapters import TransientError
from iqm_service import IQMService
from measured import FLIP, chi_square_is_fine, probabilities, random_circuit

pytestmark = pytest.mark.needs("iqm-client")

TOKEN = "iqm-canary-55aa-7731"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[IQMService]:
    """A running server, and a token in the environment."""
    monkeypatch.setenv("IQM_TOKEN", TOKEN)
    running = IQMService()
    yield running
    running.http.shutdown()
    running.http.server_close()


def test_counts_of_what_the_server_ran(server):
    device = open_adapter(f"iqm:{server.url}", computer="garnet")
    circuits = (FLIP, random_circuit(1), random_circuit(2, 4, (3, 1)))
    job = device.submit(Batch(circuits, (4_000,) * 3), "token-1")
    assert device.status(job) == "done"
    result = device.result(job)
    assert result.counts[0] == {2: 4_000}
    for counts, circuit in zip(result.counts, circuits, strict=True):
        assert chi_square_is_fine(counts, probabilities(circuit))
    assert (result.queue_seconds, result.execution_seconds) == (5.0, 2.5)
    assert server.authorizations == {f"Bearer {TOKEN}"}
    assert TOKEN not in json.dumps(result.raw)
    definition = server.jobs[job]["definition"]
    assert [circuit.metadata["flashket_token"] for circuit in definition.circuits] == ["token-1"] * 3
    assert device.find("token-1") == job
    with pytest.raises(JobError, match="looked up"):
        open_adapter(f"iqm:{server.url}", computer="garnet").find("token-1")


def test_cancel_and_failure(server):
    device = open_adapter(f"iqm:{server.url}", computer="garnet")
    job = device.submit(Batch((FLIP,), (10,)), "token-1")
    device.cancel(job)
    assert device.status(job) == "cancelled"
    server.jobs[job]["data"] |= {"status": "failed", "errors": [{"error_code": "bad", "message": "no calibration", "source": "x"}]}
    with pytest.raises(JobError, match="no calibration"), pytest.warns(UserWarning):
        device.result(job)


@pytest.mark.parametrize(("status", "kind"), [(503, TransientError), (429, TransientError), (400, JobError), (401, BackendUnavailable)])
def test_refusals(server, status, kind):
    device = open_adapter(f"iqm:{server.url}", computer="garnet")
    server.faults.append((status, {"message": f"Bearer {TOKEN} was refused", "error_code": "x"}))
    with pytest.raises(kind) as caught:
        device.submit(Batch((FLIP,), (10,)), "token-1")
    assert TOKEN not in str(caught.value)
    if kind is JobError:
        assert device.find("token-1") is None


@pytest.mark.parametrize(
    "address", ["https://joe:hunter2@iqm.example.org", "http://joe:hunter2@iqm.example.org", "https://iqm.example.org?key=hunter2"]
)
def test_an_address_does_not_hold_credentials(address):
    with pytest.raises(InputError, match="IQM_TOKEN") as caught:
        open_adapter(f"iqm:{address}")
    assert "hunter2" not in str(caught.value)
