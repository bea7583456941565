"""Measures this program beside its peers and prints a table; run it by bench/compare.

A cell is a row on a number of threads. In each of its rounds every contender has one burst, in an order that moves on by one from round to
round, while the others are idle. A round in which other processes took more than 3 % of the machine is thrown away and done again. A value
is the median over the rounds of a run; with --runs a row is met if it is in each.
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import sys
import time

import contenders
import models
import rows

LIMIT_MET = 0.90  # a row is also met at this fraction of its limit
TRIES = 4  # rounds that are tried for each that is wanted


def machine():
    """The kind of machine, as the targets tell them apart, and the CPU's name."""
    with open("/proc/cpuinfo") as f:
        info = dict(line.split(":", 1) for line in f.read().split("\n\n")[0].splitlines())
    info = {k.strip(): v.strip() for k, v in info.items()}
    flags = info.get("flags", "").split()
    kind = "X" if "amx_tile" in flags else "T" if "avx512f" in flags else "Z" if "avx2" in flags else ""
    return kind, info.get("model name", "unknown CPU")


class Clock:
    """Tells which part of the machine other processes took: what was not idle, without our own processes' time."""

    def __init__(self):
        with open("/proc/stat") as f:
            fields = f.readline().split()
        self.idle = (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")
        self.ours, self.wall = contenders.Children.seconds(), time.perf_counter()

    def others(self):
        end = Clock()
        all = (end.wall - self.wall) * os.cpu_count()
        return max(0.0, (all - (end.idle - self.idle) - (end.ours - self.ours)) / all)


class Run:
    """Rounds that count together: the values of each contender, and the peaks."""

    def __init__(self):
        self.values, self.peaks = {}, []

    def medians(self):
        return {label: statistics.median(v) for label, v in self.values.items()}, statistics.median(self.peaks) if self.peaks else None


class Cell:
    """A row on a number of threads, measured."""

    def __init__(self, row, threads):
        self.row, self.threads, self.contenders = row, threads, row.contenders(threads)
        self.runs, self.missing, self.thrown, self.others, self.start, self.tried = [], {}, 0, [], 0, []

    def burst(self, label, seconds, round):
        try:
            return self.contenders[label].burst(seconds, round)
        except contenders.Missing as e:
            self.missing[label] = str(e)

    def measure(self, options):
        seconds = options.seconds if self.row.seconds is None else self.row.seconds
        wanted, began = min(options.rounds, self.row.rounds or options.rounds), time.perf_counter()
        for label, c in self.contenders.items():
            if seconds or isinstance(c, contenders.Work):  # a command that runs once a burst has nothing to warm up
                self.burst(label, 0, 0)
        self.start = time.perf_counter() - began
        for _ in range(options.runs):
            self.runs.append(Run())
            self.rounds(self.runs[-1], seconds, wanted, options.others)

    def rounds(self, run, seconds, wanted, others_allowed):
        """Fills a run with quiet rounds, as many as are wanted if they come."""
        there = [label for label in self.contenders if label not in self.missing]
        kept, tried = 0, 0
        while kept < wanted and tried < TRIES * wanted and there:
            order = [there[(i + tried) % len(there)] for i in range(len(there))]
            clock, round = Clock(), {}
            for label in order:
                time.sleep(0.03)  # threads that still spin go to sleep
                round[label] = self.burst(label, seconds, kept)
                if label == "ours":
                    peak = self.peak()
            tried += 1
            others = clock.others()
            self.others.append(others)
            self.tried.append(time.perf_counter() - clock.wall)
            if others > others_allowed:
                self.thrown += 1
                continue
            kept += 1
            for label, value in round.items():
                if value is not None:
                    run.values.setdefault(label, []).append(value)
            if "ours" in there and peak:
                run.peaks.append(peak)

    def peak(self):
        try:
            return isinstance(self.contenders["ours"], contenders.Work) and self.contenders["ours"].peak()
        except contenders.Missing:
            return None

    def flops(self):
        lengths = next((c.lengths for c in self.contenders.values() if getattr(c, "lengths", None)), None)
        return self.row.flops or (sum(map(models.flops, lengths)) if lengths else None)

    def judge(self, line, values, peak):
        """What a line of the table shows of contenders' values: a record."""
        flops = self.flops()

        def of_limit(value):
            return flops / value / 1e6 / peak if flops and peak and value and self.row.unit == "ms" else None

        peers = {p: values[p] for p in line.peers if p in values}
        ours, best = values.get("ours"), min(peers, key=peers.get) if peers else None
        fraction = of_limit(ours)
        ratio = ours / peers[best] if ours and best else None
        judged = {"ratio": ratio, "value": ours, "fraction": fraction}[self.row.judged]
        met = None
        if judged is not None and line.target is not None:
            met = judged >= line.target if self.row.judged == "fraction" else judged <= line.target or (fraction or 0) >= LIMIT_MET
        return {"ours": ours, "peers": peers, "best": best, "ratio": ratio, "ours_of_limit": fraction,
                "best_of_limit": of_limit(peers[best]) if best else None, "met": met}

    def lines(self):
        """The row's lines of the table as records: values over all rounds, met if it is so in each run, and each run's under runs."""
        all = Run()
        for run in self.runs:
            all.peaks += run.peaks
            for label, values in run.values.items():
                all.values.setdefault(label, []).extend(values)
        for line in self.row.lines(self.contenders):
            runs = [{**self.judge(line, *r.medians()), "rounds": max(map(len, r.values.values()), default=0)} for r in self.runs]
            met = [r["met"] for r in runs]
            yield {"name": self.row.name, "work": line.title, "threads": self.threads, "unit": self.row.unit, "judged": self.row.judged,
                   **self.judge(line, *all.medians()), "target": line.target, "met": False if False in met else None if None in met else True,
                   "rounds": sum(r["rounds"] for r in runs), "thrown": self.thrown, "others": self.others, "runs": runs,
                   "start_seconds": self.start, "round_seconds": statistics.median(self.tried) if self.tried else None,
                   "missing": {k: v for k, v in self.missing.items() if k in ("ours", *line.peers)}}


HEAD = ("work", "threads", "ours", "peers", "ours / best", "of limit: ours, best", "target", "met", "rounds")


def number(x):
    return f"{x:.0f}" if x >= 1000 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def shown(line):
    """A record as the cells of a table; what is judged is shown of each run."""
    def percent(x):
        return f"{100 * x:.0f} %" if x is not None else "-"

    def each(key, format):
        """All runs' values where the row is judged by them, else the one over all."""
        name = {"ratio": "ratio", "value": "ours", "fraction": "ours_of_limit"}[line["judged"]]
        return " ".join(format(r[key]) for r in (line["runs"] if key == name else [line]))

    def ours():
        if line["ours"] is None:
            return "not there" if "ours" in line["missing"] else "no quiet round"
        return each("ours", lambda x: "-" if x is None else number(x)) + (" " + line["unit"] if line["unit"] else "")

    peers = sorted(line["peers"].items(), key=lambda p: p[1])
    text = [f"{label} {number(x)}" for label, x in peers] + [f"{label} not there" for label in line["missing"] if label != "ours"]
    target = "-" if line["target"] is None else {"fraction": f"{100 * line['target']:.0f} % of limit"}.get(line["judged"], f"{line['target']:g}")
    if line["judged"] == "value" and line["target"] is not None and line["unit"]:
        target += " " + line["unit"]
    return (line["work"], str(line["threads"]), ours(), "; ".join(text) or "-", each("ratio", lambda x: "-" if x is None else f"{x:.2f}"),
            f"{each('ours_of_limit', percent)}, {percent(line['best_of_limit'])}", target,
            {True: "yes", False: "NO", None: "-"}[line["met"]],
            " + ".join(str(r["rounds"]) for r in line["runs"]) + (f" ({line['thrown']} thrown)" if line["thrown"] else ""))


def options():
    p = argparse.ArgumentParser(prog="bench/compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--work", metavar="NAME,...", help="rows, by --list's names; a beginning such as int8- takes all rows that begin so")
    p.add_argument("--threads", default="1,2", metavar="N,...", help="numbers of threads (%(default)s)")
    p.add_argument("--rounds", type=int, default=9, help="rounds to keep for each row (%(default)s)")
    p.add_argument("--runs", type=int, default=1, help="runs of so many rounds each; a row is met if it is in each (%(default)s)")
    p.add_argument("--seconds", type=float, default=0.4, help="of a burst (%(default)s); rows that answer a dataset do it once")
    p.add_argument("--others", type=float, default=0.03, help="part of the machine that other processes may take in a round (%(default)s)")
    p.add_argument("--examples", type=int, metavar="N", help="of each dataset; 0 for the whole dev set (a sample of each: docs/performance.md)")
    p.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    p.add_argument("--list", action="store_true", help="the names of the rows")
    return p.parse_args(), p


def main():
    o, parser = options()
    kind, cpu = machine()
    every = rows.rows(kind, o.examples)
    if o.list:
        print("\n".join(r.name for r in every))
        return
    names = o.work.split(",") if o.work else [""]
    for n in names:
        if not any(r.name == n or r.name.startswith(n) and (not n or n.endswith("-")) for r in every):
            parser.error(f"no row {n!r}: --list names them")
    chosen = [r for r in every if any(r.name == n or (not n or n.endswith("-")) and r.name.startswith(n) for n in names)]
    threads = [int(t) for t in o.threads.split(",")]
    cells = [Cell(r, t) for r in chosen for t in r.threads if t in threads and t <= os.cpu_count()]
    models.KEPT.mkdir(parents=True, exist_ok=True)
    # The rows of one precision on one number of threads follow each other: they share their processes.
    order = sorted(cells, key=lambda c: (every.index(c.row) // 4, c.threads))
    for i, cell in enumerate(order):
        cell.measure(o)
        for line in cell.lines():
            print(time.strftime("%H:%M:%S"), "  ".join(shown(line)), f"start {number(cell.start)} s, a round {number(line['round_seconds'] or 0)} s",
                  file=sys.stderr, flush=True)
        contenders.Children.close({key for later in order[i + 1:i + 5] for c in later.contenders.values() for key in c.commands()})
    lines = [line for cell in cells for line in cell.lines()]
    versions = {n: importlib.metadata.version(n) for n in ("onnxruntime", "openvino", "nncf", "torch", "sentencepiece", "tokenizers")}
    if o.json:
        print(json.dumps({"machine": kind, "cpu": cpu, "versions": versions, "time": time.strftime("%Y-%m-%d %H:%M"), "lines": lines}, indent=1))
        return
    print(f"Machine {kind or 'of no kind that there are targets for'}: {cpu}, {os.cpu_count()} cores; {time.strftime('%Y-%m-%d %H:%M')}; "
          + ", ".join(f"{k} {v}" for k, v in versions.items()) + ".\n")
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    for line in lines:
        print("| " + " | ".join(shown(line)) + " |")
    missing = {(k, v) for line in lines for k, v in line["missing"].items()}
    print("".join(f"\nNot there: {k}: {v}" for k, v in sorted(missing)))


if __name__ == "__main__":
    try:
        main()
    finally:
        contenders.Children.close()
