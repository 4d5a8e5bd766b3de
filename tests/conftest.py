"""Settings that hold for every test: the same examples on every run, no window, no state that leaks."""

import signal

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import settings

mpl.use("Agg")

# In a background job a shell has Ctrl-C ignored, here and in what the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples every time, and no deadline: a test that depends on the load of the machine says nothing.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, print_blob=True)
# Other examples on every run, and fifty times as many: pytest --hypothesis-profile=long
settings.register_profile("long", deadline=None, max_examples=5000, print_blob=True)
settings.load_profile("repeatable")


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator of its own for each test, so that the order of tests does not matter."""
    return np.random.default_rng(0)
