"""The same answers from other ways of running: with any number of threads, and without the compiler."""

import json

import numpy as np
import pytest

from tests.manifoldflow.conftest import run_python

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")

# Names and hashes (argument "bits") or values of what the library computes; "large" are sizes that use several threads.
EVERYTHING = """
import hashlib, json, sys
import numpy as np
import manifoldflow as mf

form, *sizes = sys.argv[1:]
found = {}
for size in sizes:
    m, n, d = {"small": (4, 3, 6), "own": (4, 3, 6), "large": (150, 250, 300)}[size]
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(n, d)) / np.sqrt(d), rng.normal(size=n)
    network = mf.TwoLayerNetwork("z**3 + z", m, output_weights="trained" if size == "own" else None)
    man = mf.ZeroLossManifold(network, X, y)
    theta = man.random_point(rng=1)
    g = man.gradient(theta)
    found[size + " gradient"] = g
    found[size + " hvp"] = man.hessian_vector_product(theta, g)
    found[size + " retraction"] = man.retraction(theta, -1e-3 * g)
    steps = 2 if size == "large" else 100
    found[size + " flow"] = mf.sharpness_flow(man, theta, (0.0, 1e-3), max_steps=steps).theta[-1]
    run = dict(step_size=1e-4, n_steps=10, n_runs=3, noise=mf.LabelNoise(std=0.1))
    found[size + " sgd"] = mf.label_noise_sgd(network, X, y, theta, **run).theta
    if size != "large":
        found[size + " implicit"] = mf.sharpness_flow(man, theta, (0.0, 0.05), method="implicit", rtol=1e-6).theta[-1]
        found[size + " full batch"] = mf.label_noise_sgd(network, X, y, theta, batch_size="full", **run).theta
        found[size + " spectrum"] = man.hessian_spectrum(theta)
        found[size + " exp"] = man.exp(theta, -1e-3 * g)
    if size == "small":
        found[size + " flattest"] = mf.flattest_point(man, theta).x
hashed = lambda x: hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()
print(json.dumps({k: hashed(v) if form == "bits" else np.asarray(v).tolist() for k, v in found.items()}))
"""


def everything(form, sizes, **environment):
    code, out, err = run_python(EVERYTHING, form, *sizes, **environment)
    assert code == 0, err
    return json.loads(out)


def test_the_same_bits_with_1_2_and_4_threads():
    one, two, four = (everything("bits", ["small", "large"], **dict.fromkeys(THREADS, k)) for k in (1, 2, 4))
    assert len(one) == 10 + 5
    assert one == two == four


@pytest.fixture(scope="module")
def both():
    return [everything("values", ["small", "own"], NUMBA_DISABLE_JIT=off) for off in (0, 1)]


def test_the_same_numbers_without_the_compiler(both):
    """To rounding: the compiler fuses products and sums. Warnings are errors in the child: none may be given."""
    compiled, interpreted = both
    assert compiled.keys() == interpreted.keys()
    assert len(compiled) == 10 + 9
    for name, value in compiled.items():
        wanted, found = np.array(value), np.array(interpreted[name])
        # A flow's steps are chosen by an error estimate, which rounding enters: its tolerance bounds the difference.
        rtol = 1e-6 if "implicit" in name or "flow" in name else 1e-10
        np.testing.assert_allclose(found, wanted, atol=rtol * np.abs(wanted).max(), err_msg=name)


TEST_WITHOUT = """
import sys
import pytest
sys.exit(pytest.main(["-q", "-x", "--no-header", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


def test_drawn_activations_have_the_properties_without_the_compiler():
    """There a new activation costs no compilation, so more of them are tried."""
    names = [f"tests/robustness/test_properties.py::test_{name}" for name in ("any_activation", "sgd")]
    code, out, err = run_python(TEST_WITHOUT, *names, NUMBA_DISABLE_JIT=1, MANIFOLDFLOW_TEST_FORMULAS=12)
    assert code == 0, out + err
    assert "2 passed" in out
