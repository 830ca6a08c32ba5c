"""Keeps the results of check.sh.

    results.py add FILE STAGE STATUS SECONDS < OUTPUT    adds a stage: its benchmarks, and the JSON that it printed
    results.py table FILE                                prints what they come to, in Markdown
"""

import json
import os
import re
import statistics
import sys


def parse(output):
    """Returns the metrics of the Go benchmarks in an output, by name, and the JSON object that it ends with, if any."""
    benchmarks = {}
    for name, metrics in re.findall(r"^Benchmark(\S+?)(?:-\d+)?\s+\d+\s(.*)$", output, re.MULTILINE):
        words = metrics.split()
        benchmarks[name] = {unit: float(value) for value, unit in zip(words[::2], words[1::2])}
    found = re.search(r"^\{$.*^\}$", output, re.MULTILINE | re.DOTALL)
    return benchmarks, json.loads(found[0]) if found else None


def load(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def add(path, stage, status, seconds, output):
    benchmarks, figures = parse(output)
    entry = {"stage": stage, "status": status, "seconds": seconds, "benchmarks": benchmarks, "figures": figures}
    if stage == "machine" or status:
        entry["output"] = output[-2000:]
    stages = [*load(path), entry]
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(stages, file, indent=1)
    os.replace(path + ".new", path)


def table(path):
    """Yields lines: how the stages went, the steps beside the peer's, and single operations."""
    stages = load(path)
    yield "| stage | exit status | s |"
    yield "| --- | --- | --- |"
    for entry in stages:
        yield f"| {entry['stage']} | {entry['status']} | {entry['seconds']} |"
    times = {}  # of a kind of stage and a workload, in seconds
    for entry in stages:
        kind, _, workload = entry["stage"].partition(" ")
        values = times.setdefault(workload, {}).setdefault(kind, [])
        if kind == "step":
            values += [metrics["ns/op"] / 1e9 for metrics in entry["benchmarks"].values()]
        elif entry["figures"]:
            values.append(entry["figures"]["step_seconds_median"])
    yield ""
    yield "| step | ours, ms | PyTorch, ms | ratio | compiled, ms | ratio |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for workload, kinds in times.items():
        ours, *others = (statistics.median(kinds[kind]) if kinds.get(kind) else None for kind in ("step", "peer", "compiled"))
        if ours:
            cells = [f"{1e3 * other:.2f} | {other / ours:.2f}" if other else "- | -" for other in others]
            yield f"| {workload} | {1e3 * ours:.2f} | {' | '.join(cells)} |"
    yield ""
    yield "| operation | us | GFLOP/s | GB/s |"
    yield "| --- | --- | --- | --- |"
    for entry in stages:
        for name, metrics in entry["benchmarks"].items():
            if not entry["stage"].startswith("step"):
                rates = " | ".join(f"{metrics[unit]:.0f}" if unit in metrics else "-" for unit in ("GFLOP/s", "GB/s"))
                yield f"| {name} | {metrics['ns/op'] / 1e3:.1f} | {rates} |"


def main():
    command, path, *rest = sys.argv[1:]
    if command == "add":
        stage, status, seconds = rest
        add(path, stage, int(status), int(seconds), sys.stdin.read())
    else:
        print("\n".join(table(path)))


if __name__ == "__main__":
    main()
