"""Descriptions: what they ask for, and what is refused before anything runs."""

import json
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import manifoldflow as mf
from verification.campaign import Call, Campaign, DescriptionError, load
from verification.campaign.description import MOST_TASKS
from verification.campaign.fields import BY_NAME, KINDS, names_of
from verification.campaign.task import Task, restored, shared
from verification.campaign.work import perform
from verification.statements import STATEMENTS

from .conftest import SMALL, every_kind


def toml(folder: Path, text: str) -> Path:
    path = folder / "a.toml"
    path.write_text(text, encoding="utf-8")
    return path


def names(campaign: Campaign) -> list[str]:
    return [task.name for task in campaign.tasks]


def test_five_lines_are_a_campaign(tmp_path: Path) -> None:
    text = """[grid]
activation = ["z**3 + z", "sinh(z)"]
width = [5, 10]
seed = {first = 0, last = 4}
statement = ["S2", "S3"]
"""
    campaign = load(toml(tmp_path, text))
    assert len(campaign.tasks) == 2 * 2 * 5 * 2
    assert campaign.tasks[0].name == (
        "verify, data synthetic, activation z**3 + z, width 5, seed 0, statement S2"
    )


def test_a_grid_without_statements_has_all() -> None:
    assert [task.options["statement"] for task in Campaign(grid={}).tasks] == [item.id for item in STATEMENTS]


def test_each_kind_has_its_own_keys_only() -> None:
    counts = {kind: sum(task.kind == kind for task in every_kind().tasks) for kind in KINDS}
    assert counts == {"verify": 8, "flow": 4, "sgd": 6}
    for task in every_kind().tasks:
        assert {*task.recipe, *task.options} <= set(names_of(task.kind))


def test_exclusions_and_further_tasks() -> None:
    grid = {"activation": ["z**3 + z", "tanh(z)"], "width": [5, 10], "statement": "S2"}
    extra = {"activation": "sinh(z)", "statement": "s3", "n": 4}
    campaign = Campaign(grid=grid, exclude=[{"activation": "tanh(z)", "width": [10, 11]}], task=[extra])
    assert [(task.options["activation"], task.options["width"]) for task in campaign.tasks] == [
        ("z**3 + z", 5), ("z**3 + z", 10), ("tanh(z)", 5), ("sinh(z)", 10),
    ]  # fmt: skip
    assert campaign.tasks[-1].data is not None
    assert campaign.tasks[-1].data.X.shape == (4, 20)


# --- what a task is kept under ---------------------------------------------------------------------


def test_data_count_by_content_and_formulas_by_meaning(tmp_path: Path) -> None:
    data = mf.datasets.digits(5)
    for name in ("a.npz", "b.csv"):
        mf.datasets.save(data, tmp_path / name)
    grid = {"data": ["digits", "a.npz", "b.csv"], "n": 5, "activation": ["z**3 + z", "z+z**3"], "statement": "S2"}
    assert len(Campaign(grid=grid, folder=tmp_path).tasks) == 1
    mf.datasets.save(mf.datasets.DataSet("a", data.X, data.y + 1e-15, ""), tmp_path / "a.npz")
    assert len(Campaign(grid=grid, folder=tmp_path).tasks) == 2


def test_columns_are_of_synthetic_data_alone() -> None:
    grid = {"data": ["digits", "synthetic"], "n": 4, "d": [8, 9], "data_seed": 3, "statement": "S2"}
    shapes = [task.data.X.shape for task in Campaign(grid=grid).tasks if task.data is not None]
    assert shapes == [(4, 64), (4, 8), (4, 9)]


@pytest.mark.parametrize("name", [*names_of("sgd"), "statement", "keep_end"])
def test_every_key_makes_another_task(name: str) -> None:
    other: dict[str, Any] = {"data": "digits", "n": 4, "d": 7, "data_seed": 1, "activation": "sinh(z)", "width": 5,
                             "seed": 1, "statement": "S3", "step_fraction": 0.11, "step_size": 0.01, "runs": 7,
                             "coarse_steps": 5, "drop": 0.3, "keep_end": True, "network": "squares",
                             "own": "c", "output_weights": "signed"}  # fmt: skip
    base = {"kind": BY_NAME[name].kinds[-1], "n": 3, "d": 6} | ({"statement": "S2"} if name == "statement" else {})
    more = {"activation": "c*tanh(z)"} if name == "own" else {}
    tasks = Campaign(task=[base, {**base, name: other[name], **more}]).tasks
    assert len({task.key for task in tasks}) == 2


def test_the_hash_does_not_change() -> None:
    """Databases outlive versions: another hash would do everything again."""
    task = Task("flow", {"activation": "sinh(z)", "width": 4, "seed": 0, "keep_end": False})
    assert task.key.startswith("01209c93a2feaa9be01067d2")


