"""Geometry of the zero-loss manifold: multipliers, Riemannian gradient and Hessian, projection, geodesics."""

from __future__ import annotations

from sympy import Add, Expr

from derivations import symbols as sym
from derivations.blocks import Block, block, components, each
from derivations.calculus import coefficient, form_entry
from derivations.errors import DerivationError
from derivations.records import Record, Step
from derivations.rules.loss import OWN, PAPER, Records, at_sample, name_output, on_manifold, partials
from derivations.rules.setting import Setting
from derivations.sums import apart, flatten, merge, over, rename, summand, tidy, vanishes

_SOURCE = f"{PAPER}; {OWN}"


def combined(weights: Expr, rows: Block) -> Block:
    """The block sum_i weight_i (row i), summed over the samples."""
    return each(rows, lambda row: apart(over(weights * row, sym.i)))


def minus(left: Block, right: Block) -> Block:
    """The difference of two blocks, sums joined and tidied."""
    pairs = zip(components(left), components(right), strict=True)
    return block([tidy(merge(x - y)) for x, y in pairs])


def displayed(setting: Setting, of: str) -> Block:
    r"""Show the components of a block for a left side.

    >>> displayed(Setting(1, separable=False), r"(\\nabla F)")
    ((\\nabla F)_{j k}, (\\nabla F)_{1, j})
    """
    return block([sym.display(rf"{of}_{{{f'{kind}, j' if kind else 'j k'}}}") for kind in setting.kinds])


def normal_directional(setting: Setting, quantity: Expr) -> Expr:
    """The sum over l of (K^-1)_il times a quantity of sample i, taken at sample l."""
    return over(sym.Kinv[sym.i, sym.l] * at_sample(quantity, sym.l), sym.l)


def euclidean_gradient(setting: Setting, records: Records) -> Record:
    """The derivative of the sharpness's formula by every parameter."""
    right = each(setting.by_parameters(records["sharpness"].right), tidy)
    return Record(
        name="euclidean_gradient",
        title="Euclidean gradient of the sharpness",
        statement="The derivative of the sum $F$, at any parameters, by each parameter of unit $j$.",
        left=partials(setting, "F"),
        relation="==",
        right=right,
        steps=(Step(right, "differentiate $F$ by the parameter and sum over the Kronecker deltas"),),
        uses=("sharpness",),
        source=_SOURCE,
        definition="gradient of the squared norm of the Jacobian, times two",
    )


def multipliers(setting: Setting, records: Records) -> Record:
    """The linear system that makes the gradient tangent."""
    row, steepest = records["jacobian"].right, records["euclidean_gradient"].right
    right = tidy(setting.inner(row, at_sample(steepest, sym.l)))
    left = over(sym.K[sym.i, sym.l] * sym.lam[sym.l], sym.l)
    return Record(
        name="multipliers",
        title="Multipliers of the constraint",
        statement=(
            r"The gradient minus $\sum_l \lambda_l \nabla f_l$ is tangent exactly where $K \lambda = J \nabla F$."
        ),
        left=left,
        relation="==",
        right=right,
        steps=(
            Step(left - right, r"take the inner product of $\nabla f_i$ with $\sum_l \lambda_l \nabla f_l - \nabla F$"),
            Step(right, "tangency makes it vanish for every $i$"),
        ),
        uses=("jacobian", "gram_of_jacobian", "euclidean_gradient"),
        source=_SOURCE,
        definition="J times the gradient of twice the squared norm of the Jacobian",
    )


def riemannian_gradient(setting: Setting, records: Records) -> Record:
    """The tangential part of the gradient of the trace."""
    row, steepest = records["jacobian"].right, records["euclidean_gradient"].right
    full = full_trace_gradient(setting, records)
    right = minus(steepest, combined(sym.lam[sym.i], row))
    return Record(
        name="riemannian_gradient",
        title="Riemannian gradient of the sharpness",
        statement="The gradient of $F$ on the manifold; the trace's residual part adds only a normal vector.",
        left=displayed(setting, r"(\mathrm{grad}\, F)"),
        relation="==",
        right=right,
        steps=(
            Step(full, "differentiate the trace off the manifold, then use $f = y$"),
            Step(steepest, r"leave out the combination of the rows $\nabla f_i$, which is normal"),
            Step(right, r"take off the normal part $\sum_i \lambda_i \nabla f_i$ that remains"),
        ),
        uses=("loss", "jacobian", "sharpness", "euclidean_gradient", "multipliers"),
        source=_SOURCE,
        definition="tangential part of the gradient of the trace of the Hessian of the loss",
    )


