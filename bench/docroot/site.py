"""A site on three nodes: what publishing it costs, beside what rsync and synchronize need for the same."""

from __future__ import annotations

from docroot import engine, hosts
from rows import Row, ratio, seconds

FILES, DIRECTORIES, MEAN = 100_000, 20_000, 10_500
SOURCE = "/var/www/site"
PLAIN = "/srv/plain"
KEEP = 5  # the role's default
WAYS = ("engine", "rsync", "module", "synchronize", "idle engine", "idle rsync", "rollback", "spare")


def measure(rounds: int) -> list[Row]:
    """In every round: a change for the command lines, nothing, a way back, a change for the tasks."""
    first = prepare()
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(1, rounds + 1):
        engine_first = bool(number % 2)
        changed = hosts.change(SOURCE, f"shell{number}", MEAN)
        run = {
            "engine": lambda changed=changed: published(changed, times["spare"]),
            "rsync": lambda: rsync(*hosts.NODES),
        }
        alternate(run, times, engine_first)
        idle = {
            "idle engine": lambda: told(engine.publish("site", engine.NOTHING)),
            "idle rsync": lambda: rsync("node1"),
        }
        alternate(idle, times, engine_first)
        times["rollback"].append(back_and_forth())
        hosts.change(SOURCE, f"task{number}", MEAN)
        tasks = {
            "module": lambda: hosts.task_seconds("bench/docroot/publish.yml"),
            "synchronize": lambda: hosts.task_seconds("bench/docroot/synchronize.yml"),
        }
        alternate(tasks, times, engine_first)
        print(f"round {number}: " + ", ".join(f"{way} {times[way][-1]:.2f} s" for way in WAYS), flush=True)
    compare()
    return [
        ratio(
            "1 % changed, 3 nodes: lamp-publish / parallel rsync -a --delete",
            0.5,
            times["engine"],
            times["rsync"],
        ),
        ratio(
            "1 % changed, 3 nodes: task docroot_sync / task synchronize",
            0.25,
            times["module"],
            times["synchronize"],
        ),
        ratio(
            "nothing changed: lamp-publish of 3 nodes / rsync -a of 1 node",
            1.2,
            times["idle engine"],
            times["idle rsync"],
        ),
        aimed("rollback on 3 nodes: lamp-publish", 2.0, times["rollback"]),
        seconds("1 % changed: lamp-publish", times["engine"]),
        seconds("1 % changed: after it, until every node has its next spare", times["spare"]),
        seconds("1 % changed: parallel rsync -a --delete", times["rsync"]),
        seconds("1 % changed: task docroot_sync", times["module"]),
        seconds("1 % changed: task synchronize", times["synchronize"]),
        seconds("nothing changed: lamp-publish of 3 nodes", times["idle engine"]),
        seconds("nothing changed: rsync -a of 1 node", times["idle rsync"]),
        seconds("first publication: lamp-publish", [first["engine"]]),
        seconds("first copy: parallel rsync -a --delete", [first["rsync"]]),
    ]


def prepare() -> dict[str, float]:
    """The tree, everywhere, and so many generations that a new one takes the place of the oldest."""
    hosts.build(SOURCE, FILES, DIRECTORIES, MEAN)
    first = {"engine": told(engine.publish("site")), "rsync": rsync(*hosts.NODES)}
    for number in range(1, KEEP + 1):
        changed = hosts.change(SOURCE, f"warm{number}", MEAN)
        told(engine.publish("site", changed))
    rsync(*hosts.NODES)
    return first


def published(changed: dict[str, int], spare: list[float]) -> float:
    """Seconds of a publication; what the nodes do after it is no part of them, and is measured as well."""
    taken = told(engine.publish("site", changed))
    spare.append(hosts.spared())
    return taken


def alternate(contenders, times: dict[str, list[float]], in_order: bool) -> None:
    """Both contenders, the one or the other first."""
    for way in list(contenders) if in_order else reversed(contenders):
        times[way].append(contenders[way]())


def told(run: engine.Run) -> float:
    """The seconds of a run; its parts are printed for the reader."""
    print(f"  lamp-publish: {run}", flush=True)
    return run.seconds


def rsync(*nodes: str) -> float:
    """Plain rsync over SSH, to all these nodes at once."""
    command = ["rsync", "-a"] if len(nodes) == 1 else ["rsync", "-a", "--delete"]
    places = [f"root@{hosts.NODES[node]}:{PLAIN}/" for node in nodes]
    return hosts.timed(*([*command, f"{SOURCE}/", place] for place in places)).seconds


def back_and_forth() -> float:
    """Seconds of the way back; then forward again, so that every round starts alike."""
    back = engine.rollback("site")
    engine.rollback("site", back.result["previous"])
    return told(back)


def compare() -> None:
    """All three ways must have made the same tree of the same source."""
    nodes = [(node, path) for node in hosts.NODES for path in (PLAIN, "/srv/lamp/site/current")]
    hosts.same_everywhere(("publisher", SOURCE), *nodes)


def aimed(case: str, aim: float, samples: list[float]) -> Row:
    """A time that has an aim of its own."""
    row = seconds(case, samples)
    row.aim = aim
    return row
