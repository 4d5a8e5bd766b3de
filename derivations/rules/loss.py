"""From the unit function to the sharpness: output, loss, derivatives, the Jacobian and its Gram matrix."""

from __future__ import annotations

from collections.abc import Mapping

from sympy import Expr, Symbol

from derivations import symbols as sym
from derivations.blocks import Block, block, each
from derivations.records import Record, Step
from derivations.rules.setting import Setting
from derivations.sums import apart, flatten, merge, rename, tidy

PAPER = "Gatmiry, Li, Reddi and Jegelka (ICML 2024)"
OWN = "trained scalars and coefficients per sample: beyond the paper"

Records = Mapping[str, Record]


def partials(setting: Setting, of: str) -> Block:
    r"""Show the derivatives of a quantity by the parameters, for a left side.

    >>> partials(Setting(1, separable=False), "L")
    (\partial L / \partial \Theta_{j k}, \partial L / \partial c_{1, j})
    """
    names = [r"\Theta_{j k}", *[f"c_{{{kind}, j}}" for kind in setting.kinds[1:]]]
    return block([sym.display(rf"\partial {of} / \partial {name}") for name in names])


def name_output(expr: Expr, setting: Setting) -> Expr:
    """Write f_i for the output of sample i wherever it is written out."""
    return expr.xreplace({setting.output(): sym.f[sym.i]})


def on_manifold(expr: Expr, setting: Setting) -> Expr:
    """Use f = y: every residual vanishes."""
    return merge(name_output(expr, setting).xreplace({sym.f[sym.i]: sym.y[sym.i]}))


def at_sample(part: Block, sample: Symbol) -> Block:
    """The same expression with another name for the sample, free or summed over.

    >>> at_sample(sym.y[sym.i], sym.l)
    y[l]
    """
    return each(part, lambda x: rename(x, {sym.i: sample}))


def output(setting: Setting, records: Records) -> Record:
    """The network's output, the sum of the units."""
    right = setting.output()
    return Record(
        name="output",
        title="Network output",
        statement="The output at sample $i$ is the sum over the units of the unit function.",
        left=sym.f[sym.i],
        relation="==",
        right=right,
        steps=(Step(right, r"definition, with $z_{ji} = \theta_j \cdot x_i$"),),
        uses=(),
        source=f"{PAPER}, setting",
        definition="output",
    )


def loss(setting: Setting, records: Records) -> Record:
    """The loss, a plain sum of squares."""
    right = name_output(setting.loss(), setting)
    return Record(
        name="loss",
        title="Loss",
        statement="The loss is the sum of squared residuals, with neither $1/n$ nor $1/2$.",
        left=sym.L,
        relation="==",
        right=right,
        steps=(Step(setting.loss(), "definition"), Step(right, "write $f_i$ for the output")),
        uses=("output",),
        source=f"{PAPER}, setting",
        definition="loss",
    )


def loss_gradient(setting: Setting, records: Records) -> Record:
    """The loss's derivative by every parameter."""
    raw = setting.by_parameters(setting.loss())
    right = each(raw, lambda part: name_output(part, setting))
    return Record(
        name="loss_gradient",
        title="Gradient of the loss",
        statement="The derivative of the loss by each parameter of unit $j$.",
        left=partials(setting, "L"),
        relation="==",
        right=right,
        steps=(
            Step(each(raw, apart), "differentiate the sum and sum over the Kronecker deltas"),
            Step(right, "write $f_i$ for the output"),
        ),
        uses=("output", "loss"),
        source="chain rule",
        definition="gradient of the loss",
    )


def loss_hessian(setting: Setting, records: Records) -> Record:
    """The loss's second derivative along a direction, off the manifold too."""
    raw = setting.move(setting.loss(), 2)
    right = tidy(name_output(raw, setting))
    return Record(
        name="loss_hessian",
        title="Hessian of the loss as a quadratic form",
        statement="The second derivative of the loss along any direction $U$, at any parameters.",
        left=sym.display(r"\mathrm{D}^2 L[U, U]"),
        relation="==",
        right=right,
        steps=(
            Step(raw, r"differentiate the loss twice along $W + t U$ at $t = 0$"),
            Step(right, "write $f_i$ for the output"),
        ),
        uses=("output", "loss"),
        source="chain rule",
        definition="second derivative of the loss along U",
    )


