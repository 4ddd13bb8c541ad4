# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Run a suite: plan its cells, skip the finished ones, measure the rest, keep each as soon as it is done."""

from __future__ import annotations

import dataclasses
import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from flashket.benchmark.store import Store, config_hash
from flashket.benchmark.suite import QPU_SHOTS, Row, Suite, load_suite, parse_suite
from flashket.errors import FlashKetError, InputError

if TYPE_CHECKING:
    from flashket.llm.model import Model
    from flashket.noise.model import NoiseModel

Measure: TypeAlias = Callable[..., dict[str, Any]]
"""Called with ``progress=``, which it calls after each of the cell's steps; returns "result" and "samples"."""

RUNS = Path("flashket-runs")
"""Default parent of run folders."""


@dataclass(frozen=True)
class Request:
    """What the command line asked for. ``suite`` and ``device`` None: the default suite on the CPU, or on resume the run's own."""

    suite: str | None = None
    models: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()
    out: Path | None = None
    resume: bool = False
    device: str | None = None
    qpus: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """One unit of work and one line of results: what it is (hashed), its kind, and its work, for the time left: 1 is an exact window."""

    config: dict[str, Any]
    kind: str
    work: float
    steps: int
    measure: Measure

    @property
    def label(self) -> str:
        """The cell in words."""
        parts = (self.config.get("row", ""), self.config["metric"], self.config.get("text", ""))
        return ", ".join(part for part in parts if part)


class Display(Protocol):
    """What a run tells while it goes."""

    def note(self, text: str) -> None: ...
    def begin(self, cells: list[Cell], n_done: int) -> None: ...
    def step(self, cell: Cell) -> None: ...
    def finish(self, cell: Cell, row: dict[str, Any]) -> None: ...
    def end(self) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """A run's end: its folder, its suite (rows as selected), its results, and whether cells are left."""

    folder: Path
    suite: Suite
    rows: list[dict[str, Any]]
    interrupted: bool


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into one KeyboardInterrupt; further ones are ignored while the run is being closed.

    SIGINT is taken even where a shell started the process with it ignored (a background job).
    """

    def stop(number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def run(request: Request, display: Display) -> Outcome:
    """Run or resume a suite; returns also when it was interrupted.

    Raises
    ------
    InputError
        The request does not fit the suite, the folder holds another run, or a checkpoint, text or results file is damaged.
    KeyboardInterrupt
        Interrupted before the run had a folder.
    """
    folder, suite, request = _open(request)
    try:
        with _locked(folder / "results.jsonl"):
            store = Store(folder / "results.jsonl")
            for number in store.cut_lines:
                display.note(f"{store.path}: line {number} was cut while it was written; it is skipped and its cell runs again")
            try:
                suite, cells = plan(suite, request)
            except FlashKetError:
                if not request.resume:  # a refused request is no run that --resume should find
                    _remove(folder)
                raise
            _check_same_run(store, cells)
            left = [cell for cell in cells if config_hash(cell.config) not in store.rows]
            _measure(left, len(store.rows), store, display, request.device or "cpu")
            interrupted = False
    except KeyboardInterrupt:
        display.end()
        interrupted = True
    return Outcome(folder, suite, list(Store(folder / "results.jsonl").rows.values()), interrupted)


def _open(request: Request) -> tuple[Path, Suite, Request]:
    """Make the run's folder, or find it again and take over what it was asked."""
    selection = {"models": list(request.models), "kernels": list(request.kernels), "device": request.device or "cpu"}
    if request.qpus:
        selection["qpus"] = list(request.qpus)
    if request.plans:
        selection["plans"] = list(request.plans)
    if not request.resume:
        suite = load_suite(request.suite or "default")
        folder = request.out or _fresh_folder()
        if (folder / "suite.toml").exists() or (folder / "results.jsonl").exists():
            raise InputError(f"[bench] {folder} holds a run; continue it with --resume --out {folder} or choose another --out")
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "environment.json", json.dumps({"started": _now(), "selection": selection}, indent=1) + "\n")
        _write(folder / "suite.toml", suite.source)
        return folder, suite, request
    folder = request.out or _newest_folder()
    try:
        source = (folder / "suite.toml").read_bytes().decode()
        asked = json.loads((folder / "environment.json").read_text())["selection"]
        device = str(asked.get("device", "cpu"))
        models, kernels, qpus, plans = (tuple(asked.get(name, ())) for name in ("models", "kernels", "qpus", "plans"))
        stored = dataclasses.replace(request, models=models, kernels=kernels, device=device, qpus=qpus, plans=plans)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"[bench] {folder} is no run that can be resumed ({error}); start one without --resume") from error
    if request.suite is not None and load_suite(request.suite).source != source:
        raise InputError(f"[bench] {folder} was made with another suite; resume it without --suite or start a new run")
    options = (("--model", "models"), ("--kernel", "kernels"), ("--qpu", "qpus"), ("--plan", "plans"))
    for option, new, old in ((option, getattr(request, name), getattr(stored, name)) for option, name in options):
        if new and new != old:
            made = f"made with {option} {' '.join(old)}" if old else f"made without {option}"
            raise InputError(f"[bench] {folder} was {made}; resume it without {option} or start a new run")
    if request.device not in (None, stored.device):
        raise InputError(f"[bench] {folder} was made with --device {stored.device}; resume it without --device or start a new run")
    return folder, parse_suite(source, str(folder / "suite.toml")), stored


