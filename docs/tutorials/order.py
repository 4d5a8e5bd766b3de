"""T1: on orthogonal samples the units keep their order.

Where the Gram matrix is diagonal, the flow of the features is dz_ji/dt = -s_i C_ji with
C_ji = (4 s_i phi''(z_ji) - lambda_i(t)) phi'(z_ji). For one sample i this is the same
scalar equation for every unit j, and solutions of a scalar equation do not cross. No
assumption about phi is needed.
"""

import numpy as np

from manifoldflow import datasets
from verification import Case, Check, Evidence, Statement
from verification.evidence import RTOL
from verification.records import Hypothesis, Measurement


def orthogonality(evidence):
    """The hypothesis: no entry of the Gram matrix beside its diagonal, up to rounding."""
    X = evidence.case.data.X
    lengths = np.linalg.norm(X, axis=1)
    cosines = np.abs(X @ X.T) / np.outer(lengths, lengths) - np.eye(len(X))
    largest = float(cosines.max())
    return Hypothesis("orthogonal samples", largest < 1e-14, f"largest cosine {largest:.2g}")


def measure(evidence):
    """The conclusion: neighbours in the order at the start, followed along the flow."""
    Z = evidence.features  # (k, m, n): every step, to the end
    order = np.argsort(Z[0], axis=0)
    gaps = np.diff(np.take_along_axis(Z, order[None], axis=1), axis=1)  # (k, m - 1, n)
    name, smallest = "smallest gap between neighbours", float(gaps.min())
    tolerance = 10 * RTOL * float(np.abs(Z).max())
    reason = "ten times the flow's relative tolerance: errors add up over its steps"
    return Measurement((Check(name, smallest, ">=", 0.0, tolerance, reason, gaps.size),))


STATEMENT = Statement(
    id="T1",
    title="units keep their order",
    formula=r"z_{ji}(0) \leq z_{ki}(0) \;\Rightarrow\; z_{ji}(t) \leq z_{ki}(t)",
    source="this page",
    hypotheses=(orthogonality,),
    measure=measure,
    blind_spot="Crossings between two steps, and gaps smaller than the tolerance.",
)


def orthogonal_data(n=4, d=9, seed=0):
    """Samples with a diagonal Gram matrix, of different lengths, and labels."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.normal(size=(d, n)))[0].T
    X = np.diag(np.linspace(0.5, 1.5, n)) @ directions
    y = rng.normal(scale=3.0, size=n)
    return datasets.DataSet("orthogonal", X, y, source="random directions")


if __name__ == "__main__":
    verdict = STATEMENT.check(Evidence(Case(orthogonal_data(), "z**3 + z", width=8)))
    print(f"{verdict.statement} {verdict.status}: {verdict.reason}")
    check = verdict.decisive
    print(f"{check.quantity}: {check.measured:.2g}, tolerance {check.tolerance:.2g}")
