"""From derived expressions to compiled kernels: program, passes, source, cache."""

from .kernel import Kernel, load_kernel

__all__ = ["Kernel", "load_kernel"]
