# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Circuits of a batch share their qubits, and calibration reads bits where the others are read; mitigation end to end on a simulator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import flashket as fk
from flashket.noise.exact import many_probabilities
from flashket.noise.lower import lower
from flashket.qpu import Mitigation, ReadoutMitigation, compile_circuit, load_profile
from flashket.qpu.adapters import Batch, open_adapter
from flashket.qpu.estimators import ComputeUncompute, DestructiveSwapTest, LocalBloch, SwapTest
from flashket.qpu.together import compile_together, layout_of_bits

ROWS = np.random.default_rng(2).uniform(-0.3, 0.3, (5, 4))


def read_at(native: Any) -> list[int]:
    return [native.qubits[wire] for wire in native.measured]


@pytest.mark.parametrize("kind", [ComputeUncompute, SwapTest, DestructiveSwapTest])
@pytest.mark.parametrize("device", ["ibm_torino", "iqm_garnet", "quantinuum_h2-1"])
def test_calibration_reads_where_the_circuits_read(kind: Any, device: str) -> None:
    # Full entanglement and swap tests need routing on these devices, after which bits are elsewhere.
    work = Mitigation(ReadoutMitigation()).measurements(kind(fk.Fidelity(fk.ZZ(4, reps=1))), ROWS[:3])
    natives = compile_together(work.circuits, load_profile(device))
    assert len({tuple(read_at(native)) for native in natives}) == 1
    assert len({tuple(sorted(native.qubits)) for native in natives}) == 1
    given = natives[0].qubits
    assert compile_together(work.circuits, load_profile(device), layout=given)[0].qubits == given


def test_each_alone_may_be_elsewhere() -> None:
    # Why it is needed: a calibration circuit on its own has no gates that choose these qubits.
    work = Mitigation(ReadoutMitigation()).measurements(SwapTest(fk.Fidelity(fk.ZZ(4, reps=1))), ROWS[:2])
    profile = load_profile("ibm_torino")
    alone = [read_at(compile_circuit(circuit, profile)) for circuit in work.circuits]
    assert alone[0] != alone[-1]


def test_circuits_of_other_widths_and_bits() -> None:
    kernel = fk.Fidelity(fk.ZZ(3, reps=1))
    circuits = [
        work.circuits[0] for work in (ComputeUncompute(kernel).measurements(ROWS[:2, :3]), SwapTest(kernel).measurements(ROWS[:2, :3]))
    ]
    natives = compile_together(circuits, load_profile("ibm_torino"))
    assert [len(native.qubits) for native in natives] == [3, 7]
    assert compile_together([], load_profile("ibm_torino")) == []
    assert layout_of_bits((0,), (5, 6), (5, 6, 7)) == (5, 6, 7)
    assert layout_of_bits((2, 0), (5, 6), (5, 6, 7)) == (6, 7, 5)


@pytest.mark.parametrize("kind", [ComputeUncompute, DestructiveSwapTest, SwapTest])
def test_calibrated_mitigation_leaves_what_readout_without_errors_would(kind: Any) -> None:
    kernel = fk.Fidelity(fk.IQP(3, entanglement="linear"))
    work = Mitigation(ReadoutMitigation(method="tensored")).measurements(kind(kernel), ROWS[:3, :3])
    noisy = list(map(lower, compile_together(work.circuits, load_profile("ibm_torino"))))
    perfect = [replace(circuit, readout=np.zeros_like(circuit.readout)) for circuit in noisy]
    wanted = work.entries.estimate(as_counts(perfect)[:-2]).values
    raw = work.entries.estimate(as_counts(noisy)[:-2]).values
    found = work.estimate(as_counts(noisy)).values
    # The calibration circuit of ones has the noise of its own pulses.
    assert np.abs(found - wanted).max() < 1e-3 < 0.2 * np.abs(raw - wanted).max()
    # The simulated device's readout is what its calibration data say.
    native = compile_together(work.circuits, load_profile("ibm_torino"))[0]
    known = Mitigation(ReadoutMitigation.from_native(native, "tensored")).measurements(kind(kernel), ROWS[:3, :3])
    assert known.circuits == work.entries.circuits
    np.testing.assert_allclose(known.estimate(as_counts(noisy)[:-2]).values, wanted, atol=1e-9)


def as_counts(circuits: Any) -> list[dict[int, float]]:
    return [dict(enumerate((p * 1e6).tolist())) for p in many_probabilities(circuits)]


def test_mitigation_end_to_end() -> None:
    kernel = fk.Fidelity(fk.IQP(4, entanglement="linear"))
    exact, adapter = fk.gram(ROWS, kernel=kernel), open_adapter("sim:ibm_torino")
    errors = {}
    for name, mitigation in {
        "raw": Mitigation(),
        "readout": Mitigation(ReadoutMitigation()),
        "all": Mitigation(ReadoutMitigation(), rescale="split", psd="nearest"),
    }.items():
        work = mitigation.measurements(ComputeUncompute(kernel), ROWS)
        shots = work.shots(10_000, 50_000)
        job = adapter.submit(Batch(work.circuits, shots, 3), name)
        estimate = work.estimate(adapter.result(job).counts, shots)
        errors[name] = np.abs(estimate.values - exact)[np.triu_indices(5, 1)].mean()
        assert len(estimate.steps) == {"raw": 0, "readout": 1, "all": 3}[name]
    assert errors["raw"] > 1.3 * errors["readout"] > 2 * errors["all"]


def test_bloch_vectors_end_to_end() -> None:
    kernel = fk.Projected(fk.IQP(4, entanglement="linear"), gamma=0.5)
    exact, adapter = fk.gram(ROWS * 3, kernel=kernel), open_adapter("sim:ibm_torino")
    errors = []
    for mitigation in (Mitigation(), Mitigation(ReadoutMitigation())):
        work = mitigation.measurements(LocalBloch(kernel), ROWS * 3)
        job = adapter.submit(Batch(work.circuits, work.shots(20_000), 5), str(len(errors)))
        errors.append(np.abs(work.estimate(adapter.result(job).counts).values - exact).max())
    assert errors[1] < 0.7 * errors[0]


def test_a_profile_without_readout_errors_is_no_confusion() -> None:
    profile = load_profile("ibm_torino")
    circuit = ComputeUncompute(fk.Fidelity(fk.Angle(2))).measurements(ROWS[:2, :2]).circuits[0]
    native = compile_circuit(circuit, replace(profile, readout_p10=(float("nan"),) * profile.n_qubits))
    with pytest.raises(fk.InputError, match="readout errors of qubit"):
        ReadoutMitigation.from_native(native)
