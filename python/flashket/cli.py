# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The command line. Every import that costs time happens inside the command that needs it."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import numpy.typing as npt

GOOD, FAILED, USAGE, MISSING, INTERRUPTED = 0, 1, 2, 3, 4
_KILLED = 130
"""What shells expect of a command that Ctrl-C ended with nothing to save."""

_SPEC = "[fidelity:|hadamard:|projected:]MAP:N[,key=value...], e.g. angle:8, zz:6,reps=2, hadamard:amplitude:32, softmax:32, circuit:FILE"

_PLAN = "open, pay-as-you-go (default), flex or premium of IBM, or a name of the plan column of flashket estimate"


class _Parser(argparse.ArgumentParser):
    """argparse, but wrong usage is one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 good, 1 a check failed, 2 wrong usage, 3 missing backend, 4 interrupted, run saved.

    Examples
    --------
    >>> main(["explain", "--kernel", "angle:8", "--n", "-1"])
    2
    """
    arguments = _parser().parse_args(argv)
    from flashket.errors import BackendUnavailable, FlashKetError, JobError

    try:
        command: Callable[[argparse.Namespace], int] = arguments.command
        code = command(arguments)
        sys.stdout.flush()  # here, where a reader that went away is still handled
        return code
    except BackendUnavailable as error:
        return _refuse(str(error), MISSING)
    except JobError as error:
        return _refuse(str(error), FAILED)
    except FlashKetError as error:
        return _refuse(str(error), USAGE)
    except BrokenPipeError:
        # The reader of our output went away (`| head`): close quietly; stdout must not be flushed into it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return GOOD
    except OSError as error:
        return _refuse(f"[{error.filename or arguments.name}] {error.strerror or error}", USAGE)
    except KeyboardInterrupt:
        return _refuse("interrupted; nothing was saved", _KILLED)


def _refuse(text: str, code: int) -> int:
    print("flashket: " + " ".join(text.split()), file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="flashket", description="Quantum-kernel attention, measured on real language models.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND", parser_class=_Parser)

    bench = commands.add_parser("bench", help="evaluate the bundled language models and print one table", description=_bench.__doc__)
    bench.add_argument("--suite", help="quick, default, full or a TOML file (default: default)")
    bench.add_argument(
        "--model", action="append", default=[], help="builtin (default) or a checkpoint's path, which then runs beside the control; repeats"
    )
    bench.add_argument(
        "--kernel", action="append", default=[], metavar="SPEC", help="keep the control and this kernel's rows, e.g. angle:8; repeats"
    )
    bench.add_argument(
        "--backend", action="append", default=[], metavar="NAME", help="auto or the device's: cpu, or cuda with --device cuda"
    )
    bench.add_argument("--device", choices=("cpu", "cuda"), help="where the models run (default: cpu); cuda needs a GPU and CuPy")
    bench.add_argument("--out", type=Path, metavar="DIR", help="run folder (default: ./flashket-runs/TIMESTAMP)")
    bench.add_argument("--resume", action="store_true", help="continue the run in --out, or the newest in ./flashket-runs")
    bench.add_argument(
        "--qpu", action="append", default=[], metavar="PROFILE", help="add rows with this device's noise and its cost per token; repeats"
    )
    bench.add_argument(
        "--max-spend", type=float, default=0.0, metavar="USD", help="the most to spend on QPUs; --qpu simulates, for nothing"
    )
    bench.add_argument("--plan", action="append", default=[], metavar="PLAN", help=f"how --qpu devices are bought: {_PLAN}; repeats")
    bench.add_argument("--scheduler", action="append", default=[], help=argparse.SUPPRESS)
    bench.set_defaults(command=_bench)

    gram = commands.add_parser("gram", help="write the kernel matrix of a .npy file", description=_gram.__doc__)
    gram.add_argument("input", type=Path, metavar="IN.npy", help="(n, n_features) numbers")
    gram.add_argument("output", type=Path, metavar="OUT.npy", help="(n, n) kernel values")
    gram.add_argument("--kernel", required=True, metavar="SPEC", help=_SPEC)
    gram.add_argument("--shots", type=int, help="measurements per entry (default: exact)")
    gram.add_argument("--seed", type=int, help="of the sampled entries")
    gram.add_argument("--log", action="store_true", help="write the logarithms")
    gram.add_argument("--dtype", choices=("float32", "float64"), help="precision (default: the input's)")
    gram.add_argument("--scheduler", help=argparse.SUPPRESS)
    gram.set_defaults(command=_gram)

    explain = commands.add_parser("explain", help="say how a kernel would be computed and what it would cost", description=_explain.__doc__)
    explain.add_argument("--kernel", required=True, metavar="SPEC", help=_SPEC)
    explain.add_argument("--n", required=True, type=int, help="rows, or positions for attention")
    explain.add_argument("--op", choices=("gram", "attention"), default="gram")
    explain.set_defaults(command=_explain)

    estimate = commands.add_parser(
        "estimate", help="say what a kernel matrix would cost on QPUs; nothing is sent", description=_estimate.__doc__
    )
    estimate.add_argument("--kernel", required=True, metavar="SPEC", help=_SPEC)
    estimate.add_argument("--n", required=True, type=int, help="rows")
    estimate.add_argument("--shots", required=True, type=int, help="measurements of each circuit")
    estimate.add_argument("--qpu", action="append", default=[], metavar="PROFILE", help="only this device (default: all); repeats")
    estimate.add_argument("--plan", action="append", default=[], metavar="PLAN", help=f"how devices are bought: {_PLAN}; repeats")
    estimate.set_defaults(command=_estimate)

    _add_qpu(commands)

    doctor = commands.add_parser("doctor", help="check this installation", description=_doctor.__doc__)
    doctor.add_argument("--backend", action="append", default=[], metavar="NAME", help="fail if this backend is missing; repeats")
    doctor.set_defaults(command=_doctor)
    return parser


