# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Add up JUnit files; fail on a failed test, an empty run or a skip whose reason is not in allowed-skips.txt."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree


def main(paths: list[str]) -> int:
    """Print "N passed, M failed, K skipped" and every refused reason; return the exit code."""
    rules = [line for line in Path(__file__).with_name("allowed-skips.txt").read_text().splitlines() if line and not line.startswith("#")]
    passed = failed = 0
    skipped: Counter[str] = Counter()
    for path in paths:
        cases = list(ElementTree.parse(path).iter("testcase"))
        if not cases:
            print(f"[ci] {path} holds no test")
            failed += 1
        for case in cases:
            skip = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
            elif skip is not None:
                skipped[(skip.get("message") or "no reason").removeprefix("Skipped: ")] += 1
            else:
                passed += 1
    refused = {reason: count for reason, count in skipped.items() if not any(re.search(rule, reason) for rule in rules)}
    for reason, count in refused.items():
        print(f"[ci] {count} skipped for a reason that .ci/allowed-skips.txt does not list: {reason}")
    print(f"{passed} passed, {failed + len(refused)} failed, {skipped.total()} skipped")
    return 1 if failed or refused or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