def jacobian(setting: Setting, records: Records) -> Record:
    """The output's derivative by every parameter."""
    right = setting.by_parameters(setting.output())
    return Record(
        name="jacobian",
        title="Jacobian of the output",
        statement="The derivative of sample $i$'s output by each parameter of unit $j$.",
        left=partials(setting, "f_i"),
        relation="==",
        right=right,
        steps=(Step(right, "differentiate the sum of units; the deltas leave unit $j$ alone"),),
        uses=("output",),
        source=f"{PAPER}; {OWN}",
        definition="Jacobian of the output",
    )


def gram_of_jacobian(setting: Setting, records: Records) -> Record:
    """The Gram matrix K of the Jacobian's rows."""
    row = records["jacobian"].right
    right = setting.inner(row, at_sample(row, sym.l))
    return Record(
        name="gram_of_jacobian",
        title="Gram matrix of the Jacobian",
        statement="The inner products of the rows of the Jacobian, $K = J J^T$.",
        left=sym.K[sym.i, sym.l],
        relation="==",
        right=right,
        steps=(Step(right, r"multiply rows $i$ and $l$ and sum over the inputs: $\sum_k X_{ik} X_{lk} = G_{il}$"),),
        uses=("jacobian",),
        source=f"{PAPER}; {OWN}",
        definition="Jacobian times its transpose",
    )


def output_hessian(setting: Setting, records: Records) -> Record:
    """The output's second derivative along a direction."""
    right = setting.move(records["output"].right, 2)
    return Record(
        name="output_hessian",
        title="Second derivative of the output",
        statement="The second derivative of sample $i$'s output along any direction $U$.",
        left=sym.display(r"\mathrm{D}^2 f_i[U, U]"),
        relation="==",
        right=right,
        steps=(Step(right, r"differentiate the sum of units twice along $W + t U$ at $t = 0$"),),
        uses=("output",),
        source="chain rule",
        definition="second derivative of the output along U",
    )


def hessian_on_manifold(setting: Setting, records: Records) -> Record:
    """The loss's Hessian where the residual vanishes, twice J^T J."""
    before = records["loss_hessian"].right
    right = tidy(on_manifold(before, setting))
    return Record(
        name="hessian_on_manifold",
        title="Hessian of the loss on the manifold",
        statement="Where $f = y$ the Hessian of the loss is $2 J^T J$, so its form is $2 |J U|^2$.",
        left=sym.display(r"\mathrm{D}^2 L[U, U]"),
        relation="==",
        right=right,
        steps=(
            Step(before, "the Hessian at any parameters"),
            Step(right, "use $f = y$: the residual term vanishes"),
        ),
        uses=("loss_hessian",),
        source=PAPER,
        definition="second derivative of the loss along U",
    )


def sharpness(setting: Setting, records: Records) -> Record:
    """The trace of the loss's Hessian on the manifold."""
    full = setting.trace(setting.loss())
    named = name_output(full, setting)
    right = tidy(flatten(rename(on_manifold(full, setting), {sym.r: sym.j})))
    return Record(
        name="sharpness",
        title="Sharpness",
        statement="On the manifold the trace of the loss's Hessian is a sum over units and samples.",
        left=sym.F,
        relation="==",
        right=right,
        steps=(
            Step(full, r"add up the second derivatives by every parameter; $\sum_k X_{ik}^2 = s_i$"),
            Step(named, "write $f_i$ for the output"),
            Step(right, "use $f = y$: the residual term vanishes"),
        ),
        uses=("loss", "output"),
        source=f"{PAPER}; {OWN}",
        definition="trace of the Hessian of the loss",
    )


RULES = (
    output,
    loss,
    loss_gradient,
    loss_hessian,
    jacobian,
    gram_of_jacobian,
    output_hessian,
    hessian_on_manifold,
    sharpness,
)
"""In the order in which each may use those before it."""
