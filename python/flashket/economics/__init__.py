# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Time and money: dated prices, and the models that use them."""

from flashket.economics.prices import Price, load_prices, price

__all__ = ["Price", "load_prices", "price"]
