# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Noise of named devices: exact density matrices, trajectories, and the effective model that attention applies per score."""