def test_statements_of_a_case_are_done_together() -> None:
    groups = shared(every_kind().tasks)
    assert [len(group) for group in groups] == [2] * 4 + [1] * 10
    assert {task.options["statement"] for task in groups[0]} == {"S2", "S7"}


def test_a_task_is_restored_from_what_a_database_says(tmp_path: Path) -> None:
    for task in every_kind().tasks:
        assert restored(task.kind, task.asked, task.recipe).key == task.key
    mf.datasets.save(mf.datasets.digits(3), tmp_path / "a.npz")
    task = Campaign(grid={"data": "a.npz", "statement": "S2"}, folder=tmp_path).tasks[0]
    assert restored(task.kind, task.asked, task.recipe).key == task.key
    mf.datasets.save(mf.datasets.digits(4), tmp_path / "a.npz")
    with pytest.raises(DescriptionError, match="other data than"):
        restored(task.kind, task.asked, task.recipe)
    with pytest.raises(DescriptionError, match="run it from Python"):
        restored("call", {}, {})


# --- what is refused -------------------------------------------------------------------------------

BAD: dict[str, tuple[Any, ...]] = {
    "data": (3, "", "nothing", "nothing.npz", "a\0b", ["digits", "nope"]),
    "activation": (3, "z +", "__import__('os')", "q(z)", ""),
    "statement": (3, "S99", ["S2", "S0"]),
    "keep_end": (1, "true", None),
    "step_fraction": (0, 1.0, float("nan"), "0.1", True),
    "step_size": (0.0, -1.0, float("inf"), "auto"),
    "drop": (0.0, 1.0, None),
    "network": ("cubic", 3, None, True, ["diagonal", "deep"]),
    "own": (3, "", "a b", "c,,d", None),
    "output_weights": (3, "", "none", "1,x", "1,0", "nan,1", None),
}
NOT_WHOLE = (0.5, -1, True, "3", None, 2**60, {"first": 0}, {"first": 3, "last": 1}, {"last": 10**9}, {"last": "9"})


@pytest.mark.parametrize("name", BY_NAME)
def test_every_kind_of_bad_value_is_refused_by_name(name: str) -> None:
    kind = BY_NAME[name].kinds[-1]
    bad = NOT_WHOLE if BY_NAME[name].whole else BAD[name]
    for value in (*bad, [], [[]], {"a": 1}):
        with pytest.raises(DescriptionError, match=r"allowed|give it|is neither|does not exist") as caught:
            Campaign(grid={"kind": kind, name: value})
        assert name in str(caught.value)
        if not isinstance(value, list):
            with pytest.raises(DescriptionError):
                Campaign(task=[{"kind": kind, "statement": "S2", name: value}])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "asks for nothing"),
        ({"grid": 3}, "grid is 3; allowed: a table"),
        ({"grid": {"widht": 3}}, r"grid has a key 'widht'; allowed: kind, data, .*width"),
        ({"grid": {"runs": 3}}, "grid has a key 'runs'"),
        ({"grid": {"kind": "call"}}, "grid.kind is 'call'; allowed: verify, sgd, flow"),
        ({"grid": {"kind": "sgd", "step_size": 0.1, "step_fraction": 0.1}}, "allowed: one of them"),
        ({"grid": {"seed": {"last": 999}, "width": {"first": 2, "last": 9999}}}, f"up to {MOST_TASKS}"),
        ({"grid": {"n": 2**40}}, r"n = 1099511627776 and d = 20 make .* bytes; allowed: up to 1073741824"),
        ({"grid": {"data": "digits", "n": 51}}, "n is 51; 'digits' has 50 samples"),
        ({"grid": {"statement": "S2"}, "exclude": [{"width": 11}]}, r"exclude\[0\] is .*no task"),
        ({"grid": {"statement": "S2"}, "exclude": [{}]}, r"exclude\[0\] is .*no task"),
        ({"grid": {"statement": "S2"}, "exclude": [{"colour": 1}]}, r"exclude\[0\] has a key 'colour'"),
        ({"task": 3}, "task is 3; allowed: tables"),
        ({"exclude": "a"}, "exclude is 'a'"),
        ({"calls": ["os:getpid"]}, r"calls\[0\] is 'os:getpid'; allowed: a Call"),
        ({"task": [3]}, r"task\[0\] is 3"),
        ({"task": [{"width": 3}]}, r"task\[0\] has no statement"),
        ({"task": [{"width": [3, 4], "statement": "S2"}]}, r"task\[0\].width is \[3, 4\]"),
        ({"task": [{"width": 3, "statement": "S2", "wdith": 1}]}, r"task\[0\] has a key 'wdith'"),
    ],
)
def test_what_is_wrong_is_said(given: dict[str, Any], said: str) -> None:
    with pytest.raises(DescriptionError, match=said):
        Campaign(**given)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("grid", "is not TOML"),
        ("[grid]\nwidth = 1979-05-27", "grid.width is datetime.date"),
        ("grids = 1", "has a key 'grids'; allowed: grid, task, exclude"),
        ("task = 3", "task is 3; allowed: tables"),
        ("[grid]\nfunction = 'os:system'", "has a key 'function'"),
        ("calls = ['os:system']", "has a key 'calls'"),
    ],
)
def test_a_file_is_refused_by_name(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match=said) as caught:
        load(toml(tmp_path, text))
    assert "a.toml" in str(caught.value)


