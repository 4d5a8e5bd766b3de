"""Loops by lines against NumPy: sizes around one line, and around the four that are taken at a time."""

import numpy as np
import pytest

from manifoldflow.compiled.coefficients import add_combination, combine
from manifoldflow.compiled.elementwise import column_products, multiply_upper
from manifoldflow.compiled.lines import in_lines, rooms, square

SHAPES = [(1, 1), (2, 3), (5, 8), (4, 8), (3, 9), (7, 17), (20, 10)]


@pytest.mark.parametrize("shape", SHAPES)
def test_column_products(rng, shape):
    A, B, around = rng.normal(size=shape), rng.normal(size=shape), np.full(shape[1] + 8, 7.0)
    out = around[: shape[1]]
    column_products(A, B, out)
    np.testing.assert_allclose(out, (A * B).sum(axis=0), atol=1e-14)
    assert np.all(around[shape[1] :] == 7.0)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 16, 19])
def test_multiply_upper(rng, n):
    A, B = rng.normal(size=(2, n, n))
    wanted = np.triu(A * B)
    lines = in_lines(A)
    multiply_upper(A, B)
    np.testing.assert_array_equal(np.triu(A), wanted)
    multiply_upper(lines, B)
    np.testing.assert_array_equal(np.triu(square(lines)), wanted)
    assert np.all(lines[:, n:] == 0.0)


def test_rooms_begin_where_lines_of_the_cache_do():
    shapes = [(3,), (2, 5), (0, 4), (1, 2, 3)]
    for _ in range(20):
        arrays = rooms(*shapes)
        assert [array.shape for array in arrays] == shapes
        assert all(array.ctypes.data % 64 == 0 for array in arrays if array.size)
        for number, array in enumerate(arrays):
            array[...] = number
        assert [set(array.ravel()) for array in arrays] == [{0.0}, {1.0}, set(), {3.0}]  # none reaches into another


@pytest.mark.parametrize("count", [0, 1, 5, 12])
@pytest.mark.parametrize("shape", SHAPES)
def test_combinations(rng, shape, count):
    base, arrays, weights = rng.normal(size=shape), rng.normal(size=(count, *shape)), rng.normal(size=count)
    weights[1::3] = 0.0
    total = 0.3 * np.tensordot(weights, arrays, 1)
    out = np.full(shape, np.nan)
    add_combination(base, 0.3, weights, arrays, out)
    np.testing.assert_allclose(out, base + total, atol=1e-14)
    combine(0.3, weights, arrays, out)
    np.testing.assert_allclose(out, total, atol=1e-14)
    wanted = base + total
    add_combination(base, 0.3, weights, arrays, base)
    np.testing.assert_allclose(base, wanted, atol=1e-14)
