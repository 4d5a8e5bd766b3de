"""Every kind of public object, what it amounts to, and what it does: for tests that send objects through something."""

import hashlib
from dataclasses import fields, is_dataclass
from functools import cache
from types import FunctionType, MappingProxyType

import numpy as np

import derivations
import manifoldflow as mf
import verification
from manifoldflow import assumptions, certificates, checks, datasets
from manifoldflow.codegen import Kernel
from manifoldflow.errors import InputError
from manifoldflow.geodesics import Geodesic
from manifoldflow.integration import FlowProgress
from manifoldflow.sgd import Progress


@cache
def objects():
    """Name and object, for at least one of every public type."""
    data = mf.datasets.synthetic(n=3, d=6, rng=0)
    network = mf.TwoLayerNetwork("z**3 + z", width=4)
    man = mf.ZeroLossManifold(network, data.X, data.y)
    theta = man.random_point(rng=0)
    gradient = man.gradient(theta)
    best = mf.flattest_point(man, theta)
    case = verification.Case(mf.datasets.synthetic(n=3, d=5), "sinh(z)", width=4)
    evidence = verification.Evidence(case)
    tanh = mf.TwoLayerNetwork("tanh(z)", width=2)
    derivation = derivations.derive(network.unit)
    found = {
        "unit": mf.UnitFunction("a*c**2*tanh(z) + c", own=("c",)),
        "network": network,
        "trained network": mf.TwoLayerNetwork("sinh(z)", width=4, output_weights="trained"),
        "diagonal network": mf.DiagonalLinearNetwork(signed=True),
        "manifold": man,
        "reduced manifold": man.reduced,
        "kernel": man.kernel,
        "coordinates": man.coordinates,
        "data": data,
        "explicit flow": mf.sharpness_flow(man, theta, (0.0, 0.5), method="explicit", rtol=1e-5),
        "implicit flow": mf.sharpness_flow(man, theta, (0.0, 0.5), method="implicit", rtol=1e-5),
        "thinned flow": mf.sharpness_flow(man, theta, (0.0, 0.5), rtol=1e-5, memory_limit=2000.0),
        "flow with events": mf.sharpness_flow(
            man, theta, (0.0, 0.5), t_eval=[0.1, 0.2], events=lambda t, x: t - 0.15, dense_output=False, rtol=1e-5
        ),
        "run": mf.label_noise_sgd(
            network, data.X, data.y, theta, n_steps=40, step_size=1e-4, record_every=10, record=("theta", "loss")
        ),
        "noise": mf.LabelNoise("gaussian", std=0.5),
        "correlated noise": mf.LabelNoise("gaussian", covariance=np.array([[2.0, 1.0], [1.0, 2.0]])),
        "flattest point": best,
        "geodesic": man.geodesic(theta, 1e-3 * gradient, [-0.5, 0.5, 1.0]),
        "convexity": mf.geodesic_convexity(man, best.x, 1e-3 * gradient, n_points=9),
        "constants": assumptions.constants(man, theta),
        "survey": certificates.survey(man, theta),
        "exact point": certificates.exact_zero_loss_point(man, theta),
        "enclosed activation": certificates.enclose_activation(network.unit, (-1.0, 2.0)),
        "enclosed constants": certificates.enclose_constants(man, theta),
        "Hessian bound": certificates.hessian_lower_bound(man, best.x, 1e-9),
        "flattest enclosure": certificates.enclose_flattest_point(man, best.x),
        "negative curvature": certificates.negative_curvature(man, theta),
        "rank-one point": certificates.rank_one_point(mf.ZeroLossManifold(tanh, np.eye(2), [0.2, 1.6])),
        "disagreeing point": certificates.disagreeing_critical_point(mf.ZeroLossManifold(tanh, np.eye(2), [1.1, 0.3])),
        "thresholds": certificates.stability_thresholds("tanh(z)"),
        "interval": certificates.Interval(np.array([0.0, 1.0]), np.array([1.0, 2.0])),
        "derivation": derivation,
        "general derivation": derivations.derive_general(1),
        "record": derivation["sharpness"],
        "step": derivation["sharpness"].steps[0],
        "pointwise": derivation.pointwise[0],
        "case": case,
        "statement": verification.STATEMENTS[1],
        "verdict": verification.STATEMENTS[1].check(evidence),
        "report": verification.verify([case], ["S2"]),
        "check": checks.check_gradient(man, man.sharpness, man.gradient, theta),
        "error": InputError("theta must be finite."),
    }
    found |= {f"activation {name}": unit for name, unit in _activations().items()}
    return found


