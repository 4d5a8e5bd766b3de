"""Checks of hand-written geometry: gradients, Hessians, retractions and geodesics, on any manifold in numbers.

>>> import numpy as np
>>> from manifoldflow import checks
>>> class Sphere:
...     def projection(self, point, vector):
...         return vector - np.vdot(point, vector) * point
...     def retraction(self, point, tangent):
...         return (point + tangent) / np.linalg.norm(point + tangent)
>>> A = np.diag([1.0, 2.0, 5.0])
>>> point = np.array([2.0, 1.0, 2.0]) / 3.0
>>> cost = lambda x: x @ A @ x
>>> gradient = lambda x: 2.0 * Sphere().projection(x, A @ x)
>>> checks.check_gradient(Sphere(), cost, gradient, point).verdict
'ok'
>>> checks.check_gradient(Sphere(), cost, lambda x: (1.0 + 1e-6) * gradient(x), point).verdict
'wrong'
"""

from .curves import check_geodesic, check_retraction
from .derivatives import check_gradient, check_hessian
from .protocol import GeodesicManifold, Manifold, MetricManifold
from .record import CheckResult

__all__ = [
    "CheckResult",
    "GeodesicManifold",
    "Manifold",
    "MetricManifold",
    "check_geodesic",
    "check_gradient",
    "check_hessian",
    "check_retraction",
]
