# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Circuits from elsewhere: OpenQASM and Qiskit to a Program, and a Program to OpenQASM 3."""
