# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""fk.gram over every provider's own simulator that is installed here: the same matrix as the exact one, to the shots."""

from __future__ import annotations

import numpy as np
import pytest

import flashket as fk
from flashket.qpu import kernel_jobs
from flashket.qpu.adapters import list_adapters

NAMES = {
    "aer:ideal": "aer:ideal",
    "braket:local": "braket:local",
    "cirq:local": "cirq:local",
    "pennylane:<device>": "pennylane:default.qubit",
}
HERE = [NAMES[row.pattern] for row in list_adapters(credentials=False) if row.available and row.pattern in NAMES]
ROWS = np.random.default_rng(8).uniform(-1, 1, (4, 3))


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("kernel", [fk.Fidelity(fk.ZZ(3, reps=1)), fk.HadamardTest(fk.Amplitude(3)), fk.Projected(fk.IQP(3))], ids=repr)
@pytest.mark.filterwarnings("default")
def test_gram(name, kernel):
    found = kernel_jobs.gram(ROWS, kernel=kernel, backend=name, shots=3000, seed=11)
    exact = fk.gram(ROWS, kernel=kernel)
    measured = found.standard_errors > 0
    assert measured.any() and (np.abs(found.values - exact)[measured] < 6 * found.standard_errors[measured]).all()


def test_noise_of_a_named_device_lowers_fidelities():
    if "aer:ideal" not in HERE:
        pytest.skip("no qiskit-aer")
    kernel = fk.Fidelity(fk.ZZ(3, reps=2))
    own, theirs = (
        kernel_jobs.gram(ROWS, kernel=kernel, backend=f"{each}:ibm_torino", shots=4000, seed=2, diagonal=True) for each in ("sim", "aer")
    )
    errors = np.hypot(own.standard_errors, theirs.standard_errors)
    assert (np.abs(own.values - theirs.values) < 6 * errors).all()
    assert own.values.diagonal().max() < 1 and theirs.values.diagonal().max() < 1
