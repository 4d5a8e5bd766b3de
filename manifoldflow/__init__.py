"""Sharpness-minimising flows on the zero-loss manifolds of small networks: derived, solved and checked.

    >>> import manifoldflow as mf
    >>> mf.datasets.digits().X.shape
    (50, 64)

Names are loaded when they are first used, so that importing the package costs little more than importing
NumPy does.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from derivations import UnitFunction, activations
    from manifoldflow import certificates, checks, datasets, errors, interop
    from manifoldflow.convexity import GeodesicConvexity, geodesic_convexity
    from manifoldflow.flattest import flattest_point
    from manifoldflow.flow import FlowSolution, sharpness_flow
    from manifoldflow.manifold import ZeroLossManifold
    from manifoldflow.network import DiagonalLinearNetwork, TwoLayerNetwork
    from manifoldflow.sgd import LabelNoise, SGDRun, gradient_flow_limit, label_noise_sgd

__version__ = "0.1.0"

# Each public name and the module that defines it. A name that ends its module's own path is that module.
_HOME = {
    "DiagonalLinearNetwork": "manifoldflow.network",
    "FlowSolution": "manifoldflow.flow",
    "GeodesicConvexity": "manifoldflow.convexity",
    "LabelNoise": "manifoldflow.sgd",
    "SGDRun": "manifoldflow.sgd",
    "TwoLayerNetwork": "manifoldflow.network",
    "UnitFunction": "derivations",
    "ZeroLossManifold": "manifoldflow.manifold",
    "activations": "derivations.activations",
    "certificates": "manifoldflow.certificates",
    "checks": "manifoldflow.checks",
    "datasets": "manifoldflow.datasets",
    "errors": "manifoldflow.errors",
    "flattest_point": "manifoldflow.flattest",
    "geodesic_convexity": "manifoldflow.convexity",
    "gradient_flow_limit": "manifoldflow.sgd",
    "interop": "manifoldflow.interop",
    "label_noise_sgd": "manifoldflow.sgd",
    "sharpness_flow": "manifoldflow.flow",
}

# The keys of _HOME, written out because type checkers and linters read this list; a test compares the two.
__all__ = [
    "DiagonalLinearNetwork",
    "FlowSolution",
    "GeodesicConvexity",
    "LabelNoise",
    "SGDRun",
    "TwoLayerNetwork",
    "UnitFunction",
    "ZeroLossManifold",
    "__version__",
    "activations",
    "certificates",
    "checks",
    "datasets",
    "errors",
    "flattest_point",
    "geodesic_convexity",
    "gradient_flow_limit",
    "interop",
    "label_noise_sgd",
    "sharpness_flow",
]


def __getattr__(name: str) -> Any:
    """Load a public name on its first use (PEP 562) and keep it."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(_HOME[name])
    value = module if _HOME[name].endswith(f".{name}") else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
