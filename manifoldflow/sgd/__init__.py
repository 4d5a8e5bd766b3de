"""Label-noise SGD, simulated in pre-activation coordinates by a compiled kernel."""

from .limit import gradient_flow_limit
from .noise import LabelNoise
from .records import log_spaced_steps
from .run import Progress, SGDRun, label_noise_sgd
from .step_size import stable_step_size

__all__ = [
    "LabelNoise",
    "Progress",
    "SGDRun",
    "gradient_flow_limit",
    "label_noise_sgd",
    "log_spaced_steps",
    "stable_step_size",
]
