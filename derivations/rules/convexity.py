"""Statements about flat and convex regions, for units without scalars of their own (p = 0)."""

from __future__ import annotations

from sympy import Abs, Expr, Mul, cancel, expand, expand_mul, factor_terms, solve

from derivations import symbols as sym
from derivations.calculus import coefficient, form_entry
from derivations.functions import ActivationDerivative
from derivations.records import Record, Step
from derivations.rules.loss import PAPER, Records
from derivations.rules.setting import Setting
from derivations.sums import over, summand


def row_weight(records: Records) -> Expr:
    """The coefficient C_ji of sample x_i in unit j's block of the Riemannian gradient."""
    return coefficient(summand(records["riemannian_gradient"].right), sym.X[sym.i, sym.k])


def hessian_weight(records: Records, name: str = "riemannian_hessian") -> Expr:
    """The coefficient E_ji of u_ji^2 in a form of the Riemannian Hessian."""
    moved = sym.u[sym.j, sym.i]
    return form_entry(summand(records[name].right), moved, moved)


def stationarity(setting: Setting, records: Records) -> Record:
    """Where the flow rests (S1)."""
    weight, slope = row_weight(records), setting.slope()
    right = expand(cancel(weight / slope))
    return Record(
        name="stationarity",
        title="Stationary points",
        statement=(
            r"Where $G$ is invertible and the units' slopes do not vanish, $\mathrm{grad}\, F = 0$ exactly if for "
            r"every "
            r"sample $i$ the second derivative takes the same value, $\lambda_i / (4 s_i)$, at every unit $j$; for "
            "equal coefficients and increasing second derivative all units then agree on the data."
        ),
        left=sym.C[sym.j, sym.i],
        relation="iff",
        right=right,
        steps=(
            Step(
                weight,
                r"$C_{ji}$, the coefficient of $x_i$ in block $j$ of $\mathrm{grad}\, F$; the rows $x_i$ are "
                r"independent",
            ),
            Step(right, "divide by the slope of the unit, which does not vanish"),
        ),
        uses=("riemannian_gradient", "A1", "A2"),
        source=f"{PAPER}, S1",
        definition="C = grad F X^T G^-1, divided by the slope of the unit",
    )


def hessian_in_features(setting: Setting, records: Records) -> Record:
    """The Riemannian Hessian with the multipliers eliminated in favour of C."""
    weight, curvature = row_weight(records), hessian_weight(records)
    multiplier = solve(weight - sym.C[sym.j, sym.i], sym.lam[sym.i])[0]
    entry = expand(expand(curvature).subs(sym.lam[sym.i], expand(multiplier)))
    right = over(entry * sym.u[sym.j, sym.i] ** 2, sym.j, sym.i)
    return Record(
        name="hessian_in_features",
        title="Riemannian Hessian by the gradient's coefficients",
        statement=(
            "Where the slopes do not vanish, the multipliers in $E$ can be replaced by $C$, which vanishes at rest."
        ),
        left=sym.display(r"\mathrm{Hess}\, F[U, U]"),
        relation="==",
        right=right,
        steps=(
            Step(multiplier, r"solve the formula of $C_{ji}$ for $\lambda_i$"),
            Step(right, "insert this in the Riemannian Hessian; the squares of the second derivative cancel"),
        ),
        uses=("riemannian_gradient", "riemannian_hessian"),
        source=f"{PAPER}, in the proof of S3",
        definition="U times the derivative along U of the tangential part of grad F",
    )


def hidden_convexity(setting: Setting, records: Records) -> Record:
    """F is separable and convex in the coordinates q = psi (S13)."""
    share = summand(records["sharpness"].right) / (2 * sym.s[sym.i])
    slope, z = setting.slope(), sym.Z[sym.j, sym.i]
    first = cancel(share.diff(z) / slope)
    right = cancel(first.diff(z) / slope)
    return Record(
        name="hidden_convexity",
        title="Hidden convexity",
        statement=(
            r"In the coordinates $q_{ji} = \psi(z_{ji}; a_{ji})$ the constraint is affine and $F = 2 \sum_{ji} s_i "
            r"g_{ji}(q_{ji})$ is "
            "separable; $g_{ji}$ is convex where the unit's third and first derivatives have the same sign."
        ),
        left=sym.display(r"\mathrm{d}^2 g / \mathrm{d} q_{ji}^2"),
        relation="==",
        right=right,
        steps=(
            Step(share, "$g_{ji}$, a summand of $F$ divided by $2 s_i$"),
            Step(
                first,
                r"$\mathrm{d} / \mathrm{d} q$ is $\mathrm{d} / \mathrm{d} z$ divided by $\mathrm{d} q / \mathrm{d} "
                r"z$, the slope of the unit",
            ),
            Step(right, "once more"),
        ),
        uses=("sharpness", "A2"),
        source="S13, beyond the paper",
        definition="second derivative of a summand of F / (2 s_i) by q, z as a function of q",
    )


