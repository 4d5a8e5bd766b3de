"""Every public object through pickle, copy and deepcopy, through a spawned process, and through joblib."""

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import joblib
import numpy as np
import pytest

import manifoldflow as mf
from tests.robustness import objects as made

NAMES = sorted(made.objects())
WAYS = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "oldest pickle": lambda value: pickle.loads(pickle.dumps(value, protocol=2)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def test_there_is_an_object_of_every_public_type():
    kinds = {type(value) for value in made.objects().values()}
    missing = {kind for kind in made.public_types() - made.PASSING if not any(issubclass(k, kind) for k in kinds)}
    assert {kind.__name__ for kind in missing} == {"Certificate", "Check", "Enclosure"}  # within the others


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_a_copy_is_and_does_the_same(name, way):
    value = made.objects()[name]
    again = WAYS[way](value)
    assert type(again) is type(value)
    assert made.fingerprint(again) == made.fingerprint(value)
    assert made.read_only(again) == made.read_only(value)


def test_the_fingerprint_sees_a_changed_bit():
    value = made.objects()["explicit flow"]
    changed = copy.deepcopy(value)
    changed.path.segments[0].W.flags.writeable = True
    changed.path.segments[0].W[0, 0, 0] *= 1.0 + 1e-15
    assert made.fingerprint(changed) != made.fingerprint(value)
    assert made.fingerprint(mf.LabelNoise(std=0.5)) != made.fingerprint(mf.LabelNoise(std=0.25))
    assert made.fingerprint(made.objects()["manifold"]) != made.fingerprint(made.objects()["reduced manifold"])


def test_shallow_copies_share_and_deep_ones_do_not():
    value = made.objects()["explicit flow"]
    assert copy.copy(value).W is value.W
    assert copy.deepcopy(value).W is not value.W


def test_a_spawned_process_finds_the_same():
    values = list(made.objects().values())
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(made.fingerprint, values, chunksize=len(values))) == [made.fingerprint(v) for v in values]


def solved(man, seed):
    theta = man.random_point(rng=seed)
    flow = mf.sharpness_flow(man, theta, (0.0, 0.05), rtol=1e-6)
    return flow, mf.flattest_point(man, theta).fun, man.gradient(theta)


def test_joblib_works_over_manifolds():
    data = mf.datasets.synthetic(n=3, d=6, rng=0)
    manifolds = [mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=m), data.X, data.y) for m in (3, 4)]
    tasks = [(man, seed) for man in manifolds for seed in (0, 1)]
    found = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(solved)(*task) for task in tasks)
    for (flow, fun, gradient), task in zip(found, tasks, strict=True):
        wanted = solved(*task)
        np.testing.assert_array_equal(gradient, wanted[2])
        np.testing.assert_array_equal(flow.theta, wanted[0].theta)
        np.testing.assert_array_equal(flow.sol(0.02), wanted[0].sol(0.02))
        assert fun == wanted[1]
