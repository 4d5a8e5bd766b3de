"""Workers that are copies of a process: what they have loaded, from where, and that Ctrl-C is not for it."""

import subprocess
import sys
from pathlib import Path

import pytest

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers are new processes")

SCRIPT = """
import os, signal, sys
from concurrent.futures import ProcessPoolExecutor
from manifoldflow.processes import worker_context

def found():
    return os.environ["OPENBLAS_NUM_THREADS"], sys.modules["numpy"].__name__, os.getppid()

if __name__ == "__main__":
    context = worker_context("numpy", "sympy")
    try:
        os.killpg(0, signal.SIGINT)
    except KeyboardInterrupt:
        with ProcessPoolExecutor(2, context) as pool:
            threads, loaded, parent = pool.submit(found).result()
        print(threads, loaded, parent == os.getpid(), os.environ.get("OPENBLAS_NUM_THREADS"))
"""


@linux
def test_workers_copy_a_process_that_has_loaded_the_modules(tmp_path: Path) -> None:
    here, script = tmp_path / "here", tmp_path / "elsewhere" / "script.py"
    for folder in (here, script.parent):
        folder.mkdir()
    (here / "numpy.py").write_text("raise SystemExit('the folder that the user is in is on the path')")
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script)], cwd=here, capture_output=True, text=True, check=False, start_new_session=True
    )
    assert (done.stdout, done.stderr) == ("1 numpy False None\n", "")
