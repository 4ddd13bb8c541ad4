# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What ``flashket bench`` runs: suites as data, texts, metrics, statistics, an append-only store, and one table.

A run is a list of cells. A cell is one row's quality on one text, one row's latency, or one text's compressors; it has one
hash, one kind (measured or simulated) and one line in ``results.jsonl``.
"""