def full_trace_gradient(setting: Setting, records: Records) -> Block:
    """The gradient of the trace off the manifold, taken where f = y.

    Raises:
        DerivationError: it differs from grad F by something that is no combination of the rows grad f_i.
    """
    trace = rename(setting.trace(setting.loss()), {sym.r: sym.j})
    gradient = each(setting.by_parameters(trace), lambda part: apart(on_manifold(part, setting)))
    weight = residual_weight(name_output(trace, setting))
    normal = combined(weight, records["jacobian"].right)
    rest = minus(minus(gradient, records["euclidean_gradient"].right), normal)
    if not all(vanishes(part) for part in components(rest)):
        raise DerivationError(f"the residual part of the trace has a tangential gradient: {rest}")
    return gradient


def residual_weight(trace: Expr) -> Expr:
    """What multiplies the residual f_i - y_i in the trace off the manifold."""
    return Add(*[coefficient(summand(term), sym.f[sym.i]) for term in Add.make_args(trace)])


def riemannian_hessian(setting: Setting, records: Records) -> Record:
    """The Riemannian Hessian as a quadratic form, diagonal in units and samples."""
    sharp = setting.move(records["sharpness"].right, 2)
    bend = records["output_hessian"].right
    joined = flatten(sharp - over(sym.lam[sym.i] * bend, sym.i))
    right = over(as_form(setting, summand(joined)), sym.j, sym.i)
    return Record(
        name="riemannian_hessian",
        title="Riemannian Hessian of the sharpness",
        statement=(
            "On tangent $U$ the Hessian of $F$ is a sum over units and samples, each term a form in that unit's part "
            "of $U$."
        ),
        left=sym.display(r"\mathrm{Hess}\, F[U, U]"),
        relation="==",
        right=right,
        steps=(
            Step(sharp, r"differentiate $F$ twice along $W + t U$"),
            Step(
                bend,
                r"a curve on the manifold bends: its acceleration $\ddot{W}$ has $\nabla f_i \cdot \ddot{W} = -$ this",
            ),
            Step(
                joined,
                r"the curve adds $\nabla F \cdot \ddot{W}$, and on a geodesic $\ddot{W}$ is normal: this is "
                r"$\sum_i \lambda_i \nabla f_i \cdot \ddot{W}$",
            ),
            Step(right, "collect the coefficients of the products of the components of $U$"),
        ),
        uses=("output_hessian", "sharpness", "multipliers", "riemannian_gradient"),
        source=_SOURCE,
        definition="U times the derivative along U of the tangential part of grad F",
    )


def as_form(setting: Setting, body: Expr) -> Expr:
    """The same form with each product of directions once, its coefficient expanded."""
    moves = [sym.direction(kind, sym.j, sym.i) for kind in setting.kinds]
    pairs = [(x, y) for at, x in enumerate(moves) for y in moves[at:]]
    return Add(*[form_entry(body, x, y) * x * y * (1 if x == y else 2) for x, y in pairs])


def flow_jacobian(setting: Setting, records: Records) -> Record:
    """The Jacobian of the field V = -grad F, off the manifold too."""
    gradient = records["riemannian_gradient"].right
    moved = each(gradient, lambda part: setting.move(part, 1, multipliers=True))
    right = each(moved, lambda part: tidy(merge(-part)))
    return Record(
        name="flow_jacobian",
        title="Jacobian of the flow",
        statement=(
            r"The derivative of $V = -\mathrm{grad}\, F$ along any $U$, at any parameters where $K$ is invertible."
        ),
        left=displayed(setting, r"(\mathrm{D} V[U])"),
        relation="==",
        right=right,
        steps=(
            Step(moved, r"move $\Theta$ by $t U$ and $\lambda$ by $t w$; differentiate $\mathrm{grad}\, F$ at $t = 0$"),
            Step(right, "change the sign"),
        ),
        uses=("riemannian_gradient", "flow_multipliers"),
        source="beyond the paper: what an implicit step of the flow needs",
        definition="derivative along U of minus the part of grad F orthogonal to the rows of J",
    )


