"""What follows from convexity, for units a phi(z): minimum, rates, distances, confinement."""

from __future__ import annotations

from sympy import sqrt

from derivations import symbols as sym
from derivations.functions import ActivationDerivative
from derivations.records import Record, Step
from derivations.rules.convexity import hessian_weight, row_weight
from derivations.rules.loss import PAPER, Records
from derivations.rules.setting import Setting
from derivations.sums import contract, over, summand

_DECAY = sym.display(r"\mathrm{d} |\mathrm{grad}\, F|^2 / \mathrm{d} t")


def flattest_value(setting: Setting, records: Records) -> Record:
    """The least sharpness (S2)."""
    share = summand(records["sharpness"].right).subs(sym.a[sym.j, sym.i], 1)
    at_rest = share.subs(sym.Z[sym.j, sym.i], sym.zeta[sym.i])
    right = over(contract(over(at_rest, sym.j)), sym.i)
    return Record(
        name="flattest_value",
        title="The least sharpness",
        statement=(
            r"With $a_{ji} = 1$ the only stationary point on the manifold is $z_{ji} = \zeta_i$ with "
            r"$\phi(\zeta_i) = y_i / m$ for all units, and there $F$ takes its least value: in the coordinates "
            r"$q_{ji} = \phi(z_{ji})$ it is strictly convex on an affine set."
        ),
        left=sym.Fstar,
        relation="==",
        right=right,
        steps=(
            Step(share, r"a summand of $F$ for $a_{ji} = 1$"),
            Step(at_rest, r"all units agree at rest; $\sum_j \phi(z_{ji}) = y_i$ makes this $\phi(\zeta_i) = y_i / m$"),
            Step(right, r"add up $m$ equal terms for every sample"),
        ),
        uses=("sharpness", "stationarity", "hidden_convexity", "A1", "A2"),
        source=f"{PAPER}, S2",
        definition="trace of the Hessian of the loss where all pre-activations of a sample are equal",
    )


def feature_slope(setting: Setting, records: Records) -> Record:
    """How the output grows with the multiplier along stationary features (S10)."""
    z = sym.Z[sym.j, sym.i]
    unit = summand(records["output"].right)
    bend = unit.diff(z, 2)
    right = over(unit.diff(z) / bend.diff(z), sym.j)
    return Record(
        name="feature_slope",
        title="Stationary features for any coefficients",
        statement=(
            r"At rest $a_{ji} \phi''(z_{ji}) = \nu_i$ for all units, with $\nu_i = \lambda_i / (4 s_i)$. Along the "
            r"pre-activations that satisfy this, the output grows with $\nu_i$, whatever the signs of the "
            r"coefficients: one $\nu_i$ at most gives $f_i = y_i$, so the stationary features are unique."
        ),
        left=sym.display(r"\mathrm{d} f_i / \mathrm{d} \nu_i"),
        relation="==",
        right=right,
        steps=(
            Step(bend, r"stationarity: this equals $\nu_i$ for every unit"),
            Step(1 / bend.diff(z), r"so $\mathrm{d} z_{ji} / \mathrm{d} \nu_i$ is this"),
            Step(
                right,
                r"multiply by $\mathrm{d} f_i / \mathrm{d} z_{ji}$ and add up; every term is positive under A1",
            ),
        ),
        uses=("output", "stationarity", "A1"),
        source="S10, beyond the paper",
        definition="slope of the unit over its third derivative, added up",
    )


def modulus(setting: Setting, records: Records) -> Record:
    """The constant of local convexity (S3)."""
    pointwise = records["convexity_bound"].right
    z = sym.Z[sym.j, sym.i]
    weakest = pointwise.subs({ActivationDerivative(1, z): sym.rho1, ActivationDerivative(3, z): sym.rho2})
    right = weakest * sym.mu
    return Record(
        name="modulus",
        title="Constant of local convexity",
        statement=(
            r"Where $|\mathrm{grad}\, F| \le r_\kappa = \kappa \sqrt{\mu}\, \beta \tau$ with $0 < \kappa \le 4$, the "
            r"Hessian is bounded below on tangent $U$ in the data's span; the bound is called $c_\kappa$."
        ),
        left=sym.display(r"\mathrm{Hess}\, F[U, U] / |U|^2"),
        relation=">=",
        right=right,
        steps=(
            Step(pointwise, r"the bound on every $E_{ji}$"),
            Step(weakest, r"$\phi' \ge \rho_1$ and $\phi''' \ge \rho_2$"),
            Step(right, r"$\sum_{ji} u_{ji}^2 = |U X^T|^2 \ge \mu |U|^2$"),
        ),
        uses=("riemannian_hessian", "convexity_bound", "A1", "A2", "A3"),
        source=f"{PAPER}, S3",
        definition="Riemannian Hessian over the squared norm of the direction",
    )


def entry_time(setting: Setting, records: Records) -> Record:
    """When the flow has entered the convex region (S4)."""
    right = sym.F0 / sym.radius**2
    return Record(
        name="entry_time",
        title="Time to the convex region",
        statement=(
            r"The flow is in the region $|\mathrm{grad}\, F| \le r_\kappa$ no later than this. It never leaves it "
            r"again, since [](#eq-local_decay) holds there."
        ),
        left=sym.display(r"t_{\mathrm{enter}}"),
        relation="<=",
        right=right,
        steps=(
            Step(-(sym.gnorm**2), r"$\mathrm{d} F / \mathrm{d} t$ along the flow"),
            Step(sym.radius**2 * sym.t, r"outside the region $F$ has fallen by at least this after the time $t$"),
            Step(right, r"$F$ is not negative, so it can fall by $F_0$ at most"),
        ),
        uses=("riemannian_gradient", "modulus"),
        source=f"{PAPER}, S4",
        definition="time spent where the gradient is larger than the radius",
    )