def _add_qpu(commands: argparse._SubParsersAction[_Parser]) -> None:
    """Add ``flashket qpu ...``."""
    text = (
        "QPU backends and journalled jobs. Exit codes: 1 job failed or not ready, 2 wrong usage or over budget, 4 interrupted, job saved."
    )
    qpu = commands.add_parser("qpu", help="QPU backends, device profiles and jobs", description=text)
    actions = qpu.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=_Parser)

    actions.add_parser("list", help="the QPU backends, and what each lacks here")

    profiles = actions.add_parser("profiles", help="the bundled device profiles")
    profiles.add_argument("--refresh", action="store_true", help="make them anew from the providers' installed packages")
    profiles.add_argument("--out", type=Path, metavar="DIR", help="where --refresh writes (default: the package)")

    submit = actions.add_parser("submit", help="send a kernel matrix, or go on with the same one; prints its cost first")
    submit.add_argument("input", type=Path, metavar="IN.npy", help="(n, n_features) numbers")
    submit.add_argument("--kernel", required=True, metavar="SPEC", help=_SPEC)
    submit.add_argument("--backend", required=True, metavar="NAME", help="e.g. sim:ibm_torino; see: flashket qpu list")
    submit.add_argument("--shots", required=True, type=int, help="measurements of each circuit")
    submit.add_argument("--seed", type=int, help="of simulated samples and random measurements")
    submit.add_argument("--estimator", default="auto", metavar="NAME", help="how entries are measured (default: auto)")
    steps = ("readout", "zne", "average", "split", "clip", "shift", "nearest")
    submit.add_argument("--mitigate", action="append", default=[], choices=steps, help="an error mitigation's step; repeats")
    submit.add_argument("--max-spend", type=float, default=0.0, metavar="USD", help="the most it may cost (default: 0)")
    submit.add_argument("--max-seconds", type=float, metavar="S", help="the most QPU time (default: 0, or what --max-spend pays for)")
    submit.add_argument("--plan", metavar="PLAN", help="how IBM's time is bought: open, pay-as-you-go (default), flex or premium")
    submit.add_argument("--allow-unknown", action="store_true", help="send it although its price is not known")
    submit.add_argument("--retry-unknown", action="store_true", help="send parts again whose outcome is unknown; they may be paid twice")
    submit.add_argument("--reuse", choices=("unfinished", "any", "never"), default="unfinished", help="of the same job in the journal")

    status = actions.add_parser("status", help="the jobs in the journal, or one of them with its parts")
    status.add_argument("job", nargs="?", type=int, metavar="JOB", help="its number")
    status.add_argument("--offline", action="store_true", help="do not ask the provider")

    fetch = actions.add_parser("fetch", help="wait for a job and write the matrix")
    fetch.add_argument("job", type=int, metavar="JOB")
    fetch.add_argument("output", type=Path, metavar="OUT.npy", help="(n, m) float64")
    fetch.add_argument("--errors", type=Path, metavar="FILE.npy", help="write the standard errors too")
    fetch.add_argument("--timeout", type=float, metavar="S", help="give up waiting after this long")

    cancel = actions.add_parser("cancel", help="stop what has not run")
    cancel.add_argument("job", type=int, metavar="JOB")
    qpu.set_defaults(command=_qpu)


