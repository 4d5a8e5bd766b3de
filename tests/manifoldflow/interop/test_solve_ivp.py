"""SciPy's `solve_ivp` on the manifold: order, events, dense output, sampling."""

import numpy as np
import pytest
from scipy.integrate import BDF, LSODA, OdeSolver, solve_ivp

import manifoldflow as mf
from manifoldflow.errors import InputError, ProjectionError
from manifoldflow.interop import flow_field, ode_solver
from tests.manifoldflow.conftest import problem
from tests.manifoldflow.oracle import fitted_order

BASES = ("RK23", "RK45", "DOP853", "Radau", "BDF")
ORDERS = {"RK23": 3, "RK45": 5, "DOP853": 8, "Radau": 5}
SPIN = np.array([[0.0, -3.0, 1.0], [3.0, 0.0, -2.0], [-1.0, 2.0, 0.0]])


def onto_sphere(y):
    return y / np.linalg.norm(y)


def turning(t, y):
    """A time-dependent rotation, with the closed form expm(sin(t) SPIN) y0."""
    return np.cos(t) * (SPIN @ y)


def turned(t, y):
    values, vectors = np.linalg.eig(SPIN)
    return (vectors @ np.diag(np.exp(np.sin(t) * values)) @ np.linalg.inv(vectors) @ y).real


START = onto_sphere(np.array([1.0, 2.0, -1.0]))


@pytest.mark.parametrize("base", ORDERS)
def test_the_order_is_kept(base):
    """Fixed steps (tolerances that any step meets) against a closed form."""
    steps = np.array([8, 12, 18, 27] if base == "DOP853" else [20, 40, 80, 160])
    errors = []
    for count in steps:
        h = 1.0 / count
        found = solve_ivp(
            turning, (0.0, 1.0), START, method=ode_solver(onto_sphere, base), rtol=1e10 if base != "Radau" else 1e-3,
            atol=1e10, max_step=h, first_step=h,
        )  # fmt: skip
        errors.append(np.linalg.norm(found.y[:, -1] - turned(1.0, START)))
        assert np.abs(np.linalg.norm(found.y, axis=0) - 1.0).max() < 4e-16
    assert fitted_order(1.0 / steps, errors) > ORDERS[base] - (0.6 if base != "Radau" else 1.5)


@pytest.mark.parametrize("base", BASES)
def test_tolerances_are_kept_on_the_flow(base):
    case = problem("cubic")
    end = 0.1
    exact = mf.sharpness_flow(case.man, case.theta, (0.0, end), rtol=1e-12, atol=1e-13).theta[-1]
    errors = []
    for rtol in (1e-5, 1e-7):
        found = solve_ivp(
            flow_field(case.man), (0.0, end), case.theta.ravel(), method=ode_solver(case.man, base), rtol=rtol,
            atol=1e-2 * rtol,
        )  # fmt: skip
        assert found.success
        points = found.y.T.reshape(-1, *case.man.shape)
        assert max(np.abs(case.man.residual(point)).max() for point in points) < 1e-11
        errors.append(np.linalg.norm(points[-1] - exact))
    assert errors[0] < 1e-3
    assert errors[1] < 0.2 * errors[0]


@pytest.mark.parametrize("base", BASES)
def test_events_dense_output_and_times(base):
    """With the plane y_0 = 0.2 as an event; everything that comes out is on the sphere and near the closed form."""
    level = lambda t, y: y[0] - 0.2  # noqa: E731
    times = np.linspace(0.0, 1.5, 7)
    found = solve_ivp(
        turning, (0.0, 1.5), START, method=ode_solver(onto_sphere, base), rtol=1e-7, atol=1e-9, events=level,
        dense_output=True, t_eval=times,
    )  # fmt: skip
    assert len(found.t_events[0]) >= 1
    for t, y in zip(found.t_events[0], found.y_events[0], strict=True):
        assert abs(y[0] - 0.2) < 1e-9
        assert np.linalg.norm(y - turned(t, START)) < 2e-4
    between = np.linspace(0.05, 1.45, 11)
    for t, y in [*zip(times, found.y.T, strict=True), *zip(between, found.sol(between).T, strict=True)]:
        assert abs(np.linalg.norm(y) - 1.0) < 4e-16
        assert np.linalg.norm(y - turned(t, START)) < 2e-4
    np.testing.assert_array_equal(found.sol(0.7), found.sol(np.array([0.7]))[:, 0])


def test_a_terminal_event_stops_on_the_manifold():
    case = problem("cubic")
    level = 0.5 * case.man.sharpness(case.theta)
    event = lambda t, y: case.man.sharpness(y.reshape(case.man.shape)) - level  # noqa: E731
    event.terminal = True
    solver = ode_solver(case.man, "RK45")
    found = solve_ivp(flow_field(case.man), (0.0, 10.0), case.theta.ravel(), method=solver, events=event, rtol=1e-8)
    assert found.status == 1
    assert case.man.sharpness(found.y[:, -1].reshape(case.man.shape)) == pytest.approx(level, rel=1e-6)