def _fresh_folder() -> Path:
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    for suffix in ("", *(f"-{n}" for n in range(2, 1000))):
        folder = RUNS / (stamp + suffix)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise InputError(f"[bench] {RUNS} holds a thousand runs of this second; name one with --out")


def _newest_folder() -> Path:
    found = sorted(RUNS.glob("*/suite.toml"), key=lambda path: (path.stat().st_mtime_ns, path))
    if not found:
        raise InputError(f"[bench] no run in {RUNS.absolute()} to resume; start one without --resume, or name one with --out")
    return found[-1].parent


def plan(suite: Suite, request: Request) -> tuple[Suite, list[Cell]]:
    """Load what the suite names, apply the selection, and return the suite with its selected rows and all its cells."""
    from flashket import __version__
    from flashket.benchmark import devices, metrics
    from flashket.benchmark.texts import load_text
    from flashket.llm.data import text_hash

    texts = {name: load_text(name) for name in suite.texts}
    sums = {name: text_hash(text) for name, text in texts.items()}
    rows, models = _select(suite, request)
    # Cells of the CPU keep the hashes they have always had.
    device = {"device": request.device} if request.device == "cuda" else {}
    seed, timing = suite.seed, suite.latency
    bought = _plans(rows, request.plans)
    cells = []

    def add(config: dict[str, Any], kind: str, work: float, steps: int, measure: Measure) -> None:
        cells.append(Cell({"flashket": __version__, **config}, kind, work, steps, measure))

    for name, text in texts.items():
        add({"metric": "compressors", "text": name, "text_sha256": sums[name]}, "measured", 8.0, 1, partial(metrics.compressors, text))
    for row in rows:
        model, is_sampled = models[row], row.shots is not None
        shared = {
            "row": row.name,
            "model": row.model,
            "model_sha256": model.sha256,
            "kernel": repr(model.kernel),
            "normalization": model.normalization,
            "context": model.config.context,
            "shots": row.shots,
            "seed": seed,
            **device,
        }
        noise = _noise_of(row)
        if noise is not None and row.shots is not None:
            shared |= {"qpu": noise.profile.name, "profile_sha256": devices.profile_hash(noise)}
            offer = bought.get(noise.profile.name)
            config = {"metric": "qpu", **shared} | ({} if offer is None else {"plan": offer})
            add(config, "modelled", 6.0, 1, partial(devices.token_cost, model, noise, shots=row.shots, plan=offer))
        for name, text in texts.items():
            n = len(metrics.window_starts(len(text), context=model.config.context, windows=suite.windows))
            add(
                {"metric": "quality", **shared, "text": name, "text_sha256": sums[name], "windows": n},
                "simulated" if is_sampled else "measured",
                n * (6.0 if is_sampled else 1.0),
                n,
                partial(metrics.quality, model, text, windows=suite.windows, shots=row.shots, noise=noise, seed=seed),
            )
        if noise is not None:
            continue  # how fast this machine simulates a device says nothing about the device
        n = timing.repeats + 1
        name = suite.texts[0]
        add(
            {"metric": "latency", **shared, "text": name, "text_sha256": sums[name], **dataclasses.asdict(timing)},
            "measured",
            n * ((2.0 if is_sampled else 0.5) + 0.06 * timing.output_bytes),
            n,
            partial(metrics.latency, model, texts[name], timing, shots=row.shots, seed=seed),
        )
    return dataclasses.replace(suite, rows=tuple(rows)), cells


def _select(suite: Suite, request: Request) -> tuple[list[Row], dict[Row, Model]]:
    """Apply --model and --kernel to the suite's rows. The first row, the control, always stays."""
    from flashket.llm.model import load
    from flashket.spec import parse_spec

    wanted = [parse_spec(spec) for spec in request.kernels]
    rows = list(suite.rows)
    if request.models:
        shots = list(dict.fromkeys(row.shots for row in suite.rows))
        rows = list(suite.rows) if "builtin" in request.models else rows[:1]
        for name in (name for name in request.models if name != "builtin"):
            if not Path(name).exists():
                raise InputError(f"[bench] --model must be builtin or a checkpoint's path, got {name!r}; this version has no hub models")
            title = Path(name).stem
            is_softmax = load(name).config.attention == "softmax"
            rows.append(Row(f"{title}, uniform", name, "uniform"))
            rows += [Row(title + (", exact" if n is None else f", {n} shots"), name, shots=n) for n in shots if n is None or not is_softmax]
    rows += _device_rows(rows, request.qpus)
    if len({row.name for row in rows}) != len(rows):
        raise InputError("[bench] two models have the same name; rename a checkpoint")
    loaded = {name: load(name, device=request.device or "cpu") for name in dict.fromkeys(row.model for row in rows)}
    models = {}
    for row in rows:
        models[row] = loaded[row.model].with_attention(kernel="uniform" if row.attention == "uniform" else None)
        if row.shots is not None:
            models[row].with_attention(shots=row.shots)  # refuses shots of a classical score before anything runs
        noise = _noise_of(row)
        if noise is not None:
            if request.device == "cuda":
                raise InputError("[bench] --qpu simulates noise on the host; leave --device cuda out")
            noise.native(models[row].kernel)  # refuses a circuit that does not fit the device
    if request.kernels:
        for spec, kernel in zip(request.kernels, wanted, strict=True):
            if all(model.kernel != kernel for model in models.values()):
                known = ", ".join(sorted({repr(model.kernel) for model in models.values()}))
                raise InputError(f"[bench] no row has --kernel {spec}, got rows with {known}; a model works only with a kernel it learned")
        rows = [row for i, row in enumerate(rows) if i == 0 or models[row].kernel in wanted]
    if request.qpus and not any(row.qpu for row in rows):
        raise InputError("[bench] --qpu needs a model with a quantum kernel, got none; leave it out or select one")
    return rows, {row: models[row] for row in rows}


