"""Write `manifoldflow/data/digits.csv`, the 50 handwritten digits that ship with the package.

Needs scikit-learn, which nothing else of the toolkit does. The same bytes come out every time: the pixels are
integers, the rows are drawn by `numpy.random.default_rng(0)`, and the line ending is fixed. A test compares
them with the file in the tree.

    python tools/make_digits.py [TARGET]
"""

import sys
from pathlib import Path

import numpy as np

SEED = 0
COUNT = 50
TARGET = Path(__file__).resolve().parent.parent / "manifoldflow" / "data" / "digits.csv"


def content() -> bytes:
    """Return the file's bytes: a header, then 64 pixels and the digit a line, in the order drawn."""
    from sklearn.datasets import load_digits

    pixels, digits = load_digits(return_X_y=True)
    chosen = np.random.default_rng(SEED).choice(len(digits), size=COUNT, replace=False)
    table = np.column_stack([pixels[chosen], digits[chosen]]).astype(int)
    header = ",".join([f"p{k}" for k in range(pixels.shape[1])] + ["digit"])
    lines = [header] + [",".join(map(str, row)) for row in table]
    return ("\n".join(lines) + "\n").encode("ascii")


def main() -> None:
    """Write the file, to the place it has in the tree unless another is named."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.write_bytes(content())
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
