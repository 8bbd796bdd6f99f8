"""The backend and the load generator: C, so that they cost less than what they measure."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from attrs import define, field

from bench.process import BenchError, Process, read_line

HERE = Path(__file__).parent


def build(folder: Path) -> None:
    """Compile both into `folder`; BenchError where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise BenchError("a C compiler is needed for the load generator (on Debian: apt-get install gcc)")
    for name in ("backend", "load"):
        command = [compiler, "-O2", "-o", str(folder / name), str(HERE / f"{name}.c"), "-lm"]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode:
            raise BenchError(f"{name}.c: {made.stderr.strip()}")


class Backend(Process):
    """The backend of everybody, on every loopback address; `port` is given by the system unless named."""

    def __init__(self, folder: Path, cpu: int, port: int = 0) -> None:
        super().__init__([folder / "backend", str(port)], cpu, folder / "backend.log", subprocess.PIPE, subprocess.PIPE)
        self.port = int(read_line(self.popen.stdout, self))


@define
class Answers:
    """What a load reported: how many right answers in how many seconds, and its latencies in µs, where it took any."""

    done: int
    bytes: int
    seconds: float
    latencies: dict[str, float] = field(factory=dict)


class Load(Process):
    """One run of the load generator against `port`. When this is made, its connections are open and used once."""

    def __init__(self, folder: Path, cpu: int, port: int, **options: Any) -> None:
        words = [f"{key}={value}" for key, value in {"port": port, **options}.items()]
        super().__init__([folder / "load", *words], cpu, folder / "load.log", subprocess.PIPE, subprocess.PIPE)
        self._expect("ready")

    def work(self) -> Answers:
        """Do the work; the connections stay open after it. BenchError when anything that came back was wrong."""
        assert self.popen.stdin is not None
        self.popen.stdin.write("go\n")
        self.popen.stdin.flush()
        report = json.loads(read_line(self.popen.stdout, self))
        return parse(report)

    def _expect(self, word: str) -> None:
        line = read_line(self.popen.stdout, self)
        if line != word:
            self.stop()
            raise BenchError(f"the load said {line!r}, not {word!r}")


def parse(report: dict[str, Any]) -> Answers:
    """The load's JSON as Answers; BenchError when it saw an error, did nothing, or left out some of its schedule."""
    if report["errors"] or not report["done"]:
        raise BenchError(f"{report['errors']} of {report['done'] + report['errors']} wrong: {report['reason']}")
    if report.get("planned", report["done"]) != report["done"]:
        raise BenchError(f"{report['done']} of {report['planned']} answered")
    names = ("p50", "p90", "p99", "p99.9", "max", "late_p99")
    latencies = {name: float(report[name]) for name in names if name in report}
    return Answers(report["done"], report["bytes"], report["seconds"], latencies)
