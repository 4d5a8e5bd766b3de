"""The gradient on several threads: the serial one's numbers, the same bits for any number of threads."""

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import manifoldflow as mf
from manifoldflow import parallel
from manifoldflow.errors import GeometryError, InputError


def serial(man, theta):
    """The same gradient through reduced coordinates, on one thread."""
    out = man.gradient_at(man.coordinates.reduce(theta))[1]
    return man.coordinates.expand(out)


@pytest.fixture(scope="module", params=["fixed", "trained", "more samples than dimensions"])
def large(request):
    n, d = (60, 20) if request.param.startswith("more") else (60, 90)
    data = mf.datasets.synthetic(n=n, d=d, rng=0)
    weights = "trained" if request.param == "trained" else None
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=2401, output_weights=weights), data.X, data.y)
    return man, man.random_point(rng=0)


def test_the_parallel_gradient_is_the_serial_one(large):
    man, theta = large
    assert man._parallel_gradient is not None
    wanted = serial(man, theta)
    assert np.abs(man.gradient(theta) - wanted).max() < 1e-12 * np.abs(wanted).max()


def test_the_bits_do_not_depend_on_threads(large, monkeypatch):
    man, theta = large
    wanted = man.gradient(theta)
    for workers in (1, 3, 16):
        with ThreadPoolExecutor(workers) as pool, threadpool_limits(limits=workers):
            monkeypatch.setattr(parallel, "_pool", lambda pool=pool: pool)
            np.testing.assert_array_equal(man.gradient(theta), wanted)


def test_calls_from_several_threads_do_not_mix(large):
    man, theta = large
    points = [man.retraction(theta, 0.01 * k * man.gradient(theta) / np.linalg.norm(man.gradient(theta)))
              for k in range(4)]  # fmt: skip
    wanted = [man.gradient(point) for point in points]
    with ThreadPoolExecutor(4) as pool:
        for found, gradient in zip(pool.map(man.gradient, points), wanted, strict=True):
            np.testing.assert_array_equal(found, gradient)


def test_near_stationarity_the_serial_method_takes_over(large):
    man, theta = large
    if man.mu == 0.0 or man.network.p:
        pytest.skip("needs the exact flattest point")
    flat = mf.flattest_point(man, theta).x
    np.testing.assert_array_equal(man._parallel_gradient(flat, np.empty_like(flat)) is None, True)
    assert np.linalg.norm(man.gradient(flat)) < 1e-9


def test_bad_points_are_refused_as_by_the_serial_method(large):
    man, theta = large
    with pytest.raises(GeometryError, match="not on the manifold"):
        man.gradient(1.1 * theta)
    broken = theta.copy()
    broken[3, 4] = np.nan
    with pytest.raises(InputError, match=r"index \(3, 4\)"):
        man.gradient(broken)


def _child(man, theta, queue):
    queue.put(man.gradient(theta))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_has_its_own_threads(large):
    man, theta = large
    wanted = man.gradient(theta)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_child, args=(man, theta, queue))
    child.start()
    found = queue.get(timeout=60)
    child.join(timeout=60)
    np.testing.assert_array_equal(found, wanted)


def test_small_problems_stay_on_one_thread():
    data = mf.datasets.synthetic(n=5, d=20, rng=0)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=10), data.X, data.y)
    assert man._parallel_gradient is None
    assert man.gradient(man.random_point(rng=0)).shape == (10, 20)
