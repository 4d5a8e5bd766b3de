"""The manifold against the oracle, and the properties of its points, projections, curves and reduced form.

Tolerances are relative and a few hundred roundings wide; where a system with K is solved they carry its condition
number. Order tests use step lengths at which the neglected term stays above 100 roundings.
"""

import copy
import pickle

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow.compiled import geometry, lapack
from manifoldflow.compiled.geometry import workspace
from manifoldflow.compiled.lines import whole
from manifoldflow.errors import GeometryError, ProjectionError
from tests.manifoldflow.conftest import SMALL, problem
from tests.manifoldflow.oracle import fitted_order, relative, signed_squares

EPS = np.finfo(float).eps


# --- against the oracle ---------------------------------------------------------------------------


def test_the_oracle_knows_that_sharpness_is_the_trace_of_the_hessian_on_m_only(each):
    trace = each.oracle.hessian_trace(each.theta)
    assert relative(each.oracle.sharpness(each.theta), trace) < 1e-12
    away = each.theta + each.direction(size=0.5)
    # Off M the trace has (f - y) tr D^2 f too, which vanishes for u^2 - v^2 alone.
    harmonic = each.psi is signed_squares
    assert (relative(each.oracle.sharpness(away), each.oracle.hessian_trace(away)) < 1e-3) == harmonic


def test_outputs_and_jacobian(each):
    away = each.theta + each.direction(seed=5)
    for theta in (each.theta, away):
        assert relative(each.man.predict(theta), each.oracle.output(theta)) < 1e-13
        np.testing.assert_allclose(each.man.residual(theta), each.oracle.output(theta) - each.y, atol=1e-13)
        assert relative(each.man.jacobian(theta), each.oracle.jacobian(theta)) < 1e-13
        d = each.inputs.shape[1]
        np.testing.assert_allclose(each.man.preactivations(theta), theta[:, :d] @ each.inputs.T, atol=1e-13)
    assert each.man.jacobian(away).shape == (each.y.size, *each.man.shape)


def test_sharpness_gradient_and_multipliers(each):
    assert relative(each.man.sharpness(each.theta), each.oracle.hessian_trace(each.theta)) < 1e-12
    assert relative(each.man.gradient(each.theta), each.oracle.gradient(each.theta)) < 1e-11
    assert relative(each.man.multipliers(each.theta), each.oracle.multipliers(each.theta)) < 1e-11


def test_hessian_vector_product(each):
    for seed in range(3):
        u = each.direction(seed)
        wanted = each.oracle.hessian_vector_product(each.theta, u)
        assert relative(each.man.hessian_vector_product(each.theta, u), wanted) < 1e-11


@pytest.mark.parametrize("name", ["cubic", "trained", "two_own", "per_sample", "diagonal"])
def test_hessian_spectrum(name):
    case = problem(name)
    wanted = case.oracle.spectrum(case.theta)
    got = case.man.hessian_spectrum(case.theta)
    assert got.shape == wanted.shape == (case.man.dimension,)
    assert np.all(np.diff(got) >= 0)
    np.testing.assert_allclose(got, wanted, atol=1e-11 * np.abs(wanted).max())


def test_projection(each):
    P = each.oracle.projector(each.theta)
    u = each.direction(4)
    got = each.man.projection(each.theta, u)
    assert relative(got, (P @ u.ravel()).reshape(u.shape)) < 1e-12
    assert relative(each.man.projection(each.theta, got), got) < 1e-13
    tangency = each.oracle.jacobian(each.theta).reshape(each.y.size, -1) @ got.ravel()
    assert np.abs(tangency).max() < 1e-12


def test_hessian_is_symmetric_and_sees_only_the_tangent_part(each):
    u, v = each.direction(1), each.direction(2)
    Hu, Hv = each.man.hessian_vector_product(each.theta, u), each.man.hessian_vector_product(each.theta, v)
    assert np.vdot(Hu, v) == pytest.approx(np.vdot(Hv, u), rel=1e-10, abs=1e-11 * np.linalg.norm(Hu))
    tangent = each.man.projection(each.theta, u)
    assert relative(each.man.hessian_vector_product(each.theta, tangent), Hu) < 1e-11


def test_a_wrong_formula_would_be_seen():
    """Negative control: the oracle of a unit that differs by one part in 1e8 fails the tests above."""
    case = problem("cubic")
    wrong = type(case.oracle)(lambda z, c, a: a * (z**3 + (1 + 1e-8) * z), case.X, case.y, case.oracle.a)
    assert relative(case.man.gradient(case.theta), wrong.gradient(case.theta)) > 1e-9


