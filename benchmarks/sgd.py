"""A step of label-noise SGD against JAX's scan, in the same coordinates and in the parameters', and PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import manifoldflow as mf
from benchmarks import formulas, plots
from benchmarks.common import Options, Output, duration, machine_text, optional, ratio, table, timed
from benchmarks.problems import Array

FORMULA, STEP_SIZE = "z**3 + z", 1e-6
# m, n, d, our steps; a peer takes a fiftieth as many
SIZES = ((10, 5, 10, 4_000_000), (100, 50, 100, 1_000_000), (1000, 200, 400, 40_000), (100, 50, 5000, 1_000_000))
TINY = ((4, 3, 6, 5000),)
OURS = "manifoldflow"


@dataclass(frozen=True)
class Case:
    """A network, its data, a starting point, and indices and noise for the peers, drawn beforehand."""

    man: mf.ZeroLossManifold
    theta: Array
    rows: NDArray[np.int64]
    noise: Array

    @property
    def steps(self) -> int:
        """Steps that a peer takes."""
        return len(self.rows)


Steps = Callable[[int], Any]  # take so many steps


def run(options: Options, output: Output) -> None:
    """Time a step for every size; write `sgd.json`, `sgd.md` and `sgd.svg`."""
    rows = [measure(*size, options) for size in (TINY if options.quick else SIZES)]
    plots.write(output.plots / "sgd.svg", panels(rows), columns=2)
    output.write("sgd", {"rows": rows}, markdown(rows))


def measure(m: int, n: int, d: int, steps: int, options: Options) -> dict[str, Any]:
    """Seconds a step of each."""
    data = mf.datasets.synthetic(n=n, d=d, rng=0)
    net = mf.TwoLayerNetwork(mf.UnitFunction(FORMULA), width=m)
    man = mf.ZeroLossManifold(net, data.X, data.y)
    rng, count = np.random.default_rng(0), max(100, steps // 50)
    case = Case(man, man.random_point(rng=0), rng.integers(0, n, count), rng.choice([-1.0, 1.0], count))
    seconds = {OURS: seconds_a_step(ours(case), steps)}
    for name, prepare, share in PEERS if options.peers else ():
        try:
            seconds[name] = seconds_a_step(prepare(case), max(100, int(case.steps * share)))
        except ImportError:
            print(f"  {name}: not installed")
    print(f"  m={m} n={n} d={d}: " + ", ".join(f"{k} {duration(v)}" for k, v in seconds.items()), flush=True)
    return {"m": m, "n": n, "d": d, "seconds": seconds}


def seconds_a_step(take: Steps, steps: int) -> float:
    """Time of `steps` + 1 steps less that of one, so that starting and finishing do not count; best of up to five."""
    take(1)
    one, _ = timed(lambda: take(1), budget=0.3)
    take(steps + 1)
    many, _ = timed(lambda: take(steps + 1), budget=1.5)
    return max(many - one, 0.0) / steps


def ours(case: Case) -> Steps:
    """The public function; draws samples and noise on the way."""
    man = case.man
    return lambda steps: mf.label_noise_sgd(
        man.network, man.X, man.y, case.theta, step_size=STEP_SIZE, n_steps=steps, rng=0
    )


def jax_features(case: Case) -> Steps:
    """JAX's scan over rank-one updates of Z, with samples and noise drawn beforehand."""
    update, start = _jax_update(case)
    return _scan(lambda state, drawn: (update(state, *drawn), None), start, case)


def jax_drawing(case: Case) -> Steps:
    """The same with samples and noise drawn on the way, as ours does: no memory that grows with the steps."""
    jax = optional("jax")
    update, start = _jax_update(case)

    def step(state: Any, key: Any) -> Any:
        for_row, for_noise = jax.random.split(key)
        noise = jax.random.rademacher(for_noise, (), dtype=float)
        return update(state, jax.random.randint(for_row, (), 0, case.man.n), noise)

    def loop(state: Any, steps: Any) -> Any:
        key = jax.random.key(0)
        return jax.lax.fori_loop(0, steps, lambda k, now: step(now, jax.random.fold_in(key, k)), state)

    compiled = jax.jit(loop)
    return lambda steps: jax.block_until_ready(compiled(start, steps))


def _jax_update(case: Case) -> tuple[Any, Any]:
    """A step on (Z, moved), (n, m) each, and the start; `moved` holds the parameters' coefficients, as in ours."""
    jax = optional("jax")
    phi = formulas.jax_operations(FORMULA).activation
    y, G = jax.numpy.asarray(case.man.y), jax.numpy.asarray(case.man.gram)

    def update(state: Any, i: Any, noise: Any) -> Any:
        Z, moved = state
        value, slope, _ = phi(Z[i])
        change = -2.0 * STEP_SIZE * (value.sum() - y[i] - noise) * slope
        return Z + G[i][:, None] * change, moved.at[i].add(change)

    start = jax.numpy.asarray(case.man.preactivations(case.theta).T)
    return update, (start, jax.numpy.zeros_like(start))


