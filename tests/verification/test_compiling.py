"""What is compiled before processes share the cases is what the statements use."""

from manifoldflow.datasets import synthetic
from verification import problems
from verification.campaign.measures import unit_of
from verification.campaign.task import Task
from verification.compiling import ACTIVATIONS
from verification.statements import necessity


def test_every_activation_of_s11_is_compiled_once() -> None:
    assert {problems.OUTSIDE, *necessity.NAMED} <= set(ACTIVATIONS)


def test_a_campaign_compiles_the_units_that_its_tasks_have() -> None:
    given = [
        {"activation": "z**3 + z", "width": 4},
        {"activation": "tanh(z)", "width": 4, "output_weights": "trained"},
        {"activation": "c*b*z", "width": 4, "own": "c,b"},
        {"network": "diagonal"},
        {"network": "squares"},
        {"activation": "z +", "width": 4},
    ]
    units = [unit_of(Task("flow", {"seed": 0, **options}, synthetic(2, 3))) for options in given]
    wanted = ["z**3 + z", "c*tanh(z)", "b*c*z", "u**2 - v**2", "v**2", None]
    assert [unit and unit.formula for unit in units] == wanted