class _Version(argparse.Action):
    """--version, without importing the package to build the parser."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: object, values: object, option_string: str | None = None) -> None:
        from flashket import __version__

        print(f"flashket {__version__}")
        parser.exit(GOOD)


def _bench(arguments: argparse.Namespace) -> int:
    """Evaluate the bundled models on two held-out texts, exact and with finite shots, beside classical controls. Ctrl-C keeps
    what is finished; --resume continues."""
    from flashket.benchmark.runner import Request, interruptible, run
    from flashket.errors import InputError
    from flashket.llm.model import array_module
    from flashket.qpu.spending import budget

    if arguments.scheduler:
        raise InputError("[bench] --scheduler is not in this version, which runs on this machine; leave it out")
    _require_backends(arguments.backend, "bench")
    device = arguments.device or "cpu"
    for name in arguments.backend:
        if name not in ("auto", device) and not arguments.resume:
            raise InputError(f"[bench] --backend {name} does not run models on --device {device}; leave one of them out")
    array_module(device)  # refuses a device that is not there before a folder is made
    names = (tuple(arguments.model), tuple(arguments.kernel))
    request = Request(
        arguments.suite, *names, arguments.out, arguments.resume, arguments.device, tuple(arguments.qpu), tuple(arguments.plan)
    )
    with interruptible(), budget(usd=arguments.max_spend):
        from flashket.benchmark.terminal import TerminalDisplay, print_table

        outcome = run(request, TerminalDisplay())
        print_table(outcome)
    print(f"Results: {outcome.folder / 'results.jsonl'}")
    if outcome.interrupted:
        resume = "" if arguments.out is None else f" --out {outcome.folder}"
        return _refuse(f"interrupted; finished cells are saved, continue with: flashket bench --resume{resume}", INTERRUPTED)
    return GOOD


def _require_backends(names: Sequence[str], place: str) -> None:
    """Raise BackendUnavailable for a known backend that is absent, InputError for an unknown name."""
    from flashket.backends._registry import backends
    from flashket.errors import BackendUnavailable, InputError

    known = {backend.name: backend for backend in backends()}
    for name in names:
        if name != "auto" and name not in known:
            raise InputError(f"[{place}] --backend must be auto or one of {', '.join(known)}, got {name!r}")
        if name != "auto" and not known[name].available:
            raise BackendUnavailable(f"[{place}] --backend {name}: {known[name].reason}")


def _gram(arguments: argparse.Namespace) -> int:
    """Compute the kernel matrix of the rows of IN.npy and write it to OUT.npy, which appears only when it is whole."""

    from flashket.errors import InputError
    from flashket.gram import gram
    from flashket.spec import parse_spec

    if arguments.scheduler:
        raise InputError("[gram] --scheduler is not in this version, which computes on this machine; leave it out")
    kernel = parse_spec(arguments.kernel)
    matrix = gram(
        open_npy(arguments.input),
        kernel=kernel,
        dtype=arguments.dtype,
        log=arguments.log,
        shots=arguments.shots,
        seed=arguments.seed,
    )
    write_npy(arguments.output, matrix)
    print(f"{arguments.output}: {matrix.shape[0]} x {matrix.shape[1]} {matrix.dtype}, {kernel!r}")
    return GOOD


def write_npy(path: Path, matrix: npt.NDArray[Any]) -> None:
    """Write a .npy file, which appears only when it is whole."""
    import numpy as np

    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            np.save(file, matrix, allow_pickle=False)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def open_npy(path: Path, place: str = "gram") -> object:
    """Map a .npy file, after comparing what its header claims with the size of the file."""
    import numpy as np

    from flashket.errors import InputError

    def refuse(reason: object) -> InputError:
        return InputError(f"[{place}] {path} must be a .npy file with a matrix of numbers: {reason}")

    if not path.is_file():
        raise refuse("no such file")
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    with path.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            if version not in read_header:
                raise refuse(f"format version {version} is not for plain numbers")
            shape, _, dtype = read_header[version](file)
        except ValueError as error:
            raise refuse(error) from error
        n_items = math.prod(shape)
        claimed = file.tell() + n_items * dtype.itemsize
    if dtype.hasobject:
        raise refuse("it holds Python objects")
    if claimed != path.stat().st_size:
        raise refuse(f"its header claims {claimed} bytes for shape {shape}, the file has {path.stat().st_size}; copy it again")
    if n_items == 0:  # an empty file part cannot be mapped
        return np.empty(shape, dtype)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _explain(arguments: argparse.Namespace) -> int:
    """Say which path computes a kernel, why, and its bytes and flops. Nothing is computed."""
    from flashket.planner import explain
    from flashket.spec import parse_spec

    print(explain(parse_spec(arguments.kernel), n=arguments.n, op=arguments.op))
    return GOOD


def _estimate(arguments: argparse.Namespace) -> int:
    """Say what a kernel matrix would take on every device: circuits, gates, QPU seconds, dollars. Nothing is sent."""
    from flashket.qpu.estimates import estimate_command

    return estimate_command(arguments)


def _qpu(arguments: argparse.Namespace) -> int:
    """Run ``flashket qpu ACTION``."""
    from flashket.qpu.commands import run

    try:
        return run(arguments)
    except KeyboardInterrupt:
        return _refuse("interrupted; what was sent is in the journal, see: flashket qpu status", INTERRUPTED)


def _doctor(arguments: argparse.Namespace) -> int:
    """Check versions, the compiled core, backends, and the checksums of models and texts."""
    from flashket.diagnose import report

    lines, is_sound = report()
    print("\n".join(lines))
    _require_backends(arguments.backend, "doctor")
    return GOOD if is_sound else FAILED
