"""A step of label-noise SGD against JAX's scan, in the same coordinates and in the parameters', and PyTorch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import manifoldflow as mf
from benchmarks import formulas, plots
from benchmarks.common import Options, Output, duration, machine_text, optional, ratio, table_by_size
from benchmarks.problems import Array

FORMULA, STEP_SIZE = "z**3 + z", 1e-6
# m, n, d, our steps, and a peer's: a multiple of BLOCK, or less. Ours take a tenth of a second, so that the spread of
# the set-up, which is subtracted, does not count.
SIZES = (
    (10, 5, 10, 2**22, 2**17),
    (100, 50, 100, 2**20, 2**13),
    (1000, 200, 400, 2**15, 2**7),
    (100, 50, 5000, 2**20, 2**13),
)
TINY = ((4, 3, 6, 5000, 128),)
BLOCK = 2**15  # steps whose samples and noise are drawn at once, as ours does
UNROLLS = (1, 4)  # of JAX's scans; 8, 16 and 32 were slower at every size
ROUNDS = 8
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


def measure(m: int, n: int, d: int, steps: int, peer_steps: int, options: Options) -> dict[str, Any]:
    """Seconds a step of each."""
    data = mf.datasets.synthetic(n=n, d=d, rng=0)
    net = mf.TwoLayerNetwork(mf.UnitFunction(FORMULA), width=m)
    man = mf.ZeroLossManifold(net, data.X, data.y)
    rng = np.random.default_rng(0)
    case = Case(man, man.random_point(rng=0), rng.integers(0, n, peer_steps), rng.choice([-1.0, 1.0], peer_steps))
    forms = [Form(OURS, ours(case), steps), *(peer_forms(case) if options.peers else ())]
    for form in forms * ROUNDS:  # in turn: what else the machine does meets all alike
        form.measure()
    seconds = {form.name: min(f.seconds for f in forms if f.name == form.name) for form in forms}
    print(f"  m={m} n={n} d={d}: " + ", ".join(f"{k} {duration(v)}" for k, v in seconds.items()), flush=True)
    return {"m": m, "n": n, "d": d, "seconds": seconds}


@dataclass
class Form:
    """One way to take steps. A step is the time of `steps` + 1 of them less that of one, so that starting and finishing
    do not count; the median of each.
    """

    name: str
    take: Steps
    steps: int
    one: list[float] = field(default_factory=list)
    many: list[float] = field(default_factory=list)

    def measure(self) -> None:
        if not self.one:  # what is compiled for these numbers of steps
            self.take(1)
            self.take(self.steps + 1)
        self.one.append(self._time(1))
        self.many.append(self._time(self.steps + 1))

    def _time(self, steps: int) -> float:
        """By the clock or, where that is less because other programs ran in between, by the processor's time."""
        clock, processor = time.perf_counter(), time.process_time()
        self.take(steps)
        return min(time.perf_counter() - clock, time.process_time() - processor)

    @property
    def seconds(self) -> float:
        """Of one step."""
        # On a busy machine a short run can seem to take no time; a nanosecond is what the clock tells apart.
        return max(float(np.median(self.many) - np.median(self.one)), 1e-9) / self.steps


def seconds_a_step(take: Steps, steps: int) -> float:
    """Of one form on its own."""
    form = Form(OURS, take, steps)
    for _ in range(ROUNDS):
        form.measure()
    return form.seconds


def peer_forms(case: Case) -> Iterator[Form]:
    """All that is installed."""
    for name, prepare, share in PEERS:
        try:
            for take in prepare(case):
                yield Form(name, take, max(100, int(case.steps * share)))
        except ImportError:
            print(f"  {name}: not installed")


def ours(case: Case) -> Steps:
    """The public function; draws samples and noise on the way."""
    man = case.man
    return lambda steps: mf.label_noise_sgd(
        man.network, man.X, man.y, case.theta, step_size=STEP_SIZE, n_steps=steps, rng=0
    )


def jax_beforehand(case: Case) -> Iterator[Steps]:
    """JAX's scan over rank-one updates of Z, with samples and noise drawn beforehand; that is not timed."""
    update, start = _jax_update(case)
    return _scans(lambda state, drawn: (update(state, *drawn), None), start, case)


