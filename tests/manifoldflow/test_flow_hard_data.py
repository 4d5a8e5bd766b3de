"""The flow on data that its methods were not made for: windows of one time series, tiny labels, units without a z^3."""

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow.integration import cost_ratio

pytestmark = pytest.mark.filterwarnings("ignore::manifoldflow.errors.AssumptionWarning")


def windows(n, d, rng):
    """Windows of one time series as unit rows: neighbours nearly agree."""
    series = np.sin(np.arange(n + d) / 7) + 0.1 * rng.normal(size=n + d).cumsum() / 3
    X = np.stack([series[i : i + d] for i in range(n)])
    return X / np.linalg.norm(X, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("formula", "n", "d", "m", "seed"), [("z**3 + z", 20, 24, 10, 0), ("log(cosh(z))", 7, 37, 4, 3)]
)
def test_auto_comes_back_to_the_implicit_method_after_a_transient(formula, n, d, m, seed):
    # Valleys in which implicit steps are a thousand times longer, between transients in which they are not.
    rng = np.random.default_rng(seed)
    X, y = windows(n, d, rng), rng.normal(size=n) if formula == "z**3 + z" else np.full(n, 1.5)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, m), X, y)
    theta, stats = man.random_point(rng=0), {}
    for method in ("auto", "implicit"):
        sol = mf.sharpness_flow(man, theta, rtol=1e-4, atol=1e-6, method=method)
        assert sol.status == "stationary"
        stats[method] = sol.stats
    assert stats["auto"]["switches"] >= 5
    work = {name: found["explicit_steps"] + cost_ratio(man) * found["implicit_steps"] for name, found in stats.items()}
    assert work["auto"] < 1.05 * work["implicit"], work
