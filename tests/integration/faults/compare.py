"""`python -m tests.integration.faults.compare`: the battery over txlb and over what it is compared with, as Markdown.

Prints the rows in which somebody saw something else than the others, or not what the table asks for. `--all` prints
every row. A name such as `epoll`, `reactor`, `haproxy`, `nginx` or `nginx-half-close` picks who takes part.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading

from twisted.internet import reactor

import txlb
from tests.integration.faults.battery import Seen, play, view
from tests.integration.faults.scenarios import TABLE, Scenario
from tests.integration.harness import Subject, Txlb
from tests.integration.peers import HAProxy, Nginx, missing

SUBJECTS: dict[str, Subject] = {
    "epoll": Txlb("epoll"),
    "reactor": Txlb("reactor"),
    "haproxy": HAProxy(),
    "nginx": Nginx(),
    "nginx-half-close": Nginx(half_close=True),
}

Row = dict[str, Seen]


def versions() -> str:
    """Who was measured."""
    texts = [f"txlb {txlb.__version__}"]
    for command in (["haproxy", "-v"], ["nginx", "-v"]):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        texts.append((done.stdout or done.stderr).splitlines()[0])
    return "; ".join(texts)


def views(scenario: Scenario, seen: Seen) -> dict[str, str]:
    """What client and backend saw, where the table says something of it: of the rest, chance decides."""
    both = (("client", scenario.client, seen.client), ("backend", scenario.backend, seen.backend))
    return {who: view(end) for who, expected, end in both if expected != "*"}


def cell(scenario: Scenario, seen: Seen) -> str:
    """The views; bold where one is not what the table asks for. What else is wrong follows."""
    lines, others = [], list(seen.troubles)
    for who, text in views(scenario, seen).items():
        wrong = [trouble for trouble in seen.troubles if trouble.startswith(f"the {who} ")]
        others = [trouble for trouble in others if trouble not in wrong]
        lines.append(f"**{who}: {text}**" if wrong else f"{who}: {text}")
    return "<br>".join([*lines, *others])


def differs(scenario: Scenario, row: Row) -> bool:
    """Whether the row is worth printing: somebody saw another end, or something is wrong."""
    endings = {tuple(text.partition(" ")[0] for text in views(scenario, seen).values()) for seen in row.values()}
    return len(endings) > 1 or any(seen.troubles for seen in row.values())


def show(rows: dict[Scenario, Row], subjects: list[Subject], every: bool) -> None:
    """The table, and for each a line of sums."""
    print(f"{versions()}\n")
    print("| fault | phase | side | " + " | ".join(subject.name for subject in subjects) + " |")
    print("| --- | --- | --- |" + " --- |" * len(subjects))
    for scenario, row in rows.items():
        if every or differs(scenario, row):
            cells = " | ".join(cell(scenario, row[subject.name]) for subject in subjects)
            print(f"| {scenario.fault} | {scenario.phase} | {scenario.side} | {cells} |")
    print("\n| | rows as asked for | of | slowest recovery, s | descriptors left | most memory grown, kB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for subject in subjects:
        seen = [row[subject.name] for row in rows.values()]
        good = sum(not each.troubles for each in seen)
        recovery = max((each.recovery for each in seen if each.recovery is not None), default=0.0)
        left, memory = sum(each.descriptors for each in seen), max(each.memory for each in seen) // 1000
        print(f"| {subject.name} | {good} | {len(seen)} | {recovery:.2f} | {left} | {memory} |")


def main() -> int:
    """Play everything, with the reactor in a thread of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("who", nargs="*", help=", ".join(SUBJECTS))
    parser.add_argument("--all", action="store_true", help="print rows in which all agree too")
    options = parser.parse_args()
    subjects = [SUBJECTS[name] for name in options.who or SUBJECTS]
    for subject in list(subjects):
        if reason := missing(subject):
            print(reason, file=sys.stderr)
            subjects.remove(subject)
    thread = threading.Thread(target=reactor.run, kwargs={"installSignalHandlers": False}, daemon=True)
    thread.start()
    rows: dict[Scenario, Row] = {}
    for scenario in TABLE:
        print(scenario.name, file=sys.stderr)
        rows[scenario] = {subject.name: play(subject, scenario) for subject in subjects}
    show(rows, subjects, options.all)
    reactor.callFromThread(reactor.stop)
    thread.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
