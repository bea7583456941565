"""What does the work: long-lived child processes that are idle but for their own bursts, commands, and the two together with other load."""

import collections
import json
import os
import subprocess
import sys
import threading
import time

import models


class Missing(Exception):
    """A contender cannot do this work here; the reason."""


class Children:
    """Child processes by their command, each started once and kept while it is used."""

    running = collections.OrderedDict()

    @classmethod
    def get(cls, argv):
        key = tuple(map(str, argv))
        if key not in cls.running:
            log = None if os.environ.get("ALBERT_COMPARE_LOG") else subprocess.DEVNULL
            cls.running[key] = subprocess.Popen(key, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        return cls.running[key]

    @classmethod
    def close(cls, keep=frozenset()):
        """Ends all but those to keep."""
        for key in [k for k in cls.running if k not in keep]:
            child = cls.running.pop(key)
            child.kill()
            child.wait()

    @classmethod
    def seconds(cls):
        """Processor time of this process and of all children, those that have ended too."""
        total, tick = sum(os.times()[:4]), os.sysconf("SC_CLK_TCK")
        for child in cls.running.values():
            with open(f"/proc/{child.pid}/stat") as f:
                total += sum(map(int, f.read().rpartition(")")[2].split()[11:15])) / tick
        return total


def ask(argv, **command):
    child = Children.get(argv)
    try:
        child.stdin.write(json.dumps(command) + "\n")
        child.stdin.flush()
        line = child.stdout.readline()
    except BrokenPipeError:
        line = ""
    if not line:
        raise Missing(f"{argv[0]} ended: status {child.wait()}")
    reply = json.loads(line)
    if "error" in reply:
        raise Missing(reply["error"])
    return reply


class Work:
    """A kind of work in a child process. work is as the child reads it, files by their names in models; or a function of the round."""

    def __init__(self, argv, work):
        self.argv, self.work, self.lengths = argv, work, None

    def commands(self):
        return [tuple(map(str, self.argv()))]

    def burst(self, seconds, round=0):
        work = self.work(round) if callable(self.work) else dict(self.work)
        if "path" in work:
            work["path"] = str(models.get(work["path"]))
        if work["kind"] == "tokenize":
            work["path"] = f"{models.get('base') / 'spiece.model'}:{work['path']}"
        reply = ask(self.argv(), do="burst", seconds=seconds, work=work)
        self.lengths = reply.get("lengths")
        return reply["ms"]

    def peak(self):
        return ask(self.argv(), do="peak")["gflops"]


class Command:
    """A command, from its start to its end, in milliseconds times scale."""

    def __init__(self, argv, scale):
        self.argv, self.scale = argv, scale

    def commands(self):
        return []

    def burst(self, seconds, round=0):
        argv, n, start = [str(a) for a in self.argv()], 0, time.perf_counter()
        while n == 0 or time.perf_counter() - start < seconds:
            p = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            if p.returncode:
                raise Missing(p.stderr.decode(errors="replace").strip().splitlines()[-1:])
            n += 1
        return (time.perf_counter() - start) * 1e3 * self.scale / n


class Memory:
    """VmRSS of `albert predict` in MB when it has answered a thousand texts and has waited a second for more."""

    def __init__(self, precision, threads):
        self.more = ["--threads", str(threads)] + ["--precision", precision] * (precision != "fp32")

    def commands(self):
        return []

    def burst(self, seconds, round=0):
        texts = models.get("classify.jsonl").read_bytes()
        p = subprocess.Popen(["albert", "predict", str(models.get("classify")), "-", *self.more], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)

        def write():
            try:
                p.stdin.write(texts)
                p.stdin.flush()
            except BrokenPipeError:
                pass

        writer = threading.Thread(target=write)
        writer.start()
        answers = 0
        while answers < texts.count(b"\n") and p.stdout.readline():
            answers += 1
        writer.join()
        time.sleep(1)
        with open(f"/proc/{p.pid}/status") as f:
            resident = [line.split()[1] for line in f if line.startswith("VmRSS")]
        try:
            p.stdin.close()
        except BrokenPipeError:
            pass
        errors = p.stderr.read().decode(errors="replace").strip()
        if p.wait() or not resident:
            raise Missing(errors.splitlines()[-1] if errors else f"status {p.returncode}")
        return int(resident[0]) * 1024 / 1e6


class Beside:
    """The time of two threads while another process is busy, over the time of one thread alone."""

    spin = [sys.executable, "-c", "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"]

    def __init__(self, one, two, work):
        self.one, self.two = Work(one, work), Work(two, work)

    def commands(self):
        return [*self.one.commands(), *self.two.commands()]

    def burst(self, seconds, round=0):
        self.two.burst(0)  # started and warm
        alone = self.one.burst(seconds)
        busy = subprocess.Popen(self.spin)
        try:
            time.sleep(0.2)
            return self.two.burst(seconds) / alone
        finally:
            busy.kill()
            busy.wait()
