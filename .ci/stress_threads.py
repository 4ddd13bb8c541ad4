# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that runs on the pool, from several Python threads at once: what the thread sanitizer watches."""

import threading

import numpy as np

import flashket as fk

rng = np.random.default_rng(0)
x = rng.uniform(0.1, 3, (300, 6)).astype(np.float32)
q, k, v = rng.normal(size=(3, 2, 4, 70, 6)).astype(np.float32)
failures: list[str] = []


def work() -> None:
    """Repeat every operation; its result must never change."""
    for feature_map in (fk.Angle(6), fk.Amplitude(6), fk.IQP(6)):
        kernel = fk.Fidelity(feature_map)
        for shots in (None, 50):
            grams = [fk.gram(x, kernel=kernel, shots=shots, seed=1) for _ in range(3)]
            outs = [fk.attention(q, k, v, kernel=kernel, causal=True, shots=shots, seed=1) for _ in range(3)]
            for results in (grams, outs):
                if not all(np.array_equal(results[0], result) for result in results):
                    failures.append(f"{kernel} with shots={shots} is not repeatable")
    kernel = fk.Fidelity(fk.ZZ(6, reps=1, entanglement="linear"))
    for method in ("exact", "trajectories", "effective"):
        noise = fk.NoiseModel.from_profile("ibm_torino", method=method, trajectories=32)
        noisy = [fk.gram(x[:20], kernel=kernel, noise=noise, shots=50, seed=1) for _ in range(2)]
        if not np.array_equal(*noisy):
            failures.append(f"{kernel} with {noise} is not repeatable")


workers = [threading.Thread(target=work) for _ in range(3)]
for worker in workers:
    worker.start()
for n_threads in (1, 4, 2, 3):
    fk.set_num_threads(n_threads)
    fk.gram(x, x[:50], kernel=fk.HadamardTest(fk.ZZ(6)))
for worker in workers:
    worker.join()
if failures:
    raise SystemExit("\n".join(failures))
print(f"[stress] {len(workers)} Python threads, pool of 1 to 4: every result repeated")
