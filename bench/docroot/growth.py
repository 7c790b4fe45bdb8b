"""Ten times as many files of the same kind on one node: what does each of them cost?"""

from __future__ import annotations

from docroot import engine, hosts, memory
from rows import Row, ratio, seconds

# Trees by name: files. Both have the same number of files in a directory, and files of the same sizes.
TREES = {"few": 100_000, "many": 1_000_000}
FILES_IN_DIRECTORY = 20
MEAN = 400


def measure(rounds: int) -> list[Row]:
    """One percent of either tree changed and published, in every round."""
    for tree, files in TREES.items():
        prepare(tree, files)
    times: dict[str, list[float]] = {tree: [] for tree in TREES}
    source: dict[str, list[float]] = {tree: [] for tree in TREES}
    node: dict[str, list[float]] = {tree: [] for tree in TREES}
    for number in range(1, rounds + 1):
        for tree in list(TREES) if number % 2 else reversed(TREES):
            changed = hosts.change(f"/var/www/{tree}", f"round{number}", MEAN)
            with memory.watched("publisher", tree) as (publisher, receiver):
                run = engine.publish(tree, changed)
            print(f"round {number}, {TREES[tree]:,} files: {run}", flush=True)
            times[tree].append(run.seconds)
            source[tree].append(publisher.bytes)
            node[tree].append(receiver.bytes)
    for tree in TREES:
        places = ("publisher", f"/var/www/{tree}"), (tree, f"/srv/lamp/{tree}/current")
        hosts.same_everywhere(*places, contents=False)
    return [
        each("time per file: 1,000,000 files / 100,000 files", times),
        each("memory per file on the publisher: 1,000,000 / 100,000", source),
        each("memory per file on the node: 1,000,000 / 100,000", node),
        seconds("1 % of 100,000 small files: lamp-publish to 1 node", times["few"]),
        seconds("1 % of 1,000,000 small files: lamp-publish to 1 node", times["many"]),
        *(megabytes(f"memory on the publisher, {TREES[tree]:,} files", source[tree]) for tree in TREES),
        *(megabytes(f"memory on the node, {TREES[tree]:,} files", node[tree]) for tree in TREES),
    ]


def prepare(tree: str, files: int) -> None:
    """The tree on both sides, published once more after the first time."""
    hosts.build(f"/var/www/{tree}", files, files // FILES_IN_DIRECTORY, MEAN)
    print(f"first publication, {files:,} files: {engine.publish(tree)}", flush=True)
    changed = hosts.change(f"/var/www/{tree}", "warm1", MEAN)
    print(f"warming up, {files:,} files: {engine.publish(tree, changed)}", flush=True)


def each(case: str, samples: dict[str, list[float]]) -> Row:
    """What one file of the large tree costs against one of the small tree."""
    per_file = {tree: [value / files for value in samples[tree]] for tree, files in TREES.items()}
    return ratio(case, 1.3, per_file["many"], per_file["few"])


def megabytes(case: str, samples: list[float]) -> Row:
    """A peak, for the reader."""
    row = seconds(case, [value / 2**20 for value in samples])
    row.unit = "MiB"
    return row
