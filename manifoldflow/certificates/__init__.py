"""Proofs by rigorous arithmetic: constants enclosed, exact points near computed ones, convexity, counterexamples.

A certificate is proved or says why not; see `docs/certificates.md` for what each rests on.
"""

from .activation import ActivationEnclosure, enclose_activation
from .constants import ConstantsEnclosure, enclose_constants
from .curvature import HessianBound, convex_radius, hessian_lower_bound
from .disagreement import DisagreeingPoint, disagreeing_critical_point
from .existence import ExactPoint, exact_zero_loss_point
from .flattest import FlattestEnclosure, enclose_flattest_point
from .interval import Interval
from .rank_one import RankOnePoint, Thresholds, rank_one_point, stability_thresholds
from .record import Certificate, Enclosure
from .saddle import NegativeCurvature, negative_curvature
from .survey import Survey, survey

__all__ = [
    "ActivationEnclosure",
    "Certificate",
    "ConstantsEnclosure",
    "DisagreeingPoint",
    "Enclosure",
    "ExactPoint",
    "FlattestEnclosure",
    "HessianBound",
    "Interval",
    "NegativeCurvature",
    "RankOnePoint",
    "Survey",
    "Thresholds",
    "convex_radius",
    "disagreeing_critical_point",
    "enclose_activation",
    "enclose_constants",
    "enclose_flattest_point",
    "exact_zero_loss_point",
    "hessian_lower_bound",
    "negative_curvature",
    "rank_one_point",
    "stability_thresholds",
    "survey",
]