def jax_parameters(case: Case) -> Steps:
    """JAX's scan over the parameters, (m, d)."""
    jax = optional("jax")

    phi = formulas.jax_operations(FORMULA).activation
    X, y = jax.numpy.asarray(case.man.X), jax.numpy.asarray(case.man.y)

    def step(theta: Any, drawn: Any) -> Any:
        i, noise = drawn
        value, slope, _ = phi(theta @ X[i])
        factor = -2.0 * STEP_SIZE * (value.sum() - y[i] - noise)
        return theta + (factor * slope)[:, None] * X[i], None

    return _scan(step, jax.numpy.asarray(case.theta), case)


def _scan(step: Any, start: Any, case: Case) -> Steps:
    jax = optional("jax")

    run_scan = jax.jit(lambda state, drawn: jax.lax.scan(step, state, drawn)[0])
    rows, noise = np.resize(case.rows, case.steps + 1), np.resize(case.noise, case.steps + 1)
    return lambda steps: jax.block_until_ready(run_scan(start, (rows[:steps], noise[:steps])))


def torch_by_hand(case: Case) -> Steps:
    """A Python loop over PyTorch operations, the gradient written by hand and applied in place."""
    torch = optional("torch")

    X, y = torch.tensor(case.man.X), torch.tensor(case.man.y)

    def take(steps: int) -> Any:
        theta = torch.tensor(case.theta)
        for k in range(steps):
            i = int(case.rows[k % case.steps])
            z = theta @ X[i]
            factor = -2.0 * STEP_SIZE * ((z * (z * z + 1.0)).sum() - y[i] - case.noise[k % case.steps])
            theta.addr_(3.0 * (z * z) + 1.0, X[i], alpha=float(factor))
        return theta

    return take


def torch_autograd(case: Case) -> Steps:
    """The usual training loop of PyTorch: loss, backward, optimiser step."""
    torch = optional("torch")

    X, y = torch.tensor(case.man.X), torch.tensor(case.man.y)

    def take(steps: int) -> Any:
        theta = torch.tensor(case.theta, requires_grad=True)
        optimiser = torch.optim.SGD([theta], lr=STEP_SIZE)
        for k in range(steps):
            i = int(case.rows[k % case.steps])
            z = theta @ X[i]
            optimiser.zero_grad()
            ((z**3 + z).sum() - y[i] - case.noise[k % case.steps]).square().backward()
            optimiser.step()
        return theta

    return take


# name, what prepares it, and its share of the peers' steps
PEERS: tuple[tuple[str, Callable[[Case], Steps], float], ...] = (
    ("JAX, same coordinates", jax_drawing, 1.0),
    ("JAX, same coordinates, drawn beforehand", jax_features, 1.0),
    ("JAX, parameters, drawn beforehand", jax_parameters, 0.2),
    ("PyTorch, by hand", torch_by_hand, 0.05),
    ("PyTorch, autograd", torch_autograd, 0.02),
)


def markdown(rows: list[dict[str, Any]]) -> str:
    """Times and ratios."""
    names = [name for name, *_ in PEERS if any(name in row["seconds"] for row in rows)]
    cells_of_rows = []
    for row in rows:
        seconds = row["seconds"]
        cells = [f"{duration(seconds.get(name))} ({ratio(seconds.get(name), seconds[OURS])} x)" for name in names]
        cells_of_rows.append([str(row["m"]), str(row["n"]), str(row["d"]), duration(seconds[OURS]), *cells])
    return f"Machine: {machine_text()}\n\n{table(['m', 'n', 'd', OURS, *names], cells_of_rows)}"


def panels(rows: list[dict[str, Any]]) -> list[plots.Panel]:
    """Seconds a step for growing networks with d = 2 n, and for more columns only."""
    growing = [row for row in rows if row["d"] == 2 * row["n"]]
    m, n = (growing[len(growing) // 2][name] for name in ("m", "n"))
    wider = [row for row in rows if (row["m"], row["n"]) == (m, n)]
    return [
        plots.Panel("d = 2 n", "m n", "seconds a step", lines(growing, lambda row: row["m"] * row["n"])),
        plots.Panel(f"m = {m}, n = {n}", "d", "seconds a step", lines(wider, lambda row: row["d"])),
    ]


def lines(rows: list[dict[str, Any]], x: Callable[[dict[str, Any]], float]) -> list[plots.Line]:
    """A line for ours and for each peer."""
    colours = (plots.BLUE, plots.ORANGE, plots.RED, plots.SKY, plots.GREEN, plots.PURPLE)
    made = []
    for name, marker, colour in zip([OURS, *(name for name, *_ in PEERS)], "os^DvP", colours, strict=True):
        found = [(x(row), row["seconds"][name]) for row in rows if name in row["seconds"]]
        made += [plots.Line.through(name, found, colour, marker)] if found else []
    return made
