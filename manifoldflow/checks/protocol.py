"""What a manifold must offer to be checked: two methods, with the names that pymanopt and `ZeroLossManifold` use."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..errors import InputError, ManifoldflowError
from ..validation import Array, real_array

# What a manifold may raise where a step is too long or a point is not on it.
REFUSALS = (ManifoldflowError, ArithmeticError, np.linalg.LinAlgError)


@runtime_checkable
class Manifold(Protocol):
    """A manifold embedded in a space of arrays, with the metric of that space."""

    def projection(self, point: Any, vector: Any, /) -> Any:
        """The orthogonal projection of `vector` onto the tangent space at `point`."""

    def retraction(self, point: Any, tangent: Any, /) -> Any:
        """The point that the tangent vector leads to: point + tangent + second-order terms."""


@runtime_checkable
class MetricManifold(Manifold, Protocol):
    """One that brings its own inner product of tangent vectors."""

    def inner_product(self, point: Any, a: Any, b: Any, /) -> Any:
        """<a, b> in the tangent space at `point`."""


@runtime_checkable
class GeodesicManifold(Manifold, Protocol):
    """One whose geodesics are known."""

    def exp(self, point: Any, tangent: Any, /) -> Any:
        """The end of the geodesic that begins at `point` with velocity `tangent`, at time 1."""


def inner(manifold: Manifold, point: Array, a: Array, b: Array) -> float:
    """<a, b>: the manifold's own inner product, or the sum of products of entries."""
    if isinstance(manifold, MetricManifold):
        return float(manifold.inner_product(point, a, b))
    return float(np.vdot(a, b))


def length(manifold: Manifold, point: Array, a: Array) -> float:
    """The norm of a tangent vector."""
    return float(np.sqrt(max(inner(manifold, point, a, a), 0.0)))


def checked_point(manifold: Any, point: Any) -> Array:
    """The point as an array; `InputError` where the manifold or the point is not what the checks take."""
    if not isinstance(manifold, Manifold):
        raise InputError(
            f"manifold must have the methods projection(point, vector) and retraction(point, tangent); a "
            f"{type(manifold).__name__} lacks one."
        )
    return real_array("point", point)


def unit_tangents(manifold: Manifold, point: Array, count: int, stream: np.random.Generator) -> list[Array]:
    """Random tangent vectors of length 1; fewer where the projection of a random vector is zero."""
    projected = [np.asarray(manifold.projection(point, stream.normal(size=point.shape))) for _ in range(count)]
    sizes = [length(manifold, point, vector) for vector in projected]
    return [vector / size for vector, size in zip(projected, sizes, strict=True) if size > 0.0]


def wrong_projection(manifold: Manifold, point: Array, stream: np.random.Generator) -> str:
    """Why the projection cannot be one: not idempotent, or not symmetric; empty where neither is seen."""
    a, b = (stream.normal(size=point.shape) for _ in range(2))
    Pa, Pb = manifold.projection(point, a), manifold.projection(point, b)
    again = float(np.linalg.norm(manifold.projection(point, Pa) - Pa)) / float(np.linalg.norm(a))
    if not again <= 1e-7:
        return f"The projection is not idempotent: P(P a) differs from P a by {again:.1e} |a|."
    if isinstance(manifold, MetricManifold):
        return ""
    skew = abs(float(np.vdot(Pa, b) - np.vdot(a, Pb))) / float(np.linalg.norm(a) * np.linalg.norm(b))
    return f"The projection is not orthogonal: <P a, b> - <a, P b> is {skew:.1e} |a| |b|." if skew > 1e-7 else ""


def is_induced(manifold: Manifold, point: Array, tangents: list[Array]) -> bool:
    """Whether the metric is, on these vectors, the one of the surrounding space."""
    pairs = [(a, b) for a in tangents for b in tangents]
    return all(abs(inner(manifold, point, a, b) - float(np.vdot(a, b))) <= 1e-8 for a, b in pairs)