def test_a_file_that_is_not_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(DescriptionError, match="is not TOML"):
        load(tmp_path / "b.toml")
    with pytest.raises(DescriptionError, match="Cannot read"):
        load(tmp_path / "c.toml")
    with pytest.raises(DescriptionError, match="Cannot read"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["", "square", "a:b:c", "os.system", "a b:c", ":f", "m:", 3])
def test_a_call_names_a_function(name: Any) -> None:
    with pytest.raises(DescriptionError, match="module:function"):
        Call(name)


@pytest.mark.parametrize("value", [np.zeros(2), float("nan"), {1, 2}])
def test_arguments_of_a_call_are_json(value: Any) -> None:
    with pytest.raises(DescriptionError, match="JSON's own types"):
        Call("os:getpid", {"x": value})


def test_a_description_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Campaign(grid={**SMALL, "statement": "S2"}).grid = {}  # type: ignore[misc]


# --- networks and units ----------------------------------------------------------------------------


def test_old_tasks_keep_their_hashes_and_names() -> None:
    """Whether or not a description names what was the only network before."""
    plain = Campaign(grid={"seed": [0, 1], "statement": "S2"})
    named = Campaign(grid={"seed": [0, 1], "statement": "S2", "network": "two-layer"})
    assert [task.key for task in plain.tasks] == [task.key for task in named.tasks]
    assert not {"network", "own", "output_weights"} & set(plain.tasks[0].asked)


def test_a_network_with_units_of_its_own_is_one_task_for_all_activations() -> None:
    grid = {"network": ["two-layer", "diagonal", "squares"], "activation": ["z**3 + z", "sinh(z)"], "width": [4, 5],
            "kind": "flow", "keep_end": False}  # fmt: skip
    found = Campaign(grid=grid).tasks
    assert len(found) == 4 + 2
    assert [task.options for task in found if "network" in task.options] == [
        {"seed": 0, "network": word, "keep_end": False} for word in ("diagonal", "squares")
    ]


def test_units_with_parameters_and_weights_of_their_own() -> None:
    grid = {"activation": ["tanh(z)*c", "c*sinh(z)"], "own": "c", "statement": "S8"}
    found = [task.options for task in Campaign(grid=grid).tasks]
    assert [task["activation"] for task in found] == ["c*tanh(z)", "c*sinh(z)"]
    weights = {"output_weights": ["signed", "1,-1, 0.5"], "width": 3, "statement": "S10"}
    found = [task.options for task in Campaign(grid=weights).tasks]
    assert [task["output_weights"] for task in found] == ["signed", "1.0,-1.0,0.5"]


@pytest.mark.parametrize(
    "table",
    [
        {"network": "diagonal"},
        {"activation": "c*tanh(z)", "own": "c"},
        {"output_weights": "1,-1,0.5,1", "width": 4},
        {"output_weights": "trained", "width": 4},
    ],
)
def test_such_tasks_are_restored_and_done(table: dict[str, Any]) -> None:
    (task,) = Campaign(task=[{"kind": "flow", "n": 3, "d": 6, **table}]).tasks
    assert restored(task.kind, task.asked, task.recipe).key == task.key
    row = perform([task])[0]
    assert row["state"] == "done", row["message"]
    found = json.loads(row["result"])
    assert found["sharpness_end"] < found["sharpness_start"]
    assert (found["singular_value_ratio"] is None) == ("network" in table)


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({"network": "diagonal", "width": 3}, "width, without a meaning for the network diagonal"),
        ({"network": ["diagonal", "squares"], "activation": "z"}, "activation, without a meaning"),
        ({"network": "cubic"}, "two-layer, diagonal, squares"),
        ({"own": "c"}, "do not occur"),
        ({"own": ["c", 1], "activation": "c*z"}, "names between commas"),
        ({"own": "c", "activation": "c*nosuch(z)"}, "nosuch"),
        ({"own": "c", "activation": 3}, "a formula in z and"),
        ({"activation": "c*tanh(z)"}, "unknown name 'c'"),
        ({"own": "c", "activation": "c*tanh(z)", "output_weights": "trained"}, "one of them"),
        ({"output_weights": "1,-1", "width": 3}, "one for each unit"),
        ({"output_weights": "1,0"}, "other than 0"),
        ({"output_weights": [[1, -1]]}, "numbers other than 0 between commas"),
    ],
)
def test_networks_and_units_that_do_not_fit_are_refused(grid: dict[str, Any], said: str) -> None:
    with pytest.raises(DescriptionError) as refused:
        Campaign(grid={"statement": "S8", **grid})
    assert said in str(refused.value)
