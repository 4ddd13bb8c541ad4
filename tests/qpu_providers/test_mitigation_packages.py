# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Mitigation by mthree and mitiq: the same numbers as FlashKet's own code. Each test runs where its package is."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

import flashket as fk
from flashket.qpu.estimators import ComputeUncompute, DestructiveSwapTest
from flashket.qpu.mitigation import Estimated, Mitigation, ReadoutMitigation, ZeroNoise, readout
from sampling import ideal_probabilities, sample


def _package(name: str) -> Any:
    """Import a package or skip; a broken installation counts as none."""
    try:
        return import_module(name)
    except (ImportError, OSError) as error:
        pytest.skip(f"no {name}, or not a whole one: {error}")


def _confusion(n: int, rng: np.random.Generator) -> np.ndarray:
    p10, p01 = rng.uniform(0, 0.1, (2, n))
    return np.moveaxis(np.array([[1 - p10, p01], [p10, 1 - p01]]), 2, 0)


@pytest.mark.parametrize("n_bits", [3, 12])
def test_mthree_corrects_what_own_code_corrects(n_bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _package("mthree")
    rng = np.random.default_rng(n_bits)
    matrices = _confusion(n_bits, rng)
    counts = sample(rng.dirichlet(np.full(2**n_bits, 0.05)), 3000, rng)
    monkeypatch.setattr(readout, "_DENSE_BITS", 0)
    theirs, ours = (ReadoutMitigation(matrices, method).correct(counts) for method in ("mthree", "tensored"))
    assert theirs.keys() == ours.keys()
    np.testing.assert_allclose([theirs[z] for z in ours], list(ours.values()), atol=0.05)


def test_auto_takes_mthree_and_the_pipeline_works_with_it() -> None:
    _package("mthree")
    assert readout._mthree("auto") is not None
    rng, kernel = np.random.default_rng(0), fk.Fidelity(fk.IQP(4, bandwidth=0.6))
    rows = rng.uniform(-1, 1, (5, 4))
    work = Mitigation(ReadoutMitigation()).measurements(ComputeUncompute(kernel), rows)
    whole = np.ones((1, 1))
    for matrix in _confusion(4, rng):
        whole = np.kron(matrix, whole)
    shots = work.shots(4000, 20000)
    counts = [sample(whole @ ideal_probabilities(circuit), count, rng) for circuit, count in zip(work.circuits, shots, strict=True)]
    estimate = work.estimate(counts, shots)
    error = np.abs(estimate.values - fk.gram(rows, kernel=kernel))[np.triu_indices(5, 1)]
    assert error.max() < 0.04
    assert estimate.steps[0].mean_change > 2 * error.mean()


@pytest.mark.parametrize("factory", ["richardson", "linear", "exponential"])
def test_mitiq_extrapolates_to_the_same(factory: str) -> None:
    _package("mitiq.zne.inference")
    rng = np.random.default_rng(1)
    scales = (1.0, 2.0, 3.0, 5.0)
    points = [Estimated(0.2 + 0.7 * np.exp(-0.3 * s) + rng.normal(0, 0.005, (3, 4)), np.full((3, 4), 0.005)) for s in scales]
    theirs, ours = (ZeroNoise(scales, factory, engine).extrapolate(points, floor=0.2) for engine in ("mitiq", "own"))
    np.testing.assert_allclose(theirs.values, ours.values, atol=1e-9)
    np.testing.assert_allclose(theirs.errors, ours.errors, rtol=1e-9)


def test_mitiqs_own_factories_agree() -> None:
    inference = _package("mitiq.zne.inference")
    scales, values = (1.0, 3.0, 5.0), [0.71, 0.52, 0.41]
    points = [Estimated(np.array([value]), np.array([0.001])) for value in values]
    for factory, found in (
        ("richardson", inference.RichardsonFactory.extrapolate(scales, values)),
        ("linear", inference.LinearFactory.extrapolate(scales, values)),
        ("exponential", inference.ExpFactory.extrapolate(scales, values, asymptote=0.125)),
    ):
        own = ZeroNoise(scales, factory, "own").extrapolate(points, floor=0.125).values[0]
        # mitiq weights an exponential's points by their height, own code by what their logarithms are worth alone.
        assert abs(own - found) < (0.02 if factory == "exponential" else 1e-9), factory


def test_qiskit_reads_calibration_where_it_reads_the_circuits() -> None:
    fake = _package("qiskit_ibm_runtime.fake_provider")
    from flashket.qpu.adapters._qiskit import quantum_circuit
    from flashket.qpu.adapters.ibm import compiled

    kernel = fk.Fidelity(fk.ZZ(4, reps=1))
    work = Mitigation(ReadoutMitigation()).measurements(DestructiveSwapTest(kernel), np.random.default_rng(0).uniform(-1, 1, (3, 4)))
    made = compiled(map(quantum_circuit, work.circuits), fake.FakeGuadalupeV2())
    read_at = []
    for circuit in made:
        reads = [instruction for instruction in circuit.data if instruction.operation.name == "measure"]
        read_at.append({circuit.find_bit(one.clbits[0]).index: circuit.find_bit(one.qubits[0]).index for one in reads})
    assert len(read_at[0]) == 8
    # Routing may differ between pairs of rows; the calibration is for the first.
    assert read_at[-1] == read_at[-2] == read_at[0]
