# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Providers, one file each; a file is imported when its backend is asked for."""
