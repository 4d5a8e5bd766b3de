"""S10: output weights of any sign. Tested on the case with signed weights, unless it has weights of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from verification import hypotheses
from verification.errors import NotStatedError
from verification.evidence import Evidence
from verification.points import Array, activation_table, inverse_activation, output_at_level
from verification.records import Check, Measurement, Statement

from . import convergence, convexity, hidden_convexity, local_pl, minimum, stationary


def measure(evidence: Evidence) -> Measurement:
    """The end of the flow against the scalar equations, their slope, F* and what S3 to S5 and S13 say here."""
    if {"A1", "A2"} & set(evidence.constants.failing):
        raise NotStatedError("phi'' is inverted, and the bounds divide by constants of A1 and A2.")
    inequality, notes = hidden_convexity.global_inequality(evidence)
    checks = [
        end_features(evidence),
        level_of_units(evidence),
        stationary.no_gradient(evidence),
        minimum.nothing_below(evidence),
        slope_in_level(evidence),
        inequality,
    ]
    try:
        checks += _local(evidence)
    except NotStatedError as error:
        notes += (f"S3 to S5 are not tested with these weights: {error}",)
    return Measurement(tuple(checks), notes, (evidence.survey.flattest.certificate,))


def _local(evidence: Evidence) -> list[Check]:
    """S3 to S5, with s_min replaced by min_ji a_j^2 s_i in their constants."""
    parts = (("S3", convexity), ("S4", convergence), ("S5", local_pl))
    return [
        replace(check, quantity=f"{name}: {check.quantity}")
        for name, part in parts
        for check in part.measure(evidence).checks
    ]


def end_features(evidence: Evidence) -> Check:
    """Largest distance of the flow's end from (phi'')^{-1}(k_i / a_j), solved for k by bisection."""
    measured = float(np.abs(evidence.features[-1] - evidence.minimum.Z).max()) if evidence.settled else float("nan")
    reason = "distance that S13 allows at the gradient where the flow stopped, and 1e-12 for rounding"
    name, size = "|z_ji - (phi'')^-1(k_i/a_j)| where the flow stops", evidence.features[-1].size
    resolution = stationary.TELLING * stationary.way(evidence)
    return Check(name, measured, "<=", 0.0, _distance_left(evidence), reason, size, resolution=resolution)


def _distance_left(evidence: Evidence) -> float:
    """F - F* <= |grad F|^2 / rate, and F - F* >= 2 s inf(phi'''/phi') |a dphi|^2 with |dphi| >= rho1 |dz|."""
    found = evidence.constants
    if not found.global_rate() > 0.0:
        return 1e-4
    excess = evidence.flow.gradient_norm[-1] ** 2 / found.global_rate()
    return float(np.sqrt(excess / (2.0 * found.s_min * found.ratio * found.weight)) / found.rho1 + 1e-12)


def level_of_units(evidence: Evidence) -> Check:
    """How far a_j phi''(z_ji) differs between the units where the flow stops, relative to its size."""
    values = levels(evidence, evidence.features[-1])
    spread = float(np.ptp(values, axis=0).max() / max(np.abs(values).max(), 1e-300))
    table = activation_table(evidence.manifold, np.linspace(*evidence.constants.interval, 2001))
    steepest = np.abs(evidence.manifold.a).max() * float(np.abs(table[3]).max())
    tolerance = 2.0 * steepest * _distance_left(evidence) / float(np.abs(values).max() or 1.0)
    reason = "the same distance, times max |a| and the largest phi''' on the interval of S7"
    measured = spread if evidence.settled else float("nan")
    name, size = "spread of a_j phi''(z_ji) over the units", values.shape[1]
    return Check(name, measured, "<=", 0.0, tolerance, reason, size, resolution=stationary.TELLING)


def levels(evidence: Evidence, Z: Array) -> Array:
    """a_j phi''(z_ji), (m, n): k_i for every unit at a stationary point."""
    return np.asarray(evidence.manifold.a * activation_table(evidence.manifold, Z)[2])


def slope_in_level(evidence: Evidence) -> Check:
    """d f_i / d k_i by central differences, over the sum of phi'/phi''', which is positive; the worst sample."""
    manifold, Z = evidence.manifold, evidence.minimum.Z
    k = levels(evidence, Z).mean(axis=0)
    table = activation_table(manifold, Z)
    slope = (table[1] / table[3]).sum(axis=0)
    step = 1e-4 * (1.0 + np.abs(k))
    measured = (output_at_level(manifold, k + step) - output_at_level(manifold, k - step)) / (2.0 * step)
    ratio = measured / slope
    worst = float(ratio[np.abs(ratio - 1.0).argmax()]) if np.all(slope > 0.0) else float("-inf")
    reason = "1e-5 is a choice: central differences with relative step 1e-4 of a quantity known to 1e-14"
    return Check("d f_i / d k_i over sum_j phi'/phi'''", worst, "==", 1.0, 1e-5, reason, ratio.size)


def curve(evidence: Evidence, count: int = 120) -> tuple[Array, Array]:
    """k / a and (phi'')^{-1}(k / a) over the range that the end of the flow takes: what S10 predicts, for the plot."""
    ratio = levels(evidence, evidence.minimum.Z) / evidence.manifold.a
    grid = np.linspace(float(ratio.min()), float(ratio.max()), count)
    return grid, inverse_activation(evidence.manifold, grid, order=2)


STATEMENT = Statement(
    id="S10",
    title="output weights of any sign",
    formula=r"z_{ji} = (\varphi'')^{-1}(k_i/a_j),\quad \sum_j a_j\,\varphi(z_{ji}) = y_i,\qquad "
    r"s_{\min} \to \min_{ji} a_j^2 s_i\ \mathrm{in\ S3}\!-\!\mathrm{S5}",
    source="this toolkit",
    hypotheses=hypotheses.GLOBAL,
    measure=measure,
    scope=(hypotheses.plain_units,),
    problem=lambda evidence: evidence.signed,
    blind_spot="One draw of the weights, one start. A3, which S3 to S5 need, is examined with the problem's weights; "
    "where it fails they are left out.",
)