def _device_rows(rows: list[Row], qpus: tuple[str, ...]) -> list[Row]:
    """Return one row for every device and every model of the suite with a quantum kernel."""
    from flashket.llm.model import load
    from flashket.qpu.profile import load_profile

    added = []
    for qpu in dict.fromkeys(qpus):
        device = load_profile(qpu).name
        for row in {row.model: row for row in rows if row.attention == "trained"}.values():
            if load(row.model).config.attention != "softmax":
                title = row.name.split(",")[0]
                added.append(Row(f"{title} on {device}, {QPU_SHOTS} shots", row.model, shots=QPU_SHOTS, qpu=qpu))
    return added


def _plans(rows: list[Row], plans: tuple[str, ...]) -> dict[str, str | None]:
    """Return how each device of the rows is bought, by its name."""
    from flashket.qpu.offers import offers_for
    from flashket.qpu.profile import load_profile

    if not plans:
        return {}
    profiles = [load_profile(qpu) for qpu in dict.fromkeys(row.qpu for row in rows) if qpu is not None]
    if not profiles:
        raise InputError("[bench] --plan prices the devices of --qpu, got none; add --qpu or leave it out")
    return {profile.name: offer for profile, offer in zip(profiles, offers_for(plans, profiles), strict=True)}


def _noise_of(row: Row) -> NoiseModel | None:
    from flashket.noise.model import NoiseModel

    return None if row.qpu is None else NoiseModel.from_profile(row.qpu)


def _check_same_run(store: Store, cells: list[Cell]) -> None:
    """Refuse results that this plan would not have made, and say what differs."""
    planned = {config_hash(cell.config): cell.config for cell in cells}
    for key, row in store.rows.items():
        if key in planned:
            continue
        old = row["cell"]
        twins = [new for new in planned.values() if all(new.get(name) == old.get(name) for name in ("metric", "row", "text"))]
        changes = "its rows"
        if twins:
            names = sorted(name for name in {*old, *twins[0]} if old.get(name) != twins[0].get(name))
            changes = ", ".join(f"{name} {old.get(name)!r} -> {twins[0].get(name)!r}" for name in names) or "its hash"
        raise InputError(f"[bench] {store.path} was made with another suite, version, text or model ({changes}); start a new run")


def _measure(cells: list[Cell], n_done: int, store: Store, display: Display, device: str) -> None:
    """Measure cell after cell; each is on disk before the next begins."""
    from flashket.benchmark.environment import environment, load_average, one_blas_thread

    with one_blas_thread():  # as the cells are measured, for the number of BLAS threads
        place = environment(device)
    path = store.path.with_name("environment.json")
    _write(path, json.dumps({**json.loads(path.read_text()), **place}, indent=1) + "\n")
    display.begin(cells, n_done)
    for cell in cells:
        started, load = _now(), load_average()
        wall, cpu = time.perf_counter(), time.process_time()
        with one_blas_thread():
            figures = cell.measure(progress=partial(display.step, cell))
        row = {
            "config_hash": config_hash(cell.config),
            "kind": cell.kind,
            "cell": cell.config,
            **figures,
            "started": started,
            "wall_seconds": time.perf_counter() - wall,
            "cpu_seconds": time.process_time() - cpu,
            "load_average": load,
            **place,
        }
        store.append(row)
        display.finish(cell, row)
    display.end()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the run against a second process; file systems without locks go unprotected."""
    import fcntl

    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"[bench] {path.parent} is being run by another process; wait for it or choose another --out") from error
        yield


def _write(path: Path, text: str) -> None:
    """Replace a file in one step, so that an interruption leaves the old or the new one."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(text.encode())
    temporary.replace(path)


def _remove(folder: Path) -> None:
    """Remove what :func:`_open` and :func:`_locked` made; a folder with other files stays."""
    for name in ("results.jsonl", "environment.json", "suite.toml"):
        (folder / name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