def jax_blocks(case: Case) -> Iterator[Steps]:
    """The same, drawing samples and noise for a block of steps at once, as ours does."""
    jax = optional("jax")
    update, start = _jax_update(case)
    block = min(BLOCK, case.steps)

    def steps_of_block(unroll: int, state: Any, key: Any) -> Any:
        for_rows, for_noise = jax.random.split(key)
        noise = jax.random.rademacher(for_noise, (block,), dtype=float)
        drawn = (jax.random.randint(for_rows, (block,), 0, case.man.n), noise)
        return jax.lax.scan(lambda now, one: (update(now, *one), None), state, drawn, unroll=unroll)[0]

    def take(compiled: Any, steps: int) -> Any:
        state, key = start, jax.random.key(0)
        for k in range(-(-steps // block)):
            state = compiled(state, jax.random.fold_in(key, k))
        return jax.block_until_ready(state)

    for unroll in UNROLLS:
        yield partial(take, jax.jit(partial(steps_of_block, unroll)))


def jax_drawing(case: Case) -> Iterator[Steps]:
    """The same, drawing at every step by the functions that JAX has for it."""
    jax = optional("jax")

    def draw(key: Any) -> Any:
        for_row, for_noise = jax.random.split(key)
        noise = jax.random.rademacher(for_noise, (), dtype=float)
        return jax.random.randint(for_row, (), 0, case.man.n), noise

    return _drawing_loop(draw, case)


def jax_bits(case: Case) -> Iterator[Steps]:
    """The same, from the bits of one call."""
    jax = optional("jax")

    def draw(key: Any) -> Any:
        bits = jax.random.bits(key, (2,), dtype="uint32").astype(int)
        return bits[0] * case.man.n >> 32, 2.0 * (bits[1] & 1) - 1.0

    return _drawing_loop(draw, case)


def _drawing_loop(draw: Any, case: Case) -> Iterator[Steps]:
    """A loop: a scan that draws takes three times as long at the smallest size."""
    jax = optional("jax")
    update, start = _jax_update(case)

    def loop(state: Any, steps: Any) -> Any:
        key = jax.random.key(0)
        return jax.lax.fori_loop(0, steps, lambda k, now: update(now, *draw(jax.random.fold_in(key, k))), state)

    compiled = jax.jit(loop)
    yield lambda steps: jax.block_until_ready(compiled(start, steps))


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


def jax_parameters(case: Case) -> Iterator[Steps]:
    """JAX's scan over the parameters, (m, d)."""
    jax = optional("jax")

    phi = formulas.jax_operations(FORMULA).activation
    X, y = jax.numpy.asarray(case.man.X), jax.numpy.asarray(case.man.y)

    def step(theta: Any, drawn: Any) -> Any:
        i, noise = drawn
        value, slope, _ = phi(theta @ X[i])
        factor = -2.0 * STEP_SIZE * (value.sum() - y[i] - noise)
        return theta + (factor * slope)[:, None] * X[i], None

    return _scans(step, jax.numpy.asarray(case.theta), case)


def _scans(step: Any, start: Any, case: Case) -> Iterator[Steps]:
    jax = optional("jax")
    rows, noise = np.resize(case.rows, case.steps + 1), np.resize(case.noise, case.steps + 1)
    for unroll in UNROLLS:
        scan = jax.jit(partial(lambda unroll, *given: jax.lax.scan(step, *given, unroll=unroll)[0], unroll))
        yield lambda steps, scan=scan: jax.block_until_ready(scan(start, (rows[:steps], noise[:steps])))


def torch_by_hand(case: Case) -> Iterator[Steps]:
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

    return _on_threads(take)


def torch_autograd(case: Case) -> Iterator[Steps]:
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

    return _on_threads(take)


def _on_threads(take: Steps) -> Iterator[Steps]:
    """On one thread and on all."""
    torch = optional("torch")

    def on(threads: int, steps: int) -> Any:
        torch.set_num_threads(threads)
        return take(steps)

    for threads in sorted({1, os.cpu_count() or 1}):
        yield partial(on, threads)


# name, what gives its forms, the fastest of which counts, and its share of the peers' steps
PEERS: tuple[tuple[str, Callable[[Case], Iterator[Steps]], float], ...] = (
    ("JAX, drawing at every step", jax_drawing, 1.0),
    ("JAX, drawing bits at every step", jax_bits, 1.0),
    ("JAX, drawing in blocks", jax_blocks, 1.0),
    ("JAX, drawn beforehand", jax_beforehand, 1.0),
    ("JAX, parameters, drawn beforehand", jax_parameters, 0.5),
    ("PyTorch, by hand", torch_by_hand, 0.05),
    ("PyTorch, autograd", torch_autograd, 0.02),
)


def markdown(rows: list[dict[str, Any]]) -> str:
    """Times and ratios."""
    names = [name for name, *_ in PEERS if any(name in row["seconds"] for row in rows)]
    columns = []
    for row in rows:
        seconds = row["seconds"]
        cells = [f"{duration(seconds.get(name))} ({ratio(seconds.get(name), seconds[OURS])} x)" for name in names]
        columns.append(((row["m"], row["n"], row["d"]), [duration(seconds[OURS]), *cells]))
    return f"Machine: {machine_text()}\n\n{table_by_size([OURS, *names], columns)}"


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
    colours = (
        plots.BLUE, plots.ORANGE, plots.RED, plots.SKY, plots.GREEN, plots.PURPLE, plots.GREY, plots.BLACK,
    )  # fmt: skip
    made = []
    for name, marker, colour in zip([OURS, *(name for name, *_ in PEERS)], "os^DvPX*", colours, strict=True):
        found = [(x(row), row["seconds"][name]) for row in rows if name in row["seconds"]]
        made += [plots.Line.through(name, found, colour, marker)] if found else []
    return made