def _activations():
    names = ("cubic", "sinh", "tanh", "softplus")
    return {name: getattr(mf.activations, name)() for name in names}


# Made while something runs, and gone with it.
PASSING = {FlowProgress, Progress, verification.Evidence}


def public_types():
    """Every class that a package lists as public."""
    modules = (mf, derivations, verification, certificates, checks, datasets)
    listed = [getattr(module, name) for module in modules for name in module.__all__]
    classes = {value for value in listed if isinstance(value, type) and not issubclass(value, Exception)}
    return {kind for kind in classes if not getattr(kind, "_is_protocol", False)} | {Kernel, Geodesic}


def described(value, depth=0):
    """What a value amounts to, as text: the bits of its arrays, the fields of its records."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}{hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    if isinstance(value, Kernel):
        return value.source + described(value.table(np.array([0.5, 2.0])) if value.unit.phi is not None else None)
    if isinstance(value, mf.ZeroLossManifold):
        theta = value.random_point(rng=1)
        return repr(value) + described((value.X, value.y, theta, value.gradient(theta)))
    if is_dataclass(value) and not isinstance(value, type):
        inner = {field.name: getattr(value, field.name) for field in fields(value)}
        return f"{type(value).__name__}{described(inner, depth + 1)}"
    if isinstance(value, dict | MappingProxyType):
        return str({str(key): described(item, depth + 1) for key, item in value.items()})
    if isinstance(value, tuple | list):
        return str([described(item, depth + 1) for item in value])
    if isinstance(value, FunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    return _plain(value, depth)


def _plain(value, depth):
    if type(value).__module__.partition(".")[0] in ("manifoldflow", "verification") and depth < 20:
        slots = {name: getattr(value, name) for name in getattr(type(value), "__slots__", ())}
        return f"{type(value).__name__}{described(slots or vars(value), depth + 1)}"
    return repr(value)


def does(value):
    """What an object gives when it is used, as text."""
    if isinstance(value, mf.FlowSolution):
        times = np.linspace(value.t[0], value.t[-1], 5)
        dense = [value.sol(float(t)) for t in times] if value.path is not None else []
        return described((dense, value.theta, value.theta_events, dict(value.stats), value.success))
    if isinstance(value, Geodesic):
        return described(value.sol(0.3))
    if isinstance(value, mf.LabelNoise):
        return described(value.draw(np.random.default_rng(0), (3, 2)))
    if isinstance(value, mf.UnitFunction):
        return repr((value.psi, value.phi, value.p))
    if isinstance(value, verification.VerificationReport):
        return "\n".join(line for line in value.to_json().splitlines() if "seconds" not in line)
    if isinstance(value, verification.Statement):
        return value.check(verification.Evidence(objects()["case"])).reason
    return ""


def fingerprint(value):
    """Hash of what an object is and does; equal for equal objects, also in another process."""
    return hashlib.sha256((described(value) + does(value)).encode()).hexdigest()


def read_only(value, path=""):
    """Where in a record the arrays are read-only: path -> bool."""
    if isinstance(value, np.ndarray):
        return {path: not value.flags.writeable}
    if isinstance(value, tuple):
        inner = {str(k): item for k, item in enumerate(value)}
    elif is_dataclass(value) and not isinstance(value, type):
        inner = {field.name: getattr(value, field.name) for field in fields(value)}
    else:
        inner = {}
    found = {}
    for name, item in inner.items():
        found |= read_only(item, f"{path}.{name}")
    return found
