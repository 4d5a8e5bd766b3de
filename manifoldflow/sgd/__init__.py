"""Label-noise SGD, simulated in pre-activation coordinates by a compiled kernel."""

from .finite_step import finite_step_flow, finite_step_gradient, finite_step_sharpness
from .limit import gradient_flow_limit
from .noise import LabelNoise
from .records import log_spaced_steps
from .result import Progress, SGDRun
from .run import label_noise_sgd
from .step_size import stable_step_size

__all__ = [
    "LabelNoise",
    "Progress",
    "SGDRun",
    "finite_step_flow",
    "finite_step_gradient",
    "finite_step_sharpness",
    "gradient_flow_limit",
    "label_noise_sgd",
    "log_spaced_steps",
    "stable_step_size",
]
