"""The left side of every equation, defined by the operators of `Space`.

Each function takes a space and returns the value of the left side as an array over the record's free
indices; blocks of parameters come as (m, d + p). The table says whether U must be tangent and whether the
point must lie on the manifold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sympy import Symbol

from derivations import symbols as sym
from derivations.checks.space import Array, Space


@dataclass(frozen=True)
class Definition:
    """How a left side is computed and where.

    Args:
        left: Its value in a space.
        indices: The free indices of the record, or "block" for a component for each parameter of unit j.
        on_manifold: Whether the record claims anything only where f = y.
        tangent: Whether U must be tangent.
        flow: Whether U must be the velocity of the flow.
    """

    left: Callable[[Space], Array]
    indices: tuple[Symbol, ...]
    block: bool = False
    on_manifold: bool = False
    tangent: bool = False
    flow: bool = False

    def direction(self, space: Space) -> Array:
        """The U that the record speaks of, from any U."""
        if self.flow:
            return flow_field(space)(space.at.W)
        return space.tangential(space.at.U, space.at.W) if self.tangent else space.at.U


def _hessian_form(function: Callable[[Space], Callable[[Array], Array]]) -> Callable[[Space], Array]:
    def value(space: Space) -> Array:
        direction = space.at.U
        return space.along(space.along(function(space), direction), direction)(space.at.W)

    return value


def _steepest(space: Space) -> Array:
    return space.derivative(space.steepness)(space.at.W)


def _multipliers(space: Space, parameters: Array) -> Array:
    gradient = space.derivative(space.steepness)(parameters)
    pull = space.xp.tensordot(space.jacobian(parameters), gradient, axes=([1, 2], [0, 1]))
    return space.solve(space.gram(parameters), pull)


def _change_of_multipliers(space: Space) -> Array:
    change = space.along(lambda w: _multipliers(space, w), space.at.U)(space.at.W)
    return space.xp.dot(space.gram(space.at.W), change)


def _gradient_field(space: Space) -> Callable[[Array], Array]:
    """The tangential part of the gradient of the whole trace, a field that equals grad F on the manifold."""
    return lambda w: space.tangential(space.derivative(space.laplacian(space.loss))(w), w)


def flow_field(space: Space) -> Callable[[Array], Array]:
    """Minus the part of grad F orthogonal to the rows of the Jacobian, at any parameters."""
    return lambda w: -space.tangential(space.derivative(space.steepness)(w), w)


def _decay(space: Space) -> Array:
    """The rate of |V|^2 along U, which is to be the velocity V."""
    velocity = flow_field(space)
    return space.along(lambda w: space.xp.sum(velocity(w) ** 2), space.at.U)(space.at.W)


def _riemannian_hessian(space: Space) -> Array:
    return space.xp.sum(space.at.U * space.along(_gradient_field(space), space.at.U)(space.at.W))


def _row_weights(space: Space) -> Array:
    """C with grad F = C X, (m, n)."""
    data = space.at.X
    gram = space.xp.dot(data, data.T)
    return space.solve(gram, space.xp.dot(data, _gradient_field(space)(space.at.W).T)).T


def _stationarity(space: Space) -> Array:
    slopes = space.by_z(lambda z: space.unit(z, (), space.at.a))
    return _row_weights(space) / slopes(space.preactivations(space.at.W))


def _hidden_convexity(space: Space) -> Array:
    slope = space.by_z(lambda z: space.unit(z, (), space.at.a))

    def by_q(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
        return lambda z: space.by_z(function)(z) / slope(z)

    return by_q(by_q(lambda z: slope(z) ** 2))(space.preactivations(space.at.W))


_PARAMETER = (sym.j, sym.k)

DEFINITIONS: Mapping[str, Definition] = MappingProxyType(
    {
        "output": Definition(lambda s: s.output(s.at.W), (sym.i,)),
        "loss": Definition(lambda s: s.loss(s.at.W), ()),
        "loss_gradient": Definition(lambda s: s.derivative(s.loss)(s.at.W), _PARAMETER, block=True),
        "loss_hessian": Definition(_hessian_form(lambda s: s.loss), ()),
        "jacobian": Definition(lambda s: s.jacobian(s.at.W), (sym.i, *_PARAMETER), block=True),
        "gram_of_jacobian": Definition(lambda s: s.gram(s.at.W), (sym.i, sym.l)),
        "output_hessian": Definition(_hessian_form(lambda s: s.output), (sym.i,)),
        "hessian_on_manifold": Definition(_hessian_form(lambda s: s.loss), (), on_manifold=True),
        "sharpness": Definition(lambda s: s.laplacian(s.loss)(s.at.W), (), on_manifold=True),
        "euclidean_gradient": Definition(_steepest, _PARAMETER, block=True),
        "multipliers": Definition(
            lambda s: s.xp.tensordot(s.jacobian(s.at.W), _steepest(s), axes=([1, 2], [0, 1])), (sym.i,)
        ),
        "riemannian_gradient": Definition(
            lambda s: _gradient_field(s)(s.at.W), _PARAMETER, block=True, on_manifold=True
        ),
        "riemannian_hessian": Definition(_riemannian_hessian, (), on_manifold=True, tangent=True),
        "flow_multipliers": Definition(_change_of_multipliers, (sym.i,)),
        "flow_jacobian": Definition(lambda s: s.along(flow_field(s), s.at.U)(s.at.W), _PARAMETER, block=True),
        "geodesic": Definition(
            lambda s: s.along(lambda w: s.tangential(s.at.U, w), s.at.U)(s.at.W),
            _PARAMETER,
            block=True,
            tangent=True,
        ),
        "projection": Definition(lambda s: s.tangential(s.at.U, s.at.W), _PARAMETER, block=True),
        "stationarity": Definition(_stationarity, (sym.j, sym.i), on_manifold=True),
        "hessian_in_features": Definition(_riemannian_hessian, (), on_manifold=True, tangent=True),
        "gradient_decay": Definition(_decay, (), on_manifold=True, flow=True),
        "hidden_convexity": Definition(_hidden_convexity, (sym.j, sym.i)),
    }
)
"""Every equation among the records; the inequalities have checks of their own."""
