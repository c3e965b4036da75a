"""Times whole training steps (forward and backward of a planned net, no data) of known nets, beside PyTorch's.

python tests/bench/steps.py [NET ...] [--pairs 5] [--steps 10] [--torch PYTHON] [--shared ../shared] [--history FILE]

Each run is a process of its own, so that its peak memory is its own too; ours and the peer's take turns. --torch names
a Python that has PyTorch (`netdef time NET --against torch` compares in one process, and layer by layer), --history a
file that gets a line of JSON for the run.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import history

NETS = ("lenet", "cifar10_quick", "cifar10_full", "caffenet", "googlenet", "resnet18")
WARM_UP = 3
# Runs a script with another clock.
BY_CPU = (
    "import runpy, sys, time; time.perf_counter = time.process_time; sys.argv.pop(0); "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


def one(path: str, steps: int, infer: bool, clock: Callable[[], float]) -> None:
    """Prints the median and the best step of a net in milliseconds; what the process needs in memory, its parent sees.

    As in the peer's script, gradients are cleared outside the clock.
    """
    from netdef import read
    from netdef.layer import TEST, TRAIN

    net = read.net(path, TEST if infer else TRAIN, seed=1, plan=True)
    taken = []
    for _ in range(WARM_UP + steps):
        if not infer:
            net.clear_param_diffs()
        start = clock()
        net.forward()
        if not infer:
            net.backward()
        taken.append((clock() - start) * 1e3)
    print(f"step {statistics.median(taken[WARM_UP:]):.3f} best {min(taken[WARM_UP:]):.3f}")


def run(command: list[str]) -> dict[str, float]:
    """What a child reports, its peak memory in MB and its processor seconds."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        text = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{' '.join(command)}: exit status {child.returncode}")
    step, best = re.search(r"step ([\d.]+) best ([\d.]+)", text).groups()
    return {
        "step": float(step),
        "best": float(best),
        "rss": usage.ru_maxrss / 1024,
        "cpu": usage.ru_utime + usage.ru_stime,
    }


def rounds(path: Path, args: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Every runner's results, taken in turns."""
    shared, infer = Path(args.shared), ["--infer"] * args.infer
    commands = {"ours": [sys.executable, __file__, "--one", str(path), "--steps", str(args.steps), *infer]}
    commands["ours"] += ["--cpu"] * args.cpu
    if args.torch:
        peer = [
            args.torch,
            *["-c", BY_CPU] * args.cpu,
            str(shared / "bench/torch_step.py"),
            str(shared / "caffe/bvlc_schema.pb"),
            str(path),
        ]
        peer += ["--threads", str(args.threads), "--iters", str(args.steps), *infer]
        commands |= {"torch": peer, "torch-last": [*peer, "--last"]}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(args.pairs):
        for name, command in commands.items():
            found[name].append(run(command))
    return found


def summary(net: str, found: dict[str, list[dict[str, float]]]) -> dict[str, object]:
    """The medians, and the ratio of each pair to the layout that is the better one in the median."""
    line: dict[str, object] = {"net": net}
    for name, runs in found.items():
        line[name] = {key: round(statistics.median(r[key] for r in runs), 3) for key in ("step", "best", "rss")}
    rivals = [name for name in found if name != "ours"]
    if rivals:
        peer = min(rivals, key=lambda name: statistics.median(r["step"] for r in found[name]))
        ratios = [a["step"] / b["step"] for a, b in zip(found["ours"], found[peer], strict=True)]
        line |= {"peer": peer, "ratio": round(statistics.median(ratios), 3), "ratios": [round(r, 3) for r in ratios]}
    return line


def measured(net: str, args: argparse.Namespace) -> dict[str, object]:
    """A net's summary, which is printed too."""
    path = Path(net) if net.endswith(".prototxt") else Path(args.shared) / "bench/nets" / f"{net}.prototxt"
    line = summary(net, rounds(path, args))
    names = [name for name in ("ours", "torch", "torch-last") if name in line]
    parts = [f"{n} {line[n]['step']:.1f} ms (best {line[n]['best']:.1f}) {line[n]['rss']:.0f} MB" for n in names]
    print(f"{net:14} ratio {line.get('ratio', '-')} | {' | '.join(parts)}", flush=True)
    return line


def parser(text: str) -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("nets", nargs="*", default=NETS, metavar="NET", help=f"of {', '.join(NETS)}, or files")
    found.add_argument("--pairs", type=int, default=5)
    found.add_argument("--steps", type=int, default=10)
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found.add_argument("--threads", type=int, default=threads, help="of both; with --cpu, 1 leaves no waiting in it")
    found.add_argument("--torch", metavar="PYTHON")
    found.add_argument("--shared", default=str(Path(__file__).parents[3] / "shared"))
    found.add_argument("--infer", action="store_true", help="forward alone, in phase TEST")
    found.add_argument("--cpu", action="store_true", help="processor time of all threads, where others use the cores")
    found.add_argument("--history", metavar="FILE")
    found.add_argument("--one", metavar="FILE", help="time this net here, and nothing else")
    return found


def main() -> None:
    args = parser(__doc__).parse_args()
    if args.one:
        return one(args.one, args.steps, args.infer, time.process_time if args.cpu else time.perf_counter)
    os.environ["NETDEF_NUM_THREADS"] = str(args.threads)
    nets = [measured(net, args) for net in args.nets]
    if args.history:
        history.append(args.history, history.about(args.threads) | {"nets": nets})


if __name__ == "__main__":
    main()