@pytest.mark.parametrize("name", ["cubic", "two_own", "wide_data"])
def test_the_field_is_the_flow_s_and_takes_columns(name):
    case = problem(name)
    field = flow_field(case.man)
    columns = np.stack([case.theta.ravel(), case.man.retraction(case.theta, case.tangent(2, 1e-2)).ravel()], axis=1)
    together = field(0.0, columns)
    assert together.shape == columns.shape
    for k in range(2):
        np.testing.assert_array_equal(together[:, k], field(0.0, columns[:, k]))
        point = columns[:, k].reshape(case.man.shape)
        np.testing.assert_allclose(together[:, k], -case.man.gradient(point).ravel(), rtol=1e-9, atol=1e-9)
    # Near M the gradient along the level set of f: what automatic differentiation of P grad F gives there.
    near = case.theta + 1e-3
    wanted = case.oracle.field(near)
    np.testing.assert_allclose(-field(0.0, near.ravel()), wanted, rtol=1e-8, atol=1e-8 * np.abs(wanted).max())
    ends = [
        solve_ivp(field, (0.0, 0.01), case.theta.ravel(), method=ode_solver(case.man, "Radau"), vectorized=vectorized).y
        for vectorized in (False, True)
    ]
    np.testing.assert_allclose(ends[0][:, -1], ends[1][:, -1], rtol=1e-6, atol=1e-9)


def test_the_part_orthogonal_to_the_data_does_not_move():
    case = problem("cubic")
    found = solve_ivp(flow_field(case.man), (0.0, 0.1), case.theta.ravel(), method=ode_solver(case.man, "RK45"))
    part = case.man.coordinates.orthogonal_part
    end = found.y[:, -1].reshape(case.man.shape)
    np.testing.assert_allclose(part(end), part(case.theta), atol=1e-14)


class Euler(OdeSolver):
    """Somebody's own one-step method, with state in y and slope in f."""

    def __init__(self, fun, t0, y0, t_bound, step=0.01, vectorized=False, **unused):
        super().__init__(fun, t0, y0, t_bound, vectorized)
        self.step_length, self.f = step, self.fun(t0, self.y)

    def _step_impl(self):
        h = min(self.step_length, self.t_bound - self.t)
        self.t, self.y = self.t + h, self.y + h * self.f
        self.f = self.fun(self.t, self.y)
        return True, None

    def _dense_output_impl(self):
        raise NotImplementedError


def test_any_one_step_method_can_be_the_base():
    errors = []
    for step in (0.02, 0.01, 0.005):
        found = solve_ivp(turning, (0.0, 1.0), START, method=ode_solver(onto_sphere, Euler), step=step)
        assert np.abs(np.linalg.norm(found.y, axis=0) - 1.0).max() < 4e-16
        errors.append(np.linalg.norm(found.y[:, -1] - turned(1.0, START)))
    assert 0.8 < fitted_order([0.02, 0.01, 0.005], errors) < 1.3


def test_backward_differences_are_told_of_the_projection():
    """Without it the next step begins from the point that is not on M."""
    Told = ode_solver(onto_sphere, "BDF")

    class Untold(Told):
        def _move(self, shift):
            self.y = self.y + shift

    drift = {}
    for method in (Told, Untold):
        solver = method(turning, 0.0, START, 1.0, rtol=1e-5, atol=1e-7)
        for _ in range(20):
            solver.step()
        assert abs(np.linalg.norm(solver.y) - 1.0) < 4e-16
        drift[method] = abs(np.linalg.norm(solver.D[0]) - 1.0)
    assert drift[Told] < 1e-15
    assert drift[Untold] > 1e-8


@pytest.mark.parametrize("base", ["LSODA", LSODA, "Euler", None, int, 3])
def test_bases_that_cannot_be_projected_are_refused(base):
    with pytest.raises(InputError, match="base must be one of 'RK23'"):
        ode_solver(onto_sphere, base)


def test_arguments():
    case = problem("cubic")
    solver, field = ode_solver(case.man, BDF), flow_field(case.man)
    with pytest.raises(InputError, match="manifold must be a ZeroLossManifold or a function"):
        ode_solver(3)
    with pytest.raises(InputError, match="The start is not on the manifold"):
        solve_ivp(field, (0.0, 1.0), case.theta.ravel() + 0.1, method=solver)
    with pytest.raises(InputError, match="must be a flattened point of shape"):
        solve_ivp(field, (0.0, 1.0), np.zeros(3), method=solver)
    with pytest.raises(InputError, match="must keep the shape"):
        solve_ivp(turning, (0.0, 1.0), START, method=ode_solver(lambda y: y[:2]))
    with pytest.raises(InputError, match="manifold must be a ZeroLossManifold"):
        flow_field(onto_sphere)
    far = lambda t, y: 1e60 * np.ones_like(y)  # noqa: E731
    with pytest.raises(ProjectionError):
        solve_ivp(far, (0.0, 1.0), case.theta.ravel(), method=ode_solver(case.man, Euler))
