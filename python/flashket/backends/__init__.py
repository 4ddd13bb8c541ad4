# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Backends: what evaluates kernels. Each is listed, present or absent, with its reason."""