def test_large_d():
    case = problem("large_d")
    assert relative(case.man.sharpness(case.theta), case.oracle.sharpness(case.theta)) < 1e-12
    assert relative(case.man.gradient(case.theta), case.oracle.gradient(case.theta)) < 1e-11
    u = case.direction()
    tangent = case.oracle.projected(case.theta, u.ravel()).reshape(u.shape)
    assert relative(case.man.projection(case.theta, u), tangent) < 1e-12
    Hu = case.oracle.hessian_vector_product(case.theta, u)
    assert relative(case.man.hessian_vector_product(case.theta, u), Hu) < 1e-11


def test_ill_conditioned_data():
    case = problem("ill")
    gram = case.X @ case.X.T
    assert np.linalg.cond(gram) == pytest.approx(1e6, rel=1e-6)
    # A solve with K loses cond(K)^(1/2) eps against the normal part, which P removes, and cond(K) eps in lambda.
    assert relative(case.man.gradient(case.theta), case.oracle.gradient(case.theta)) < 1e-9
    assert relative(case.man.multipliers(case.theta), case.oracle.multipliers(case.theta)) < 1e-9
    u = case.direction()
    Hu = case.oracle.hessian_vector_product(case.theta, u)
    assert relative(case.man.hessian_vector_product(case.theta, u), Hu) < 1e-9
    assert case.man.mu == pytest.approx(np.linalg.eigvalsh(gram)[0], rel=1e-9)


def test_sizes_and_constants_of_the_data(each):
    gram = each.inputs @ each.inputs.T
    rank = np.linalg.matrix_rank(each.inputs) if each.inputs.size else 0
    assert (each.man.n, each.man.m) == (each.y.size, len(each.network.coefficients(each.X)))
    assert each.man.dimension == each.man.m * (rank + each.network.p) - each.man.n
    assert each.man.s_min == pytest.approx(np.diag(gram).min(), rel=1e-13)
    assert each.man.mu == pytest.approx(np.linalg.eigvalsh(gram)[0] if rank == each.y.size else 0.0, rel=1e-11)


