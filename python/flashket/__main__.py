# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m flashket`` is the command ``flashket``."""

from __future__ import annotations

import sys

from flashket.cli import main

if __name__ == "__main__":
    sys.exit(main())