def flow_multipliers(setting: Setting, records: Records) -> Record:
    """How the multipliers change along a direction."""
    row = records["jacobian"].right
    tangency = setting.inner(row, at_sample(records["riemannian_gradient"].right, sym.l))
    right = setting.move(tangency, 1)
    left = over(sym.K[sym.i, sym.l] * sym.w[sym.l], sym.l)
    return Record(
        name="flow_multipliers",
        title="Change of the multipliers",
        statement=r"Along $U$ the multipliers change at the rate $w$ that keeps $J\, \mathrm{grad}\, F = 0$.",
        left=left,
        relation="==",
        right=right,
        steps=(
            Step(tangency, r"$J\, \mathrm{grad}\, F$, which vanishes at all parameters"),
            Step(right - left, r"differentiate along $U$, with $\lambda$ moving at the rate $w$"),
            Step(right, "this vanishes too: solve for the part with $w$"),
        ),
        uses=("jacobian", "gram_of_jacobian", "multipliers", "riemannian_gradient"),
        source="beyond the paper: what an implicit step of the flow needs",
        definition="K times the derivative along U of the solution of K lambda = J grad F",
    )


def geodesic(setting: Setting, records: Records) -> Record:
    """The acceleration of a geodesic."""
    bend = records["output_hessian"].right
    weights = normal_directional(setting, bend)
    right = each(combined(weights, records["jacobian"].right), lambda part: -part)
    return Record(
        name="geodesic",
        title="Geodesics of the manifold",
        statement=(
            r"A geodesic with velocity $U$ has the normal acceleration $-J^T K^{-1}\, \mathrm{D}^2 f[U, U]$."
        ),
        left=displayed(setting, r"\ddot{W}"),
        relation="==",
        right=right,
        steps=(
            Step(bend, "$f$ stays $y$ along the curve: $J$ times its acceleration is minus this"),
            Step(weights, "a geodesic's acceleration is normal, $J^T$ times some weights: apply $K^{-1}$"),
            Step(right, "multiply by $-J^T$"),
        ),
        uses=("output_hessian", "jacobian", "gram_of_jacobian"),
        source=_SOURCE,
        definition="derivative along U of the tangential part of U",
    )


def projection(setting: Setting, records: Records) -> Record:
    """The orthogonal projection onto the tangent space."""
    speed = setting.move(records["output"].right, 1)
    weights = normal_directional(setting, speed)
    moves = block([sym.U[sym.j, sym.k], *[sym.own_direction(q)[sym.j] for q in setting.kinds[1:]]])
    normal = combined(weights, records["jacobian"].right)
    right = block([x - y for x, y in zip(components(moves), components(normal), strict=True)])
    return Record(
        name="projection",
        title="Projection onto the tangent space",
        statement="The tangential part of $U$ is $U - J^T K^{-1} J U$.",
        left=displayed(setting, "P_T(U)"),
        relation="==",
        right=right,
        steps=(
            Step(speed, "$J U$, the rate at which the output of sample $i$ changes along $U$"),
            Step(weights, "the normal part $J^T b$ has $J J^T b = J U$: apply $K^{-1}$"),
            Step(right, "take the normal part off"),
        ),
        uses=("output", "jacobian", "gram_of_jacobian"),
        source=_SOURCE,
        definition="part of U orthogonal to the rows of J",
    )


RULES = (
    euclidean_gradient,
    multipliers,
    riemannian_gradient,
    riemannian_hessian,
    flow_multipliers,
    flow_jacobian,
    geodesic,
    projection,
)
"""In the order in which each may use those before it."""