def local_decay(setting: Setting, records: Records) -> Record:
    """Exponential convergence within the convex region (S4)."""
    exact = records["gradient_decay"].right
    right = -2 * sym.modulus * sym.gnorm**2
    return Record(
        name="local_decay",
        title="Exponential convergence",
        statement=(
            r"Within the region the squared norm of the gradient falls at least at the rate $2 c_\kappa$, "
            r"$c_\kappa$ being the bound of [](#eq-modulus)."
        ),
        left=_DECAY,
        relation="<=",
        right=right,
        steps=(
            Step(exact, r"along the flow, with $u$ the pre-activations of $U = -\mathrm{grad}\, F$"),
            Step(right, r"bound the form by $c_\kappa |U|^2$"),
        ),
        uses=("gradient_decay", "modulus"),
        source=f"{PAPER}, S4",
        definition="derivative of the squared norm of the gradient along the flow",
    )


def local_pl(setting: Setting, records: Records) -> Record:
    """The Polyak-Lojasiewicz inequality within the convex region (S5)."""
    right = 2 * sym.modulus * (sym.F - sym.Fstar)
    return Record(
        name="local_pl",
        title="Local Polyak-Lojasiewicz inequality",
        statement=r"Within the region the gradient controls how far $F$ is from its least value.",
        left=sym.display(r"|\mathrm{grad}\, F|^2"),
        relation=">=",
        right=right,
        steps=(
            Step(
                sym.gnorm**2 / (2 * sym.modulus),
                r"along the flow $F - F_\star = \int |\mathrm{grad}\, F|^2 \mathrm{d} t$ is at most this, by "
                r"[](#eq-local_decay)",
            ),
            Step(right, r"solve for the gradient at the start of that path, which may be any point of the region"),
        ),
        uses=("local_decay", "flattest_value"),
        source="S5",
        definition="squared norm of the tangential part of grad F",
    )


def distance(setting: Setting, records: Records) -> Record:
    """How far pre-activations are from the flattest point (S6)."""
    scaled = (row_weight(records) / setting.slope()).subs(sym.a[sym.j, sym.i], 1).expand()
    spread = 2 * sym.gnorm / (sqrt(sym.mu) * sym.rho1)
    right = spread / (4 * sym.s[sym.i] * sym.rho2)
    return Record(
        name="distance",
        title="Distance to the flattest point",
        statement=(
            r"With $a_{ji} = 1$ the gradient bounds how far any pre-activation is from its value $\zeta_i$ at the "
            r"flattest point."
        ),
        left=sym.display(r"|z_{ji} - \zeta_i|"),
        relation="<=",
        right=right,
        steps=(
            Step(
                scaled,
                r"$C_{ji}$ over the slope of the unit; between two units of a sample only the first term differs",
            ),
            Step(
                spread,
                r"that difference is at most this, since $|C_{ji}| \le |\mathrm{grad}\, F| / \sqrt{\mu}$ for both "
                r"and $\phi' \ge \rho_1$",
            ),
            Step(
                right,
                r"$\phi''$ grows at the rate $\rho_2$ at least, and $\zeta_i$ lies between the least and the largest "
                r"$z_{ji}$",
            ),
        ),
        uses=("riemannian_gradient", "flattest_value", "A1", "A2"),
        source="S6",
        definition="distance of a pre-activation from the one at which phi has its mean",
    )


def confinement(setting: Setting, records: Records) -> Record:
    """What the sharpness at the start says of all later pre-activations (S7)."""
    share = summand(records["sharpness"].right)
    z = sym.Z[sym.j, sym.i]
    right = sym.F0 / (share / ActivationDerivative(1, z) ** 2)
    return Record(
        name="confinement",
        title="Constants known at the start",
        statement=(
            r"The flow never raises $F$, so at all times the slopes obey this bound. Where $\phi'$ is convex the bound "
            r"confines each pre-activation to an interval; $\rho_1$, $\rho_2$, $\beta$ and $\gamma$ are taken over it."
        ),
        left=ActivationDerivative(1, z) ** 2,
        relation="<=",
        right=right,
        steps=(
            Step(share, r"a summand of $F$; no summand is negative"),
            Step(right, r"so it is at most $F \le F_0$: divide"),
        ),
        uses=("sharpness", "riemannian_gradient"),
        source="S7",
        definition="squared slope of the activation",
    )


def gradient_decay(setting: Setting, records: Records) -> Record:
    """How the norm of the gradient changes along the flow (S4)."""
    weight = hessian_weight(records)
    right = over(-2 * weight * sym.u[sym.j, sym.i] ** 2, sym.j, sym.i)
    form = records["riemannian_hessian"].right
    return Record(
        name="gradient_decay",
        title="Change of the gradient along the flow",
        statement=r"Along the flow, with $u_{ji}$ the pre-activations of its velocity $U = -\mathrm{grad}\, F$.",
        left=_DECAY,
        relation="==",
        right=right,
        steps=(
            Step(
                form,
                r"the velocity $U = -\mathrm{grad}\, F$ changes by $-\mathrm{Hess}\, F[U]$; its inner product with "
                r"$U$ is minus this",
            ),
            Step(right, r"the derivative of $|U|^2$ is twice that"),
        ),
        uses=("riemannian_gradient", "riemannian_hessian"),
        source=f"{PAPER}, in the proof of S4",
        definition="derivative along the flow of the squared norm of the tangential part of grad F",
    )


RULES_OF_THEOREMS = (flattest_value, feature_slope, modulus, local_decay, entry_time, local_pl, distance, confinement)
"""For units a phi(z) only."""
