"""The kernel cache on disk: hits, damage, folders that cannot be written, and nothing half-written.

Each process that matters is a process of its own; it logs to standard error and prints what it computed.
"""

import hashlib
import itertools
import json
import logging
import os
import shutil
from pathlib import Path

import pytest

import manifoldflow as mf
from manifoldflow.codegen import folder as cache_folder
from manifoldflow.codegen.folder import kernel_folder
from manifoldflow.compiled import sealed
from manifoldflow.errors import CodegenError

LOG = "manifoldflow.cache"
# With z = 1 in every place: f = 3 (1 + 1) = 6, F = 2 * 3 * 4^2 * 1 = 96.
PROGRAM = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format="%(name)s: %(message)s")
for name in ("numba", "matplotlib"):
    logging.getLogger(name).setLevel(logging.ERROR)
import numpy as np
import manifoldflow as mf
man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=3), [[1.0]], [6.0])
theta = np.ones((3, 1))
sol = mf.sharpness_flow(man, theta, (0.0, 1.0), method="implicit")
run = mf.label_noise_sgd(man.network, [[1.0]], [6.0], theta, n_steps=2, noise=mf.LabelNoise("none"))
print(man.predict(theta)[0], man.sharpness(theta), man.kernel.table(np.array([2.0])).ravel().tolist())
print(float(np.abs(man.gradient(theta)).max()) < 1e-12, sol.success, float(np.abs(run.theta[0] - 1.0).max()) < 1e-12)
"""
RIGHT = "6.0 96.0 [10.0, 13.0, 12.0, 6.0]\nTrue True True\n"


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """A cache that one process has filled."""
    from tests.manifoldflow.conftest import run_python

    root = tmp_path_factory.mktemp("warm")
    code, out, err = run_python(PROGRAM, MANIFOLDFLOW_CACHE_DIR=root)
    assert (code, out) == (0, RIGHT), err
    return root


@pytest.fixture
def cache(warm, tmp_path):
    """A copy of the filled cache, to damage."""
    shutil.copytree(warm, tmp_path / "cache", copy_function=shutil.copy2)
    return tmp_path / "cache"


def kernel(root):
    (found,) = root.iterdir()
    return found


def run_again(python, root):
    code, out, err = python(PROGRAM, MANIFOLDFLOW_CACHE_DIR=root)
    assert (code, out) == (0, RIGHT), err
    return err


def contents(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


# --- hits and misses ------------------------------------------------------------------------------


def test_the_folder_named_by_the_environment_holds_one_complete_kernel(warm):
    folder = kernel(warm)
    assert folder.name.startswith("k")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["unit.py"] == hashlib.sha256((folder / "unit.py").read_bytes()).hexdigest()
    assert list((folder / "__pycache__").glob("*.nbc"))


def test_every_compiled_file_is_sealed(warm):
    compiled = [path for path in (kernel(warm) / "__pycache__").iterdir() if path.suffix in (".nbi", ".nbc")]
    assert len(compiled) >= 10
    assert [path.name for path in compiled if not path.with_name(path.name + ".sha256").exists()] == []


def test_a_second_process_hits(cache, python):
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in cache.rglob("*") if path.is_file()}
    err = run_again(python, cache)
    after = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in cache.rglob("*") if path.is_file()}
    assert after == before
    assert LOG not in err


def test_another_formula_is_another_kernel(monkeypatch, tmp_path):
    monkeypatch.setenv("MANIFOLDFLOW_CACHE_DIR", str(tmp_path))
    one, other, again = (kernel_folder(key, lambda: "x = 1\n") for key in ("a", "b", "a"))
    assert one != other
    assert one == again
    assert {path.name for path in tmp_path.iterdir()} == {"ka", "kb"}


def test_a_hit_does_not_generate(monkeypatch, tmp_path):
    monkeypatch.setenv("MANIFOLDFLOW_CACHE_DIR", str(tmp_path))
    calls = []
    for _ in range(3):
        kernel_folder("key", lambda: calls.append(1) or "x = 1\n")
    assert calls == [1]


# --- damage ---------------------------------------------------------------------------------------


def damage_source(folder):
    path = folder / "unit.py"
    path.write_text(path.read_text(encoding="utf-8").replace("3.0", "4.0"), encoding="utf-8")


def damage_manifest(folder):
    (folder / "manifest.json").write_text(json.dumps({"unit.py": "0" * 64}), encoding="utf-8")


def truncate_manifest(folder):
    (folder / "manifest.json").write_text('{"unit.py": "12', encoding="utf-8")


def change_manifest_type(folder):
    (folder / "manifest.json").write_text("[1, 2]", encoding="utf-8")


def binary_manifest(folder):
    (folder / "manifest.json").write_bytes(bytes(range(256)))


def lose_manifest(folder):
    (folder / "manifest.json").unlink()


def lose_source(folder):
    (folder / "unit.py").unlink()


def truncate_source(folder):
    path = folder / "unit.py"
    path.write_bytes(path.read_bytes()[:700])


DAMAGE = [damage_source, damage_manifest, truncate_manifest, change_manifest_type, binary_manifest, lose_manifest,
          lose_source, truncate_source]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_is_made_again_and_the_log_says_so(monkeypatch, tmp_path, caplog, damage):
    monkeypatch.setenv("MANIFOLDFLOW_CACHE_DIR", str(tmp_path))
    source = "x = 3.0\n" + "y = 1.0\n" * 200
    folder = kernel_folder("key", lambda: source)
    damage(folder)
    with caplog.at_level(logging.WARNING, logger=LOG):
        again = kernel_folder("key", lambda: source)
    assert again == folder
    assert (folder / "unit.py").read_text(encoding="utf-8") == source
    assert any("damaged" in record.getMessage() and str(folder) in record.getMessage() for record in caplog.records)
    assert [path.name for path in tmp_path.iterdir()] == ["kkey"]
    caplog.clear()
    kernel_folder("key", lambda: source)
    assert not caplog.records


def test_a_changed_source_is_never_run(cache, python):
    damage_source(kernel(cache))
    err = run_again(python, cache)
    assert f"{LOG}: The kernel in {kernel(cache)} is damaged; it is made again." in err


def cut(data):
    return data[: len(data) // 2]


def empty(_):
    return b""


def garble(data):
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 0x5A for byte in data[middle : middle + 200]) + data[middle + 200 :]


@pytest.mark.parametrize("pattern", ["*.nbc", "*.nbi", "*.sha256"])
def test_damaged_compiled_code_is_compiled_again(cache, python, pattern):
    """Functions are loaded one by one, so each may be damaged in a way of its own."""
    paths = sorted((kernel(cache) / "__pycache__").glob(pattern))
    changes = itertools.cycle([cut, empty, garble])
    for path, change in zip(paths, changes, strict=False):
        path.write_bytes(change(path.read_bytes()))
    lines = [line for line in run_again(python, cache).splitlines() if str(kernel(cache)) in line]
    assert [line for line in lines if "is damaged or out of date; it is compiled again." not in line] == []
    assert len(lines) == len({path.name.partition("-")[0] for path in paths}) >= 6
    whole = contents(cache)
    assert LOG not in run_again(python, cache)
    assert contents(cache) == whole


# --- folders that cannot be written ---------------------------------------------------------------


def test_files_whose_seal_is_on_the_way_are_left_to_their_writer(tmp_path):
    path = tmp_path / "module.function-1.py311.nbi"
    path.write_bytes(b"compiled")
    assert sealed.being_written(tmp_path, "module.function")
    os.utime(path, (0, 0))
    assert not sealed.being_written(tmp_path, "module.function")
    sealed.seal(tmp_path, "module.function")
    os.utime(path)
    assert not sealed.being_written(tmp_path, "module.function")
    sealed.drop_damaged(tmp_path, "module.function")
    assert path.exists()
    path.write_bytes(b"damaged")
    assert not sealed.being_written(tmp_path, "module.function")
    sealed.drop_damaged(tmp_path, "module.function")
    assert not path.exists()


def test_a_file_that_another_process_deletes_is_not_sealed(monkeypatch, tmp_path):
    gone = tmp_path / "module.function-1.py311.nbi"
    monkeypatch.setattr(sealed, "_files", lambda folder, stem: [gone])
    sealed.seal(tmp_path, "module.function")
    assert not list(tmp_path.iterdir())


def test_a_named_cache_that_cannot_be_written_is_an_error_with_its_name(monkeypatch, tmp_path):
    blocked = tmp_path / "file" / "cache"
    blocked.parent.write_text("a file, not a folder", encoding="utf-8")
    monkeypatch.setenv("MANIFOLDFLOW_CACHE_DIR", str(blocked))
    with pytest.raises(CodegenError, match="MANIFOLDFLOW_CACHE_DIR") as caught:
        kernel_folder("key", lambda: "x = 1\n")
    assert str(blocked) in str(caught.value)


def test_the_same_through_the_public_door(python, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    code, _, err = python(PROGRAM, MANIFOLDFLOW_CACHE_DIR=tmp_path / "file" / "cache")
    assert code == 1
    assert err.splitlines()[-1].startswith("manifoldflow.errors.CodegenError: The kernel cache")


def test_a_users_cache_that_cannot_be_written_is_replaced_for_the_process(monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.delenv("MANIFOLDFLOW_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    cache_folder._temporary_root.cache_clear()
    with caplog.at_level(logging.WARNING, logger=LOG):
        folder = kernel_folder("key", lambda: "x = 1\n")
    assert (folder / "unit.py").exists()
    assert str(folder.parent) in caplog.text
    shutil.rmtree(folder.parent)
    cache_folder._temporary_root.cache_clear()


def test_the_users_cache_is_where_xdg_says(monkeypatch, tmp_path):
    monkeypatch.delenv("MANIFOLDFLOW_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert kernel_folder("key", lambda: "x = 1\n") == tmp_path / "manifoldflow" / "kkey"


# --- nothing half-written -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["unit.py", "manifest.json"])
def test_a_full_disk_leaves_nothing_behind(monkeypatch, tmp_path, name):
    monkeypatch.setenv("MANIFOLDFLOW_CACHE_DIR", str(tmp_path))
    write = Path.write_text

    def full(self, text, *args, **options):
        if self.name == name:
            write(self, text[:5], *args, **options)
            raise OSError(28, "No space left on device")
        return write(self, text, *args, **options)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(CodegenError, match=r"No space left on device.*Free some space"):
        kernel_folder("key", lambda: "x = 1\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_nothing_behind(monkeypatch, tmp_path, error):
    monkeypatch.setenv("MANIFOLDFLOW_CACHE_DIR", str(tmp_path))

    def stopped(*_):
        raise error

    with pytest.raises(error):
        kernel_folder("key", stopped)
    monkeypatch.setattr(cache_folder, "_move_into_place", stopped)
    with pytest.raises(error):
        kernel_folder("key", lambda: "x = 1\n")
    assert list(tmp_path.iterdir()) == []


def test_the_loser_of_a_race_takes_the_winners_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("MANIFOLDFLOW_CACHE_DIR", str(tmp_path))
    move = cache_folder._move_into_place

    def overtaken(draft, folder):
        shutil.copytree(draft, folder)
        move(draft, folder)

    monkeypatch.setattr(cache_folder, "_move_into_place", overtaken)
    folder = kernel_folder("key", lambda: "x = 1\n")
    assert (folder / "unit.py").read_text(encoding="utf-8") == "x = 1\n"
    assert list(tmp_path.iterdir()) == [folder]


def test_the_package_in_use_has_its_kernels_where_it_says():
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=1), [[1.0]], [0.0])
    assert man.kernel.source == (man.kernel.folder / "unit.py").read_text(encoding="utf-8")