# --- points ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*SMALL, "ill", "large_d"])
def test_random_points_lie_on_m_and_follow_their_seed(name):
    man = problem(name).man
    points = [man.random_point(rng=seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(points[0], points[1])
    assert relative(points[0], points[2]) > 0.1
    for theta in (points[0], points[2]):
        assert np.abs(problem(name).oracle.output(theta) - man.y).max() < 1e-13 * (1 + np.abs(man.y).max())
    np.testing.assert_array_equal(man.random_point(rng=np.random.default_rng(0)), points[0])


def test_nearest_point_is_optimal_and_idempotent(each):
    away = each.theta + each.direction(seed=8, size=0.05)
    nearest = each.man.nearest_point(away)
    assert np.abs(each.oracle.output(nearest) - each.y).max() < 1e-13 * (1 + np.abs(each.y).max())
    tangent_part = each.oracle.projector(nearest) @ (away - nearest).ravel()
    assert np.linalg.norm(tangent_part) < 1e-11
    assert relative(each.man.nearest_point(nearest), nearest) < 1e-13
    distance = np.linalg.norm(away - nearest)
    assert distance < np.linalg.norm(away - each.theta)
    assert distance <= np.linalg.norm(away - each.man.retraction(each.theta, away - each.theta)) + 1e-14


# --- curves ---------------------------------------------------------------------------------------

# Errors c t^p at t from 0.04 to 0.01: for p = 3 they are from 6e-5 to 1e-6 of c, far above the 1e-13 to which points
# are on M, and the next term changes the fitted order by about t = 0.04 times a ratio of derivatives.
STEPS = np.array([0.04, 0.02, 0.01])


@pytest.mark.parametrize("name", [name for name in SMALL if name not in ("tanh", "squares")])
def test_retraction_agrees_with_exp_to_third_order(name):
    case = problem(name)
    u = case.tangent()
    errors = [np.linalg.norm(case.man.retraction(case.theta, t * u) - case.man.exp(case.theta, t * u)) for t in STEPS]
    assert fitted_order(STEPS, errors) == pytest.approx(3.0, abs=0.35)
    first_order = [np.linalg.norm(case.man.retraction(case.theta, t * u) - case.theta - t * u) for t in STEPS]
    assert fitted_order(STEPS, first_order) == pytest.approx(2.0, abs=0.25)


def test_sharpness_along_a_geodesic_has_the_gradient_and_hessian_as_its_derivatives():
    case = problem("cubic")
    u = case.tangent(seed=2)
    slope = np.vdot(case.man.gradient(case.theta), u)
    curvature = np.vdot(case.man.hessian_vector_product(case.theta, u), u)
    F = case.man.sharpness(case.theta)
    along = [case.man.sharpness(case.man.exp(case.theta, t * u)) for t in STEPS]
    taylor = along - (F + STEPS * slope + 0.5 * STEPS**2 * curvature)
    assert fitted_order(STEPS, np.abs(taylor)) == pytest.approx(3.0, abs=0.35)


def test_exp_stays_on_m_with_constant_speed(each):
    u = each.tangent(size=0.5)
    middle, end = each.man.exp(each.theta, 0.5 * u), each.man.exp(each.theta, u)
    for theta in (middle, end):
        assert np.abs(each.oracle.output(theta) - each.y).max() < 1e-12
    velocity = each.man.transport(each.theta, u, u)
    assert np.linalg.norm(velocity) == pytest.approx(0.5, rel=1e-10)
    # Going on from the middle with the transported half velocity ends at the same point.
    half = each.man.transport(each.theta, 0.5 * u, 0.5 * u)
    assert relative(each.man.exp(middle, half), end) < 1e-10
    assert relative(each.man.exp(end, -velocity), each.theta) < 1e-9


def test_transport_is_an_isometry_of_tangent_spaces(each):
    u = each.tangent(size=0.5)
    vectors = [each.tangent(seed) for seed in (1, 2, 3)]
    end = each.man.exp(each.theta, u)
    carried = [each.man.transport(each.theta, v, u) for v in vectors]
    before = np.array([[np.vdot(v, w) for w in vectors] for v in vectors])
    after = np.array([[np.vdot(v, w) for w in carried] for v in carried])
    np.testing.assert_allclose(after, before, atol=1e-10)
    J = each.oracle.jacobian(end).reshape(each.y.size, -1)
    assert max(np.abs(J @ v.ravel()).max() for v in carried) < 1e-10


def test_the_part_orthogonal_to_the_data_is_carried_along(cubic):
    rows = np.linalg.svd(cubic.X, full_matrices=False)[2]
    outside = np.eye(cubic.X.shape[1]) - rows.T @ rows
    u = cubic.direction(seed=6, size=0.1)
    man, theta = cubic.man, cubic.theta
    for point in (man.retraction(theta, u), man.nearest_point(theta + u), man.exp(theta, u)):
        np.testing.assert_allclose(point @ outside, (theta + u) @ outside, atol=1e-14)
    np.testing.assert_allclose(man.projection(theta, u) @ outside, u @ outside, atol=1e-15)
    np.testing.assert_allclose(man.transport(theta, u, u) @ outside, u @ outside, atol=1e-14)
    for vector in (man.gradient(theta), man.hessian_vector_product(theta, u)):
        np.testing.assert_allclose(vector @ outside, 0.0, atol=20 * EPS * np.linalg.norm(vector))


# --- reduced form, copies, d ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cubic", "trained", "per_sample", "diagonal", "wide_data", "large_d"])
def test_the_reduced_manifold_is_isometric(name):
    man, theta = problem(name).man, problem(name).theta
    reduced, W = man.reduced, man.coordinates.reduce(theta)
    u = problem(name).direction()
    assert reduced.shape == W.shape == (man.m, man.coordinates.rank + man.network.p)
    assert relative(reduced.predict(W), man.predict(theta)) < 1e-12
    assert reduced.sharpness(W) == pytest.approx(man.sharpness(theta), rel=1e-13)
    assert relative(man.coordinates.expand(reduced.gradient(W)), man.gradient(theta)) < 1e-11
    assert np.linalg.norm(reduced.gradient(W)) == pytest.approx(np.linalg.norm(man.gradient(theta)), rel=1e-11)
    Hu = reduced.hessian_vector_product(W, man.coordinates.reduce(u))
    assert relative(man.coordinates.expand(Hu), man.hessian_vector_product(theta, u)) < 1e-11
    assert reduced.reduced.shape == reduced.shape


def test_coordinates_are_an_isometry_and_its_inverse():
    coordinates = problem("trained").man.coordinates
    W = np.random.default_rng(0).normal(size=(4, coordinates.rank + 1))
    theta = coordinates.expand(W)
    assert relative(coordinates.reduce(theta), W) < 1e-14
    assert np.linalg.norm(theta) == pytest.approx(np.linalg.norm(W), rel=1e-14)
    other = np.random.default_rng(1).normal(size=theta.shape)
    parts = coordinates.expand(coordinates.reduce(other)) + coordinates.orthogonal_part(other)
    assert relative(parts, other) < 1e-14
    assert np.all(coordinates.orthogonal_part(theta)[:, -1] == 0.0)


def test_no_array_of_the_compiled_problem_knows_d():
    man = problem("large_d").man
    sizes = [array.size for array in (*man.problem[1:], *workspace(man.m, man.n, 0))]
    assert max(sizes) <= man.n * whole(max(man.n, man.m))
    assert man.reduced.X.shape == (10, 10)


@pytest.mark.parametrize("name", ["cubic", "signed", "trained"])
def test_pickles_and_copies_compute_the_same_bits(name):
    man, theta = problem(name).man, problem(name).theta
    # Not a file from elsewhere: the bytes were made a moment ago.
    for again in (pickle.loads(pickle.dumps(man)), copy.copy(man), copy.deepcopy(man)):
        assert again is not man
        np.testing.assert_array_equal(again.gradient(theta), man.gradient(theta))
        np.testing.assert_array_equal(again.random_point(rng=5), man.random_point(rng=5))


def test_arguments_are_not_changed_and_results_are_fresh(cubic):
    X, y = cubic.X.copy(), cubic.y.copy()
    man = mf.ZeroLossManifold(cubic.network, X, y)
    theta, u = cubic.theta.copy(), cubic.direction()
    kept = theta.copy(), u.copy()
    results = [
        man.gradient(theta), man.projection(theta, u), man.retraction(theta, 0.01 * u), man.nearest_point(theta),
        man.exp(theta, u), man.transport(theta, u, u), man.hessian_vector_product(theta, u), man.predict(theta),
    ]  # fmt: skip
    wanted = [result.copy() for result in results]
    for result in results:
        result[:] = np.nan
    X[:], y[:] = np.nan, np.nan
    np.testing.assert_array_equal(theta, kept[0])
    np.testing.assert_array_equal(u, kept[1])
    np.testing.assert_array_equal(man.gradient(theta), wanted[0])
    np.testing.assert_array_equal(man.predict(theta), wanted[-1])


def test_lists_strides_and_other_dtypes_are_taken(cubic):
    man, theta = cubic.man, cubic.theta
    wanted = man.gradient(theta)
    np.testing.assert_array_equal(man.gradient(theta.tolist()), wanted)
    np.testing.assert_array_equal(man.gradient(np.asfortranarray(theta)), wanted)
    np.testing.assert_array_equal(man.gradient(np.repeat(theta, 2, axis=0)[::2]), wanted)
    whole = mf.ZeroLossManifold(cubic.network, np.eye(3, dtype=np.int32), [True, False, True])
    assert whole.predict(np.ones((4, 3), dtype=np.float32)).tolist() == [8.0, 8.0, 8.0]


# --- where it must say no -------------------------------------------------------------------------


def test_methods_that_need_a_point_on_m_say_so(cubic):
    away, u = cubic.theta + 0.1, cubic.direction()
    man = cubic.man
    calls = [
        lambda: man.sharpness(away), lambda: man.gradient(away), lambda: man.multipliers(away),
        lambda: man.hessian_vector_product(away, u), lambda: man.hessian_spectrum(away),
        lambda: man.projection(away, u), lambda: man.retraction(away, u), lambda: man.exp(away, u),
        lambda: man.transport(away, u, u),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(GeometryError, match=r"not on the manifold.*nearest_point"):
            call()


@pytest.mark.parametrize("n", [1, 3, 12, 40])
def test_a_gram_matrix_is_singular_by_the_directions_of_its_rows_and_not_by_their_lengths(n):
    rng = np.random.default_rng(n)
    A, lengths = rng.normal(size=(n, n + 5)), 10.0 ** rng.uniform(-12, 12, size=n)
    K = lengths[:, None] * (A @ A.T) * lengths
    assert geometry.factor_gram(K) == 0
    right = rng.normal(size=n)
    x = (lengths * right)[None]
    lapack.cholesky_solve(K, x)
    np.testing.assert_allclose(x[0] * lengths, np.linalg.solve(A @ A.T, right), rtol=1e-9)


@pytest.mark.parametrize("n", [2, 3, 12, 40])
def test_a_gram_matrix_of_dependent_rows_is_singular_whatever_their_lengths(n):
    rng = np.random.default_rng(n)
    A, lengths = rng.normal(size=(n, n + 5)), 10.0 ** rng.uniform(-12, 12, size=n)
    A[-1] = A[:-1].sum(axis=0)
    assert geometry.factor_gram(lengths[:, None] * (A @ A.T) * lengths) != 0


def test_a_singular_jacobian_is_named():
    # At theta = 0 the square has no slope, and y = 0 is met there.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**2", width=2), [[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0])
    for call in (man.gradient, man.multipliers, man.hessian_spectrum, lambda theta: man.projection(theta, theta)):
        with pytest.raises(GeometryError, match=r"not positive definite.*rank of the data 2"):
            call(np.zeros((2, 2)))


@pytest.mark.parametrize("seed", range(4))
def test_opposite_samples_of_an_odd_unit_are_a_singular_jacobian(seed):
    # f(-x) = -f(x): M is there, but J J^T has rank one, up to rounding in R.
    network, sample = mf.TwoLayerNetwork("z**3 + z", width=2), np.random.default_rng(seed).normal(size=(1, 2))
    theta = mf.ZeroLossManifold(network, sample, [2.0]).random_point(rng=seed)
    man = mf.ZeroLossManifold(network, np.concatenate([sample, -sample]), [2.0, -2.0])
    with pytest.raises(GeometryError, match=r"not positive definite.*rank of the data 1.*Row 1 of X is -1 times row 0"):
        man.gradient(theta)


def test_a_projection_that_cannot_work_says_how_far_it_came():
    # Labels at the edge of the range of tanh: no point within rounding, Newton's method creeps.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("tanh(z)", width=1), np.eye(2), [0.5, 0.5])
    theta = man.random_point(rng=0)
    with pytest.raises(ProjectionError, match=r"max \|f - y\| = .* Newton"):
        man.nearest_point(theta + 1e3)


@pytest.mark.parametrize("start", [[4.0, 1.2], [1.2, 4.0]])
def test_newton_shortens_a_step_that_leaves_the_domain_in_any_sample(start):
    # A full Newton step on log z = 0 from z = 4 ends at -1.5, where there is no output; half of it does not.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("log(z)", width=1), np.eye(2), [0.0, 0.0])
    np.testing.assert_allclose(man.nearest_point([start]), [[1.0, 1.0]], atol=1e-12)


# --- the same bits, whatever the threads ----------------------------------------------------------

_BITS = """
import hashlib, sys
import numpy as np
import manifoldflow as mf

rng = np.random.default_rng(0)
n, d, m = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
X, y = rng.normal(size=(n, d)) / np.sqrt(d), rng.normal(size=n)
net = mf.TwoLayerNetwork("z**3 + z", width=m)
man = mf.ZeroLossManifold(net, X, y)
theta = man.random_point(rng=0)
parts = {"gram": man.gram, "point": theta, "gradient": man.gradient(theta)}
for method in ("explicit", "implicit"):
    parts[method] = mf.sharpness_flow(man, theta, (0.0, 1e-3), method=method).theta
noise = mf.LabelNoise("gaussian", std=0.1)
for batch in (1, "full"):
    run = mf.label_noise_sgd(net, X, y, theta, step_size=1e-5, noise=noise, n_steps=50, n_runs=3, batch_size=batch)
    parts[f"sgd {batch}"] = run.theta
for name, value in parts.items():
    print(name, hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest())
"""


@pytest.mark.parametrize("sizes", [(4, 6, 5), (90, 200, 120)], ids=["small", "large"])
def test_the_same_bits_with_one_and_with_two_threads(python, sizes):
    outputs = []
    for threads in (1, 2):
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")
        code, out, err = python(_BITS, *sizes, **dict.fromkeys(names, threads))
        assert code == 0, err
        outputs.append(dict(line.rsplit(" ", 1) for line in out.splitlines()))
    assert len(outputs[0]) == 7
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(
    "form",
    [
        lambda theta: theta.tolist(),
        np.asfortranarray,
        lambda theta: np.repeat(theta, 2, axis=1)[:, ::2],
        lambda theta: np.frombuffer(theta.tobytes()).reshape(theta.shape),
        lambda theta: theta.astype(np.longdouble),
    ],
    ids=["list", "columns first", "strided", "read-only", "long double"],
)
@pytest.mark.parametrize("name", ["cubic", "two_own", "signed"])
def test_every_form_of_a_point_has_the_same_gradient(name, form):
    case = problem(name)
    before = case.theta.copy()
    np.testing.assert_array_equal(case.man.gradient(form(case.theta)), case.man.gradient(case.theta))
    np.testing.assert_array_equal(case.theta, before)


def test_a_stream_of_gradients_reads_memory_that_is_still_there():
    """The compiled function's arrays are views of a buffer that they do not keep alive."""
    case = problem("cubic")
    wanted = case.man.gradient(case.theta)
    litter = []
    for k in range(2000):
        litter.append(np.full(100 + k % 97, np.nan))
        np.testing.assert_array_equal(case.man.gradient(case.theta), wanted)
        if k % 7 == 0:
            litter.clear()
