"""What is compiled before processes share the cases is what the statements use."""

from verification import problems
from verification.compiling import ACTIVATIONS
from verification.statements import necessity


def test_every_activation_of_s11_is_compiled_once() -> None:
    assert {problems.OUTSIDE, *necessity.NAMED} <= set(ACTIVATIONS)
