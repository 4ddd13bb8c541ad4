# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Adapters that need no provider's package, and what all of them share."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import time
from email.utils import formatdate

import numpy as np
import pytest

import flashket as fk
from flashket.errors import BackendUnavailable, InputError, JobError
from flashket.program import Gate, Linear, Program
from flashket.qpu import Batch, Limits, MeasuredCircuit, list_adapters, open_adapter, wrap
from flashket.qpu.adapters import TransientError
from flashket.qpu.adapters._asking import Unlisted, asked, before_sending, retry_after, sent, translated
from flashket.qpu.adapters._phased import Barrier, Entangling, Pulse, phased
from flashket.qpu.adapters._shared import check_batch, counts_of_bits, rewritten
from flashket.qpu.adapters.braket import openqasm
from flashket.qpu.adapters.sim import ideal_probabilities
from measured import FLIP, chi_square_is_fine, probabilities, random_circuit

SDKS = [
    "qiskit",
    "qiskit_aer",
    "qiskit_ibm_runtime",
    "braket",
    "boto3",
    "cirq",
    "cirq_google",
    "pytket",
    "pytket_pecos",
    "qnexus",
    "iqm",
    "pennylane",
    "keyring",
    "requests",
]


def test_import_loads_no_sdk():
    code = (
        f"import sys, flashket.qpu as q; q.list_adapters(); q.open_adapter('sim:ideal'); print([m for m in {SDKS!r} if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_list_names_every_provider_and_why_it_is_absent():
    rows = list_adapters()
    assert {row.pattern.partition(":")[0] for row in rows} == {
        *("sim", "aer", "ibm", "braket", "cirq", "quantinuum", "ionq", "iqm", "pennylane"),
    }
    assert all(row.available or row.reason for row in rows)
    assert all(row.available for row in rows if row.pattern.startswith("sim:"))
    assert all(not row.is_remote for row in rows if row.pattern.startswith(("sim:", "aer:")) or ":local" in row.pattern)


def test_ideal_probabilities_agree_with_the_oracle():
    for seed in range(6):
        for measured in (None, (1,), (2, 0)):
            circuit = random_circuit(seed, 4, measured)
            np.testing.assert_allclose(ideal_probabilities(circuit), probabilities(circuit), atol=1e-13)


def test_sim_draws_what_it_says():
    device = open_adapter("sim:ideal")
    batch = Batch((FLIP, random_circuit(1), random_circuit(2, 4, (3, 1))), (50, 20_000, 20_000), seed=7)
    result = device.result(device.submit(batch, "first"))
    assert result.counts[0] == {2: 50}
    assert all(chi_square_is_fine(result.counts[i], probabilities(batch.circuits[i])) for i in (1, 2))
    assert device.result(device.submit(batch, "second")).counts == result.counts
    assert device.find("first") == "local-first"
    assert device.find("third") is None
    assert device.estimate(batch).usd_worst == 0
    assert not device.is_remote
    with pytest.raises(JobError, match="submit the batch again"):
        open_adapter("sim:ideal").result("local-first")


def test_sim_of_a_profile_is_noisy_and_exact():
    from flashket.noise.exact import probabilities as noisy
    from flashket.noise.lower import lower
    from flashket.qpu import compile_circuit, load_profile

    device = open_adapter("sim:ibm_torino")
    circuit = random_circuit(3)
    batch = Batch((FLIP, circuit), (2_000, 20_000), seed=1)
    found = device.result(device.submit(batch, "token"))
    assert 1500 < found.counts[0][2] < 2000
    expected = noisy(lower(compile_circuit(circuit, load_profile("ibm_torino"))))
    assert chi_square_is_fine(found.counts[1], np.asarray(expected))
    assert not chi_square_is_fine(found.counts[1], probabilities(circuit))
    assert found.raw["profile"] == "ibm_torino"
    assert device.limits().n_qubits == 133


def test_sim_of_a_wide_circuit_runs_trajectories():
    """Beyond exact simulation: near to the Gram matrix by trajectories of half circuits, and below the exact value."""
    kernel = fk.Fidelity(fk.ZZ(13, reps=1, entanglement="linear", bandwidth=0.3))
    rows = np.random.default_rng(0).uniform(0, 0.3, (2, 13))
    found = fk.qpu.gram(rows, kernel=kernel, backend="sim:ibm_boston", shots=2000, seed=1)
    model = fk.NoiseModel.from_profile("ibm_boston", method="trajectories", trajectories=512)
    assert abs(found.values[0, 1] - fk.gram(rows, kernel=kernel, noise=model, seed=2)[0, 1]) < 0.08
    assert found.values[0, 1] < fk.gram(rows, kernel=kernel)[0, 1]


def test_names_that_are_not_there():
    for name in ("ideal", "sim:", "nowhere:device", "sim:ibm_nowhere", "ionq:forte"):
        with pytest.raises(InputError):
            open_adapter(name)
    with pytest.raises(InputError, match="options of sim"):
        open_adapter("sim:ideal", shots=3)
    with pytest.raises(InputError, match="Qiskit BackendV2"):
        wrap(object())
    device = open_adapter("sim:ideal")
    assert wrap(device) is device


@pytest.mark.parametrize(
    "name", ["aer:ideal", "ibm:ibm_torino", "braket:sv1", "cirq:local", "quantinuum:H2-1", "iqm:garnet", "pennylane:x"]
)
def test_without_the_package_the_error_names_it(name):
    # An interpreter that finds none of the packages, wherever this test runs.
    code = f"""
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {SDKS!r}: raise ModuleNotFoundError(f"No module named {{name!r}}")
sys.meta_path.insert(0, Nothing())
from flashket.qpu import open_adapter
from flashket.errors import BackendUnavailable
try: open_adapter({name!r})
except BackendUnavailable as error: print(error)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'flashket[" in found.stdout


def test_batches_beyond_the_limits_are_refused():
    limits = Limits(3, 100, 2, 150, True)
    check_batch(Batch((FLIP, FLIP), (75, 75)), limits, "here")
    wide = MeasuredCircuit((Program(4, 0, ()),), (0,))
    cases = [((wide,), (1,)), ((FLIP,), (101,)), ((FLIP,) * 3, (1,) * 3), ((FLIP, FLIP), (100, 100)), ((FLIP, FLIP), (1, 2))]
    for circuits, shots in [*cases, ((FLIP,), (0,)), ((FLIP,), (1.5,)), ((FLIP,), ()), ((), ())]:
        with pytest.raises(InputError, match=r"\[here\]"):
            check_batch(Batch(circuits, shots), limits, "here")


def test_counts_of_bits_takes_the_first_column_as_bit_0():
    assert counts_of_bits(np.array([[1, 0, 0], [1, 0, 0], [0, 1, 1]])) == {1: 2, 6: 1}


@pytest.mark.parametrize("allowed", [{"h", "rx", "ry", "rz", "cx"}, {"rx", "ry", "rz", "cz"}, {"h", "rx", "ry", "rz", "rzz"}])
def test_rewritten_gates_do_the_same(allowed):
    for seed in range(4):
        circuit = random_circuit(seed)
        parts = tuple(Program(3, 0, tuple(rewritten(part.gates, allowed))) for part in circuit.parts)
        assert {gate.name for part in parts for gate in part.gates} <= allowed
        np.testing.assert_allclose(probabilities(MeasuredCircuit(parts, circuit.measured)), probabilities(circuit), atol=1e-12)


@pytest.mark.parametrize(("two_qubit", "quarters"), [("cz", False), ("rzz", False), ("rzz", True)])
def test_phased_circuits_do_the_same(two_qubit, quarters):
    def constant(value):
        return (Linear(0.0, -1, float(value)),)

    for seed in range(5):
        circuit = random_circuit(seed)
        steps = phased(circuit.parts, two_qubit, quarters=quarters)
        gates = []
        for step in steps:
            if isinstance(step, Pulse):
                assert not quarters or min(abs(step.angle - np.pi), abs(step.angle - np.pi / 2)) < 1e-9
                around = [Gate("rz", (step.wire,), constant(sign * step.phase)) for sign in (-1, 1)]
                gates += [around[0], Gate("rx", (step.wire,), constant(step.angle)), around[1]]
            elif isinstance(step, Entangling):
                assert 0 < step.angle <= np.pi / 2 + 1e-12
                gates.append(Gate("cz", step.wires) if two_qubit == "cz" else Gate("rzz", step.wires, constant(step.angle)))
        again = MeasuredCircuit((Program(3, 0, tuple(gates)),), circuit.measured)
        np.testing.assert_allclose(probabilities(again), probabilities(circuit), atol=1e-12)
        assert sum(isinstance(step, Barrier) for step in steps) == 1


def test_parts_that_cancel_stay_apart():
    half = Program(2, 0, (Gate("h", (0,)), Gate("cx", (0, 1))))
    steps = phased((half, half.inverse()), "cz")
    assert [type(step) for step in steps].index(Barrier) > 0
    assert sum(isinstance(step, Entangling) for step in steps) == 2
    text = openqasm(MeasuredCircuit((half, half.inverse()), (0, 1)))
    assert text.index("cnot q[0], q[1];") < text.index("barrier q[0], q[1];") < text.rindex("cnot q[0], q[1];")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError("read"), TransientError),
        (ConnectionResetError("by peer"), TransientError),
        (type("ServiceUnavailable", (Exception,), {})("later"), TransientError),
        (type("Refused", (Exception,), {"status_code": 503})("x"), TransientError),
        (type("Refused", (Exception,), {"status_code": 429, "headers": {"retry-after": "3"}})("x"), TransientError),
        (type("Refused", (Exception,), {"status_code": 400})("too wide"), JobError),
        (ValueError("status code 502: Bad Gateway"), TransientError),
        (ValueError("429 Client Error: Too Many Requests for url"), TransientError),
        (ValueError("500 shots are too few"), JobError),
        (type("RateLimitError", (Exception,), {})("slower"), TransientError),
        (RuntimeError("Failed to run: HTTPSConnectionPool(host='x'): Max retries exceeded with url: /jobs"), TransientError),
        (ValueError("wrong circuit"), JobError),
    ],
)
def test_errors_of_sdks_become_ours(error, kind):
    found = translated("here", error)
    assert type(found) is kind
    assert "[here]" in str(found)
    if kind is TransientError and getattr(error, "headers", None):
        assert found.retry_after == 3.0


def test_retry_after_may_be_a_date():
    assert retry_after({"Retry-After": formatdate(time.time() + 100, usegmt=True)}) == pytest.approx(100, abs=3)
    assert retry_after({"Retry-After": "soon"}) is None


def test_no_exception_of_an_sdk_is_chained():
    def fails():
        raise ValueError("inner")

    with pytest.raises(JobError) as caught:
        asked("here", fails)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_unknown_devices_have_no_price():
    for name in ("ionq:qpu.warp-1",):
        cost = open_adapter(name).estimate(Batch((FLIP,), (10,)))
        assert cost.usd is None
        assert cost.usd_worst is None
        assert cost.notes
    priced = open_adapter("ionq:qpu.forte-1").estimate(Batch((FLIP,), (10,)))
    assert priced.usd_worst is not None
    with pytest.raises(BackendUnavailable, match="IONQ_API_KEY"):
        open_adapter("ionq:qpu.forte-1", url="https://nowhere.invalid").submit(Batch((FLIP,), (10,)), "token")


def test_jobs_of_one_number_of_shots():
    from flashket.qpu.splitting import split

    limits = Limits(3, max_shots=100, max_circuits=2, same_shots=True)
    parts = split([50, 100, 50, 250, 100], limits)
    assert sorted(piece for part in parts for piece in part) == [(0, 50), (1, 100), (2, 50), (3, 50), (3, 100), (3, 100), (4, 100)]
    for part in parts:
        assert len({shots for _, shots in part}) == 1
        assert len(part) <= 2


def test_a_failure_before_sending_leaves_no_doubt():
    def failing(error):
        raise error

    with pytest.raises(TransientError) as caught:
        before_sending(lambda: failing(TransientError("timed out", 3.0)))
    assert caught.value.refused and caught.value.retry_after == 3.0
    with pytest.raises(BackendUnavailable, match=r"expired.*nothing was sent"):
        before_sending(lambda: failing(JobError("the token has expired")))
    assert before_sending(lambda: 7) == 7


def named(name: str, *arguments: object, cause: BaseException | None = None, **attributes: object) -> Exception:
    """Return an exception of a package that is not here."""
    error: Exception = type(name, (Exception,), attributes)(*arguments)
    error.__cause__ = cause
    return error


RESET = ConnectionResetError(104, "Connection reset by peer")


@pytest.mark.parametrize(
    ("error", "is_sure"),
    [
        (ConnectionRefusedError(111, "Connection refused"), True),
        (socket.gaierror(-2, "Name or service not known"), True),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), True),
        (named("EndpointConnectionError", "Could not connect to the endpoint URL"), True),
        (named("ConnectTimeoutError", "Connect timeout on endpoint URL"), True),
        (named("ConnectError", "[Errno 111] Connection refused"), True),
        (named("RuntimeError", "lost", cause=ConnectionRefusedError(111, "x")), True),
        (named("ConnectionError", named("MaxRetryError", "m", reason=named("NewConnectionError", "n"))), True),
        (named("HTTPClientError", "failed", kwargs={"error": ConnectionRefusedError(111, "x")}), True),
        (named("ServiceUnavailable", "503 failed to connect to all addresses; last error: Connection refused", code=503), False),
        (TimeoutError("Reached max retry attempts for error: failed to connect to all addresses"), True),
        (TimeoutError("Reached max retry attempts for error: Socket closed"), False),
        (TimeoutError("Reached max retry attempts for error: Getting metadata from plugin failed with error: x"), True),
        (named("ServiceUnavailable", "Socket closed"), False),
        (RESET, False),
        (TimeoutError("timed out"), False),
        (named("ReadTimeout", "Read timed out."), False),
        (named("ConnectionClosedError", "Connection was closed before we received a valid response"), False),
        # The last attempt found nobody, but one before it may have been read.
        (named("ConnectionError", "refused", cause=named("NewConnectionError", "n", cause=RESET)), False),
        (named("ClientError", "x", response={"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}), True),
        (named("ClientError", "x", response={"Error": {"Code": "Throttling"}, "ResponseMetadata": {"RetryAttempts": 4}}), False),
        (named("ClientError", "x", response={"Error": {"Code": "InternalServiceException"}, "ResponseMetadata": {}}), False),
    ],
)
def test_what_surely_was_not_taken(error, is_sure):
    def fails():
        raise error

    with pytest.raises(TransientError) as caught:
        sent("here", fails)
    assert caught.value.refused == is_sure
    assert caught.value.__cause__ is None
    with pytest.raises(TransientError) as caught:
        sent("here", fails, is_one_request=False)
    assert not caught.value.refused


@pytest.mark.parametrize(
    "error",
    [
        named("NoCredentialsError", "Unable to locate credentials"),
        named("ClientError", "x", response={"Error": {"Code": "ExpiredTokenException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}),
        named("RequestsApiError", "401 Client Error", status_code=401),
        named("IBMNotAuthorizedError", "no"),
        named("EngineException", "no", code=403),
        named("RefreshError", "invalid_grant"),
    ],
)
def test_credentials_that_do_not_open_the_door(error):
    def fails():
        raise error

    with pytest.raises(BackendUnavailable, match="nothing was sent"):
        sent("here", fails)
    # Of several requests an earlier one may have been let in.
    with pytest.raises(JobError):
        sent("here", fails, is_one_request=False)


def test_objects_that_make_many_requests_leave_doubt():
    """A device that waits for its counts itself: an error at the end says nothing about the job."""

    def fails():
        raise ValueError("no such job")

    for is_one_request in (True, False):
        jobs = Unlisted("here", is_one_request=is_one_request)
        with pytest.raises(JobError, match="no such job"):
            jobs.send("token", fails)
        if is_one_request:
            assert jobs.find("token") is None
        else:
            with pytest.raises(JobError, match="looked up"):
                jobs.find("token")


def test_waits_that_are_no_numbers():
    assert retry_after({"Retry-After": "nan"}) is None
    assert retry_after({"Retry-After": "-5"}) == 0.0
