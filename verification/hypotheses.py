"""The assumptions of the statements, each examined on the case: by a certificate where there is one, else measured.

The first group says what a statement is about at all, the others are the theorems' assumptions, on the range of
pre-activations that occurs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from manifoldflow.certificates import Certificate
from manifoldflow.errors import ManifoldflowError

from .evidence import Evidence
from .points import activation_table
from .records import Basis, Hypothesis

# --- scope ----------------------------------------------------------------------------------------


def plain_units(evidence: Evidence) -> Hypothesis:
    """Units a*phi(z)."""
    formula = evidence.manifold.network.unit.formula
    return Hypothesis("units a*phi(z)", evidence.is_plain, f"here the unit is {formula}", "given")


def unit_weights(evidence: Evidence) -> Hypothesis:
    """Units phi(z): all output weights are 1."""
    if not evidence.is_plain:
        return plain_units(evidence)
    a = evidence.manifold.a
    detail = "here all are 1" if evidence.has_unit_weights else f"here they are in [{a.min():.4g}, {a.max():.4g}] (S10)"
    return Hypothesis("output weights 1", evidence.has_unit_weights, detail, "given")


# --- assumptions ----------------------------------------------------------------------------------


def existence(evidence: Evidence) -> Hypothesis:
    """M is not empty: near the start a point with f = y exactly is proved to exist."""
    return replace(_existence(evidence), needed=True)


def _existence(evidence: Evidence) -> Hypothesis:
    name = "zero-loss point"
    try:
        proof = evidence.exact_point.certificate
    except ManifoldflowError as error:
        return Hypothesis(name, False, str(error))
    if proof.proved:
        return Hypothesis(name, True, proof.claim, "proved")
    detail = f"M may be empty: no point of it is proved near the start ({proof.reason})"
    return Hypothesis(name, False, detail, "grid")


def slopes(evidence: Evidence) -> Hypothesis:
    """A1: phi' >= rho1 > 0 and phi''' >= rho2 > 0, over the interval of S7 or else over everything that occurred."""
    found, proof = evidence.constants, evidence.enclosure.certificate("A1")
    if not found.confined and not proof.refuted and "A1" not in found.failing:
        return _slopes_seen(evidence)
    low, high = found.interval
    grid = f"rho1 = {found.rho1:.4g}, rho2 = {found.rho2:.4g} for z in [{low:.4g}, {high:.4g}]"
    return _examined(proof, "A1" not in found.failing, grid)


def _slopes_seen(evidence: Evidence) -> Hypothesis:
    """A1 where nothing confines z: over the range of the flow and of the random points."""
    low, high = evidence.seen
    table = activation_table(evidence.manifold, np.linspace(low, high, 4001))
    rho1, rho2 = float(table[1].min()), float(table[3].min())
    return Hypothesis(
        "A1",
        rho1 > 0.0 and rho2 > 0.0,
        f"min phi' = {rho1:.4g}, min phi''' = {rho2:.4g} for the z seen, in [{low:.4g}, {high:.4g}], on a grid: "
        "nothing confines z, so that nothing is proved of where it may go",
        "grid",
    )


def independence(evidence: Evidence) -> Hypothesis:
    """A2: the samples are linearly independent, mu > 0; dependent ones are another problem, that of S12."""
    n, d = evidence.case.data.X.shape
    mu = evidence.constants.mu
    detail = f"mu = {mu:.4g} with n = {n}, d = {d}"
    return replace(_examined(evidence.enclosure.certificate("A2"), mu > 0.0, detail), sets_apart=True)


def normality(evidence: Evidence) -> Hypothesis:
    """A3: beta |phi''| <= phi'^2 phi''' with beta > 0."""
    found, proof = evidence.constants, evidence.enclosure.certificate("A3")
    detail = f"beta = {found.beta:.4g}" if found.beta > 0.0 else "no beta > 0 will do"
    if not found.confined:
        return Hypothesis("A3", found.beta > 0.0, f"{detail} at the start, on a grid: nothing confines z", "grid")
    return _examined(proof, "A3" not in found.failing, detail)


def confinement(evidence: Evidence) -> Hypothesis:
    """The sublevel set of F bounds the pre-activations: |phi'| leaves every bound at both ends."""
    found = evidence.constants
    low, high = found.interval
    detail = f"z in [{low:.4g}, {high:.4g}]" if found.confined else "phi' is bounded"
    return _examined(evidence.enclosure.certificate("confinement"), found.confined, detail)


def _examined(proof: Certificate, met: bool, detail: str) -> Hypothesis:
    """By the certificate, or as measured, with the reason why nothing is proved."""
    if proof.proved:
        return Hypothesis(proof.name, True, proof.claim, "proved")
    if proof.refuted:
        return Hypothesis(proof.name, False, proof.reason, "refuted")
    return Hypothesis(proof.name, met, f"{detail}, measured on a grid: {proof.reason}", "grid")


# --- beyond the paper's setting -------------------------------------------------------------------


def dependence(evidence: Evidence) -> Hypothesis:
    """The samples are linearly dependent when equal ones are taken once, of rank two at least: what S12 is about."""
    rank, n = evidence.manifold.coordinates.rank, evidence.manifold.distinct.n
    basis: Basis = "given" if n > evidence.case.data.X.shape[1] else "measured"
    repeated = ", equal ones taken once" if n < evidence.manifold.n else ""
    return Hypothesis("dependent samples", 1 < rank < n, f"rank {rank} with n = {n}{repeated}", basis)


def moving(evidence: Evidence) -> Hypothesis:
    """The gradient at the start is not rounding, so that there is a way to measure speeds on."""
    size = float(np.linalg.norm(evidence.manifold.gradient(evidence.start)))
    share = size * float(np.linalg.norm(evidence.start)) / evidence.manifold.sharpness(evidence.start)
    return Hypothesis("the flow moves", share > 1e-8, f"|grad F| |Theta| / F = {share:.3g} at the start")


def where_plain(hypothesis: Callable[[Evidence], Hypothesis]) -> Callable[[Evidence], Hypothesis]:
    """The same for units phi(z); for others nothing is assumed, and less is tested."""

    def examined(evidence: Evidence) -> Hypothesis:
        if evidence.has_unit_weights:
            return hypothesis(evidence)
        return Hypothesis(
            "any units", True, "nothing is assumed of them, and what only units phi(z) do is not tested", "given"
        )

    return examined


# --- what several statements need -----------------------------------------------------------------

RANK_ONE = (existence, slopes, independence)
GLOBAL = (existence, slopes, independence, confinement)
LOCAL = (existence, slopes, independence, normality, confinement)
ANY_UNITS = (existence, where_plain(slopes), where_plain(independence))