def convexity_bound(setting: Setting, records: Records) -> Record:
    """Small gradients make the Hessian positive (S3)."""
    weight = hessian_weight(records, "hessian_in_features")
    tilt = coefficient(weight, sym.C[sym.j, sym.i])
    upright = (weight - tilt * sym.C[sym.j, sym.i]).expand()
    scale = upright / (4 * sym.a[sym.j, sym.i] ** 2 * sym.s[sym.i])
    normal = normality(records)
    worst = upright - Abs(tilt) * sym.kappa * sym.beta * sym.tau
    bounded = upright - scale / sym.beta * sym.kappa * sym.beta * sym.tau
    right = factor_terms(expand_mul(bounded).subs(sym.a[sym.j, sym.i] ** 2 * sym.s[sym.i], sym.tau))
    return Record(
        name="convexity_bound",
        title="Local convexity",
        statement=(
            r"Let $\phi' > 0$, $\phi''' > 0$, $\beta |\phi''| \le \phi'^2 \phi'''$ and $\tau = \min a_{ji}^2 s_i$. For "
            r"$\kappa \le 4$, $|C_{ji}| \le \kappa \beta \tau$, which follows from $|\mathrm{grad}\, F| \le \kappa "
            r"\sqrt{\mu}\, \beta \tau$, "
            "implies this bound."
        ),
        left=sym.E[sym.j, sym.i],
        relation=">=",
        right=right,
        steps=(
            Step(weight, "$E_{ji}$ by the coefficients of the gradient"),
            Step(worst, r"$|C_{ji}| \le \kappa \beta \tau$, as $\mu C_{ji}^2 \le |\mathrm{grad}\, F|^2$"),
            Step(
                normal,
                r"A3 bounds $\beta$ by the absolute value of this, so that $\beta$ times the coefficient of $C$ in "
                r"$E$ is at most $\phi' \phi'''$",
            ),
            Step(bounded, "insert the bound of A3"),
            Step(right, r"$a_{ji}^2 s_i \ge \tau$"),
        ),
        uses=(
            "riemannian_gradient",
            "hessian_in_features",
            "A1",
            "A2",
            "A3",
        ),
        source=f"{PAPER}, S3; for any coefficients S10, beyond the paper",
        definition="second derivative in z of h - lambda psi, lambda such that its first derivative is C_ji",
    )


def normality(records: Records) -> Expr:
    """The largest beta of A3: the upright part of E, per 4 a^2 s, over the coefficient of C in E."""
    weight = hessian_weight(records, "hessian_in_features")
    tilt = coefficient(weight, sym.C[sym.j, sym.i])
    upright = (weight - tilt * sym.C[sym.j, sym.i]).expand()
    return Mul(upright / (4 * sym.a[sym.j, sym.i] ** 2 * sym.s[sym.i]), 1 / tilt)


def global_rate(setting: Setting, records: Records) -> Record:
    """The Polyak-Lojasiewicz inequality on the whole manifold (S13)."""
    convexity = records["hidden_convexity"].right
    ratio = _slope_ratio()
    modulus = (2 * sym.s[sym.i] * convexity).subs(ratio, sym.gamma).subs(sym.s[sym.i], sym.s_min)
    coordinates = 2 * modulus * (sym.F - sym.Fstar)
    right = sym.mu * sym.a2_min * sym.rho1**2 * coordinates
    return Record(
        name="global_rate",
        title="Global rate",
        statement=(
            r"Under A1 and A2 the gradient controls $F - F_\star$ from every start; $\rho_1$ bounds "
            r"$\phi'$ and $\gamma$ bounds $\phi''' / \phi'$ from below on the interval in which the pre-activations "
            r"stay. So $F - F_\star$ falls exponentially, at least at the rate by which it is multiplied here."
        ),
        left=sym.display(r"|\mathrm{grad}\, F|^2"),
        relation=">=",
        right=right,
        steps=(
            Step(
                modulus,
                r"in the coordinates $q$, $F = 2 \sum_{ji} s_i g_{ji}(q_{ji})$ is strongly convex with this modulus",
            ),
            Step(
                coordinates,
                r"the squared gradient along the affine constraint is then at least twice the modulus times $F - "
                r"F_\star$",
            ),
            Step(
                right,
                r"$C_{ji} / (a_{ji} \phi'(z_{ji}))$ differs from that gradient by a normal part; $|\mathrm{grad}\, "
                r"F|^2 \ge \mu |C|^2$",
            ),
        ),
        uses=("hidden_convexity", "riemannian_gradient", "A1", "A2"),
        source="S13, beyond the paper",
        definition="squared norm of the tangential part of grad F",
    )


def _slope_ratio() -> Expr:
    z = sym.Z[sym.j, sym.i]
    return ActivationDerivative(3, z) / ActivationDerivative(1, z)


RULES_WITHOUT_OWN = (stationarity, hessian_in_features, hidden_convexity)
"""For any unit with p = 0."""

RULES_OF_ACTIVATIONS = (convexity_bound, global_rate)
"""For units a phi(z) only."""
