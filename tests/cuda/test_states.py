# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""States of every map on the device, against the oracle."""

from __future__ import annotations

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, any_circuit, feature_maps, rows, tolerance
from device_contract import LIBRARIES, host
from flashket import reference


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("feature_map", [*feature_maps(1), *feature_maps(3), *feature_maps(7)], ids=repr)
def test_states(device, feature_map, dtype):
    x = rows(5, feature_map.n_features, dtype)
    got = fk.states(x, feature_map=feature_map, backend="cuda")
    assert got.dtype == (np.complex64 if dtype == np.float32 else np.complex128)
    np.testing.assert_allclose(got, reference.states(x, feature_map), atol=tolerance("value", dtype), rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("feature_map", [fk.IQP(11, reps=2), fk.HardwareEfficient(12), any_circuit(9)], ids=["IQP", "HE", "every gate"])
def test_wider_states(device, feature_map, dtype):
    x = rows(2, feature_map.n_features, dtype)
    got = fk.states(x, feature_map=feature_map, backend="cuda")
    np.testing.assert_allclose(got, reference.states(x, feature_map), atol=tolerance("value", dtype), rtol=0)


@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries(device, library):
    x = device.array(library, rows(3, 4, np.float32))
    got = fk.states(x, feature_map=fk.ZZ(4), backend="cuda")
    assert type(got) is type(x) and "complex64" in str(got.dtype)
    np.testing.assert_allclose(host(got), reference.states(rows(3, 4, np.float32), fk.ZZ(4)), atol=2e-6)
