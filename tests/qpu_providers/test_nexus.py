# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""qnexus itself, speaking to a server on a real socket that runs the circuits it is sent with pytket's emulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from flashket.errors import JobError
from flashket.qpu import Batch, open_adapter
from flashket.qpu.adapters import TransientError
from measured import FLIP, chi_square_is_fine, probabilities, random_circuit
from nexus_service import TOKEN, NexusService, nexus

pytestmark = pytest.mark.needs("qnexus", "pytket-quantinuum", "pytket-pecos")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[NexusService]:
    """A running server, and tokens where Nexus' own login puts them."""
    with nexus(monkeypatch, tmp_path) as running:
        yield running


def test_counts_of_what_the_server_ran(server):
    device = open_adapter("quantinuum:H2-1")
    circuits = (FLIP, random_circuit(1), random_circuit(2, 4, (3, 1)))
    job = device.submit(Batch(circuits, (100, 500, 400)), "token-1")
    assert device.status(job) == "done"
    assert device.find("token-1") == job
    assert device.find("token-2") is None
    result = device.result(job)
    assert result.counts[0] == {2: 100}
    for counts, circuit in zip(result.counts, circuits, strict=True):
        assert chi_square_is_fine(counts, probabilities(circuit))
    assert (result.queue_seconds, result.execution_seconds) == (4.0, 1.5)
    assert result.raw["hqc"] == [7.5, 7.5, 7.5]
    definition = server.stored["jobs"][job]["attributes"]["definition"]
    assert definition["backend_config"]["device_name"] == "H2-1"
    assert definition["backend_config"]["no_opt"]
    assert all(item["max_cost"] > 5 for item in definition["items"])
    assert any(TOKEN in cookie for cookie in server.cookies)
    assert TOKEN not in json.dumps(result.raw)
    assert len(server.stored["projects"]) == 1


def test_cancel_and_failure(server):
    device = open_adapter("quantinuum:H2-1")
    job = device.submit(Batch((FLIP,), (10,)), "token-1")
    device.cancel(job)
    assert device.status(job) == "cancelled"
    server.stored["jobs"][job]["attributes"]["status"] |= {"status": "ERROR", "message": "out of credits"}
    with pytest.raises(JobError, match="out of credits"):
        device.result(job)


@pytest.mark.parametrize(("status", "kind"), [(503, TransientError), (429, TransientError), (400, JobError)])
def test_refusals(server, status, kind):
    device = open_adapter("quantinuum:H2-1")
    server.faults.append((status, {"message": f"cookie {TOKEN} was refused"}))
    with pytest.raises(kind) as caught:
        device.submit(Batch((FLIP,), (10,)), "token-1")
    assert TOKEN not in str(caught.value)
