# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Angles that are polynomials of degree two in the features, kept as written so that no digit is lost."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from flashket.program import Linear

Factors: TypeAlias = tuple[Linear, ...]


class DegreeError(ValueError):
    """The expression is no polynomial of degree two in the features."""


@dataclass(frozen=True)
class Expression:
    """``offset + sum_i scale_i x_i + sum of products (a x_i + b)(c x_j + d)``.

    Parameters
    ----------
    offset : float
        The constant.
    scales : tuple of (int, float)
        Features, in ascending order, and what multiplies them; never zero.
    products : tuple of (Linear, Linear)
        Products that stay factored: expanding 2 (pi - x)(pi - y) would round four times.

    Examples
    --------
    >>> x, y = Expression.feature(0), Expression.feature(1)
    >>> (x * 2.0 + 1.0).gate_angles()
    [(Linear(scale=2.0, feature=0, offset=1.0),)]
    >>> len((x * y).gate_angles()[0]), len((x + y).gate_angles())
    (2, 2)
    """

    offset: float = 0.0
    scales: tuple[tuple[int, float], ...] = ()
    products: tuple[tuple[Linear, Linear], ...] = ()

    @classmethod
    def feature(cls, index: int) -> Expression:
        """Return ``x_index``."""
        return cls(0.0, ((index, 1.0),))

    @classmethod
    def polynomial(cls, offset: float, linear: Mapping[int, float], quadratic: Mapping[tuple[int, int], float]) -> Expression:
        """Return the expression with these coefficients; a key of ``quadratic`` is a pair of features."""
        scales = tuple((feature, scale) for feature, scale in sorted(linear.items()) if scale != 0)
        products = tuple((Linear(scale, i), Linear(1.0, j)) for (i, j), scale in sorted(quadratic.items()) if scale != 0)
        return cls(offset, scales, products)

    @property
    def is_constant(self) -> bool:
        """Whether no feature is in it."""
        return not self.scales and not self.products

    def __add__(self, other: Expression | float) -> Expression:
        right = _expression(other)
        sums = dict(self.scales)
        for feature, scale in right.scales:
            sums[feature] = sums.get(feature, 0.0) + scale
        scales = tuple((feature, scale) for feature, scale in sorted(sums.items()) if scale != 0)
        return Expression(self.offset + right.offset, scales, self.products + right.products)

    def __neg__(self) -> Expression:
        return self._scaled(-1.0)

    def __sub__(self, other: Expression | float) -> Expression:
        return self + -_expression(other)

    def __mul__(self, other: Expression | float) -> Expression:
        right = _expression(other)
        if right.is_constant:
            return self._scaled(right.offset)
        if self.is_constant:
            return right._scaled(self.offset)
        if self.products or right.products:
            raise DegreeError("a product of more than two factors with features")
        if len(self.scales) == len(right.scales) == 1:
            return Expression(products=((self._factor(), right._factor()),))
        expanded = Expression(self.offset * right.offset)
        expanded += Expression(scales=self.scales)._scaled(right.offset) + Expression(scales=right.scales)._scaled(self.offset)
        products = tuple((Linear(a, i), Linear(b, j)) for i, a in self.scales for j, b in right.scales)
        return expanded + Expression(products=products)

    def _scaled(self, factor: float) -> Expression:
        if factor == 0:
            return Expression()
        scales = tuple((feature, scale * factor) for feature, scale in self.scales)
        products = tuple((Linear(left.scale * factor, left.feature, left.offset * factor), right) for left, right in self.products)
        return Expression(self.offset * factor, scales, products)

    def _factor(self) -> Linear:
        ((feature, scale),) = self.scales
        return Linear(scale, feature, self.offset)

    def gate_angles(self) -> list[Factors]:
        """Return angles of one or two factors whose sum is this.

        Every gate of a Program is ``exp(-i t G)`` (or has a diagonal of that form), so one gate with a sum as its angle is a gate
        for each term.

        Returns
        -------
        list of tuple of Linear
            One entry where one gate can hold the angle.
        """
        if not self.products:
            return self._affine_angles()
        if len(self.products) == 1 and not self.scales and self.offset == 0:
            return list(self.products)
        return self._expanded_angles()

    def _affine_angles(self) -> list[Factors]:
        if not self.scales:
            return [(Linear(0.0, -1, self.offset),)]
        (first, scale), *others = self.scales
        return [(Linear(scale, first, self.offset),), *((Linear(other, feature),) for feature, other in others)]

    def _expanded_angles(self) -> list[Factors]:
        linear, offset = dict(self.scales), self.offset
        quadratic: dict[tuple[int, int], float] = {}
        for left, right in self.products:
            i, j = sorted((left.feature, right.feature))
            quadratic[i, j] = quadratic.get((i, j), 0.0) + left.scale * right.scale
            for feature, scale in ((left.feature, left.scale * right.offset), (right.feature, right.scale * left.offset)):
                linear[feature] = linear.get(feature, 0.0) + scale
            offset += left.offset * right.offset
        quadratic = {pair: scale for pair, scale in quadratic.items() if scale != 0}
        if len(quadratic) == 1:
            (((i, j), scale),) = quadratic.items()
            factored = _factored(i, j, scale, linear, offset)
            if factored is not None:
                return [factored]
        angles: list[Factors] = []
        for (i, j), scale in sorted(quadratic.items()):
            # a x_i x_j + b x_i is the product x_i (a x_j + b).
            angles.append((Linear(1.0, i), Linear(scale, j, linear.pop(i, 0.0))))
        rest = Expression.polynomial(offset, linear, {})
        return angles if rest == Expression() else angles + rest._affine_angles()


def _expression(value: Expression | float) -> Expression:
    return value if isinstance(value, Expression) else Expression(float(value))


def _factored(i: int, j: int, scale: float, linear: Mapping[int, float], offset: float) -> Factors | None:
    """Return the two factors of ``a x_i x_j + b x_i + c x_j + d`` where that is a product to within rounding."""
    if i == j or any(value != 0 and feature not in (i, j) for feature, value in linear.items()):
        return None
    b, c = linear.get(i, 0.0), linear.get(j, 0.0)
    shift = b / scale
    # Coefficients below the smallest normal number have lost digits: what that changes of the angle is nothing.
    lost = sys.float_info.min * (1 + abs(shift) + abs(c / scale))
    if not abs(offset - shift * c) <= 4 * sys.float_info.epsilon * abs(shift * c) + lost < math.inf:
        return None
    return Linear(scale, i, c), Linear(1.0, j, shift)
