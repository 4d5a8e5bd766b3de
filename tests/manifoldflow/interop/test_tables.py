"""Results as xarray data sets and pandas frames, and what is said where a tool is missing."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.optimize import OptimizeResult

import manifoldflow as mf
import verification
from manifoldflow import interop
from manifoldflow.errors import InputError, MissingExtraError
from manifoldflow.interop.extras import require
from tests.manifoldflow.conftest import problem

SEED = {"seed": 7, "converged": True, "option": "by hand", "size": np.float64(0.5)}


@pytest.fixture(scope="module")
def flow():
    case = problem("trained")
    half = lambda t, theta: case.man.sharpness(theta) - 0.5 * case.man.sharpness(case.theta)  # noqa: E731
    return mf.sharpness_flow(case.man, case.theta, (0.0, 0.2), t_eval=np.linspace(0.0, 0.2, 5), events=[half])


@pytest.fixture(scope="module")
def run():
    case = problem("trained")
    names = ("theta", "loss", "sharpness", "singular_values")
    return mf.label_noise_sgd(
        case.network, case.X, case.y, case.theta, step_size=1e-5, n_steps=40, n_runs=3, record_every=10, record=names
    )


def test_a_flow(flow):
    found = interop.to_xarray(flow, SEED)
    assert found["theta"].dims == ("t", "unit", "parameter")
    assert found["theta"].sel(t=0.1, unit=2, parameter="c").item() == flow.theta[2][2, 5]
    assert found["parameter"].values.tolist() == ["w0", "w1", "w2", "w3", "w4", "c"]
    np.testing.assert_array_equal(found["sharpness"], flow.sharpness)
    np.testing.assert_array_equal(found["t_event_0"], flow.t_events[0])
    np.testing.assert_array_equal(found["theta_event_0"], flow.theta_events[0])
    assert found["t"].attrs["units"] == found["theta"].attrs["units"] == "1"
    wanted = {"seed": 7, "converged": 1, "option": "by hand", "size": 0.5, "rtol": 1e-8, "status": "reached_end"}
    assert wanted.items() <= found.attrs.items()
    assert found.attrs["software"] == f"manifoldflow {mf.__version__}"
    assert found.attrs["unit_function"] == "c*(z**3 + z)"
    frame = interop.to_pandas(flow, SEED)
    assert frame.index.name == "t"
    np.testing.assert_array_equal(frame["gradient_norm"], flow.gradient_norm)
    assert frame.attrs == found.attrs
    found["theta"][:] = 0.0  # a copy
    assert flow.theta.any()


def test_sgd_runs(run):
    found = interop.to_xarray(run, SEED)
    assert found["theta"].dims == ("run", "unit", "parameter")
    assert found["recorded_theta"].dims == ("step", "run", "unit", "parameter")
    assert found["recorded_singular_values"].dims == ("step", "run", "singular_value")
    np.testing.assert_array_equal(found["recorded_sharpness"].sel(step=20), run.history["sharpness"][1])
    np.testing.assert_array_equal(found["flow_time"], run.flow_times)
    assert found.attrs["step_size"] == 1e-5
    wanted = {"noise": "rademacher", "noise_std": 1.0, "batch_size": 1, "n_runs": 3, "unit_function": "c*(z**3 + z)"}
    assert wanted.items() <= run.options.items() <= interop.to_xarray(run).attrs.items()
    frame = interop.to_pandas(run)
    assert frame.index.names == ["step", "run"]
    assert list(frame.columns) == ["flow_time", "sharpness_flow_time", "loss", "sharpness"]
    assert frame.loc[(30, 2), "loss"] == run.history["loss"][2, 2]


def test_geodesics():
    case = problem("cubic")
    curve = case.man.geodesic(case.theta, case.tangent(1, 0.1), [0.0, 0.5, 1.0])
    found = interop.to_xarray(curve)
    np.testing.assert_array_equal(found["velocity"].sel(t=0.5), curve.velocity[1])
    frame = interop.to_pandas(curve)
    np.testing.assert_allclose(frame["speed"], 0.1)
    assert frame.loc[0.5, "sharpness"] == case.man.sharpness(curve.theta[1])


def test_flattest_points():
    case = problem("trained")
    best = mf.flattest_point(case.man, case.theta)
    found = interop.to_xarray(best, SEED)
    np.testing.assert_array_equal(found["x"], best.x)
    assert found.attrs["fun"] == best.fun
    assert found.attrs["condition"] == best.condition
    both = pd.concat([interop.to_pandas(best), interop.to_pandas(mf.flattest_point(problem("cubic").man))])
    assert both["fun"].tolist()[0] == best.fun
    assert both["is_global"].tolist() == [False, True]
    assert both["evidence"].tolist()[1] == "grid"
    assert pd.isna(both["evidence"].tolist()[0])
    assert np.isnan(both["smallest_curvature"].tolist()[1])


def test_verification_reports():
    case = verification.Case(mf.datasets.synthetic(n=3, d=6), "z**3 + z", width=4, seed=3)
    squares = verification.Case(mf.datasets.synthetic(n=3, d=6), "tanh(z)", width=4)
    report = verification.verify([case, squares], ["S1", "S2"])
    frame = interop.to_pandas(report, SEED)
    checks = [(verdict, check) for verdict in report.verdicts for check in verdict.checks]
    assert len(frame) == len(checks) + sum(not verdict.checks for verdict in report.verdicts)
    measured = frame[frame["quantity"] != ""]
    assert measured["measured"].tolist() == [check.measured for _, check in checks]
    assert measured["check_status"].tolist() == [check.status for _, check in checks]
    assert set(frame["status"]) == {verdict.status for verdict in report.verdicts}
    assert frame["seed"].iloc[0] == 3
    assert frame.attrs["exit_code"] == report.exit_code
    found = interop.to_xarray(report)
    np.testing.assert_array_equal(found["bound"], frame["bound"])
    assert found["statement"].dims == ("check",)


def test_data_sets_can_be_written_and_read(flow, run, tmp_path):
    for name, result in (("flow", flow), ("run", run)):
        path = tmp_path / f"{name}.nc"
        wanted = interop.to_xarray(result, SEED)
        wanted.to_netcdf(path, engine="scipy")
        with xr.open_dataset(path, engine="scipy") as found:
            np.testing.assert_array_equal(found["theta"], wanted["theta"])
            assert found.attrs["seed"] == 7


@pytest.mark.parametrize("convert", [interop.to_xarray, interop.to_pandas])
def test_what_cannot_be_converted(convert, flow):
    with pytest.raises(InputError, match="a dict cannot be converted"):
        convert({})
    with pytest.raises(InputError, match="lacks x, jac, fun"):
        convert(OptimizeResult(success=True))
    with pytest.raises(InputError, match="'rng' must be a number or a text; got Generator"):
        convert(flow, {"rng": np.random.default_rng(0)})


def test_a_missing_tool_names_its_extra():
    with pytest.raises(MissingExtraError, match=r"Frames needs no_such_tool, .*pip install 'manifoldflow\[interop\]'"):
        require("no_such_tool", "Frames")
    assert issubclass(MissingExtraError, ImportError)


WITHOUT = """
import sys
for name in ("pymanopt", "xarray", "pandas"):
    sys.modules[name] = None  # what Python takes for "not to be found"
import numpy as np, manifoldflow as mf
from manifoldflow import interop
data = mf.datasets.synthetic(n=2, d=3, rng=0)
man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=3), data.X, data.y)
best = mf.flattest_point(man)
for use in (
    lambda: interop.ZeroLossPymanopt, lambda: interop.to_xarray(best), lambda: interop.to_pandas(best)
):
    try:
        use()
    except mf.errors.MissingExtraError as error:
        print(error)
interop.ode_solver(man)
"""


def test_everything_else_works_without_the_tools(python):
    code, out, err = python(WITHOUT)
    assert code == 0, err
    lines = out.splitlines()
    assert [line.split(" needs ")[1].split(",")[0] for line in lines] == ["pymanopt", "xarray", "pandas"]
    assert all("pip install 'manifoldflow[interop]'" in line for line in lines)


def test_public_names_are_lazy_and_complete():
    assert set(interop._HOME) == set(interop.__all__) == set(dir(interop))
    assert all(callable(getattr(interop, name)) for name in interop.__all__)
    with pytest.raises(AttributeError, match="no attribute 'to_parquet'"):
        interop.to_parquet  # noqa: B018
