"""What the publisher remembers: every generation from deltas, and what differs between any two."""

from __future__ import annotations

import itertools
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ansible_collections.boring.lamp.plugins.module_utils.docroot import history
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import Entry, Manifest, digest
from ansible_collections.boring.lamp.plugins.module_utils.docroot.plan import diff
from ansible_collections.boring.lamp.plugins.module_utils.docroot.store import SHARED_STATES, Store

DIRECTORY = Entry("d", 0o755, 0, 0, 0, 1, "", "")
FILES = [f"f{number}" for number in range(8)]


def tree(seed: int, files: int = 6) -> Manifest:
    """A small tree, some of whose files are hard links of each other."""
    dice = random.Random(seed)  # noqa: S311
    out: Manifest = {"": DIRECTORY._replace(mtime_ns=dice.randrange(3))}
    names = dice.sample(FILES, dice.randrange(files + 1))
    family = sorted(dice.sample(names, min(len(names), dice.randrange(4))))
    for name in names:
        linked = len(family) > 1 and name in family
        out[name] = Entry(
            "f",
            0o644,
            0,
            0,
            1,
            1 if linked else dice.randrange(2),
            "",
            family[0] if linked else "",
            "",
            dice.randrange(3),
            dice.randrange(3),
            "h" if linked else dice.choice("hx"),
        )
    return out


def must_be_dirty(old: Manifest, new: Manifest) -> set[str]:
    """What a node must replace to make the new tree of the old one, families of links as a whole."""
    out = {
        path
        for path in old.keys() | new.keys()
        if path not in old
        or path not in new
        or old[path].published != new[path].published
        or old[path].content != new[path].content
    }
    for side in (old, new):
        groups = {side[path].group for path in out if path in side} - {""}
        out |= {path for path, entry in side.items() if entry.group in groups}
    return out


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"


def store_in(home: Path) -> Store:
    return Store("/srv/site", str(home))


def keep(store: Store, name: str, new: Manifest, base: str | None) -> None:
    changes = diff(store.manifest(base) or {}, new).changes
    store.keep(name, new, base, changes, digest(new, content=True))


class Generations(RuleBasedStateMachine):
    """Publishes, rolls back, prunes and forgets, each time maybe in a new process."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp())
        self.real: dict[str, Manifest] = {}
        self.current: str | None = None
        self.decided: set[str] = set()
        self.number = 0
        self.store = store_in(self.home)

    def teardown(self) -> None:
        shutil.rmtree(self.home)

    @initialize(steps=st.integers(1, 3), rows=st.sampled_from([0, 10]))
    def limits(self, steps: int, rows: int) -> None:
        history.MOST_STEPS, history.LIGHT_ROWS = steps, rows

    @rule(seed=st.integers(0, 10**6), settle=st.booleans())
    def publish(self, seed: int, settle: bool) -> None:
        self.number += 1
        name, new = f"g{self.number:03}", tree(seed)
        keep(self.store, name, new, self.current)
        self.real[name] = new
        if settle:
            self.current = name
            self.decided.add(name)
            self.store.settle(name, new, digest(new, content=True))

    @precondition(lambda self: self.real)
    @rule(data=st.data())
    def staged_again(self, data: st.DataObject) -> None:
        """The source moved while it was copied: the same name holds something else."""
        name = f"g{self.number:03}"
        if name not in self.decided and name in self.real:
            new = tree(data.draw(st.integers(0, 10**6)))
            keep(self.store, name, new, self.current)
            self.real[name] = new

    @precondition(lambda self: self.real)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        self.current = data.draw(st.sampled_from(sorted(self.real)))
        self.decided.add(self.current)

    @precondition(lambda self: self.current)
    @rule(ctime=st.integers(3, 5))
    def touch(self, ctime: int) -> None:
        """Files were touched but are the same as ever."""
        fresh = {path: entry._replace(ctime_ns=ctime) for path, entry in self.real[self.current].items()}
        self.real[self.current] = fresh
        self.store.settle(self.current, fresh, digest(fresh, content=True))
        assert Store.manifest(store_in(self.home), self.current) == fresh

    @precondition(lambda self: self.real)
    @rule(data=st.data())
    def prune(self, data: st.DataObject) -> None:
        keep = data.draw(st.sets(st.sampled_from(sorted(self.real)))) | {self.current}
        self.store.prune({name for name in keep if name})
        self.real = {name: entries for name, entries in self.real.items() if name in keep}

    @rule()
    def another_process(self) -> None:
        self.store = store_in(self.home)

    @invariant()
    def everything_is_known(self) -> None:
        for store in (self.store, store_in(self.home)):
            for name, entries in self.real.items():
                found = store.manifest(name)
                assert found is not None
                assert digest(found, content=True) == digest(entries, content=True) == store.digest(name)
        for old, before in self.real.items():
            for new, after in self.real.items():
                dirty = self.store.dirty(old, new)
                assert dirty is not None and (old != new or dirty == [])
                assert must_be_dirty(before, after) <= set(dirty)

    @invariant()
    def little_is_kept(self) -> None:
        if self.store.manifest(self.current):
            self.store.prune(set(self.real))
            deltas, whole = self.store._deltas(), self.store._whole()
            ends = [end for delta in deltas for end in (delta.base, delta.own)]
            # Where three ways meet, a generation that is gone is still needed.
            assert all(end.name in self.real or end == whole or ends.count(end) > 2 for end in ends), (
                "something is kept that leads nowhere"
            )


TestGenerations = Generations.TestCase
TestGenerations.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)


@pytest.fixture(autouse=True)
def limits() -> Iterator[None]:
    before = history.MOST_STEPS, history.LIGHT_ROWS
    yield
    history.MOST_STEPS, history.LIGHT_ROWS = before


def published(store: Store, *trees: Manifest) -> list[str]:
    """These trees one after the other as generations g0, g1, …"""
    names = [f"g{number}" for number in range(len(trees))]
    for number, (name, entries) in enumerate(zip(names, trees, strict=True)):
        keep(store, name, entries, names[number - 1] if number else None)
        store.settle(name, entries, digest(entries, content=True))
    return names


def file_times(home: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}


def test_a_publication_writes_what_changed_and_not_the_tree(home: Path) -> None:
    store = store_in(home)
    published(store, tree(1), tree(2))
    before = file_times(home)
    published_again = store_in(home)
    new = tree(3)
    keep(published_again, "g2", new, "g1")
    published_again.settle("g2", new, digest(new, content=True))
    after = file_times(home)
    assert after.pop("delta-g2")
    assert after == before
    assert store_in(home).manifest("g2") == new


def test_a_long_way_is_cut_short(home: Path) -> None:
    history.MOST_STEPS = 2
    trees = [tree(seed) for seed in range(4)]
    published(store_in(home), *trees)
    (home / "srv%2Fsite" / "delta-g1").unlink()
    assert store_in(home).manifest("g3") == trees[3]
    assert store_in(home).manifest("g0") is None


def test_touched_files_are_remembered(home: Path) -> None:
    store = store_in(home)
    entries = tree(1)
    published(store, entries)
    touched = {path: entry._replace(ctime_ns=9) for path, entry in entries.items()}
    store.settle("g0", touched, digest(touched, content=True))
    assert store_in(home).manifest("g0") == touched
    # Also those that were touched while others changed.
    new = touched | {"more": Entry("f", 0, 0, 0, 0, 0, "", "")}
    again = {path: entry._replace(ino=9) for path, entry in new.items()}
    changes = diff(touched, again).changes
    assert set(changes) == {"more"}
    for fresh in (store, store_in(home)):
        fresh.keep("g1", again, "g0", changes, digest(again, content=True))
        fresh.settle("g1", again, digest(again, content=True))
        assert store_in(home).manifest("g1") == again


def test_another_tree_is_not_taken_for_a_generation(home: Path) -> None:
    store, entries, other = store_in(home), tree(1), tree(2)
    published(store, entries)
    store.settle("g0", other, digest(other, content=True))
    assert store_in(home).manifest("g0") == entries


def test_changes_against_something_else_are_not_believed(home: Path) -> None:
    store, old, new = store_in(home), tree(1), tree(2)
    published(store, old)
    store.keep("g1", new, "g0", {}, digest(new, content=True))
    assert store_in(home).manifest("g1") == new
    assert must_be_dirty(old, new) <= set(store_in(home).dirty("g0", "g1"))


@pytest.mark.parametrize("base", [None, "g9"])
def test_without_a_known_base_everything_stays_known(home: Path, base: str | None) -> None:
    store, old, new = store_in(home), tree(1), tree(2)
    published(store, old)
    store.keep("g1", new, base, diff({}, new).changes, digest(new, content=True))
    assert store_in(home).manifest("g1") == new
    assert store_in(home).manifest("g0") == old
    assert must_be_dirty(old, new) <= set(store_in(home).dirty("g0", "g1"))


@pytest.mark.parametrize("damaged", ["whole", "delta-g1", "delta-g2"])
def test_damage_is_noticed_and_healed(home: Path, damaged: str) -> None:
    trees = [tree(seed) for seed in range(3)]
    store = store_in(home)
    published(store, *trees)
    file = home / "srv%2Fsite" / damaged
    data = bytearray(file.read_bytes())
    data[-1] ^= 255
    file.write_bytes(data)
    store = store_in(home)
    known = {f"g{number}": entries for number, entries in enumerate(trees)}
    lost = {"whole": {"g0", "g1", "g2"}, "delta-g1": {"g1", "g2"}, "delta-g2": {"g2"}}[damaged]
    for name, entries in known.items():
        assert store.manifest(name) == (None if name in lost else entries)
    assert (store.dirty("g1", "g2") is None) == (damaged == "delta-g2")
    keep(store, "g3", tree(9), "g2")
    assert store_in(home).manifest("g3") == tree(9)
    store.prune({"g0", "g2", "g3"})
    assert store_in(home).manifest("g3") == tree(9)


def test_nothing_is_known_of_what_was_never_kept(home: Path) -> None:
    store = store_in(home)
    assert store.manifest("g0") is store.manifest(None) is store.digest("g0") is store.digest(None) is None
    assert store.dirty("g0", "g1") is None
    store.prune({"g0"})
    assert not home.exists()
    published(store, tree(1))
    assert store.dirty("g0", "g0") == []
    assert store.dirty("g0", "g1") is None and store.dirty("g1", "g0") is None


def subsets(names: list[str]) -> Iterator[set[str]]:
    for size in range(1, len(names) + 1):
        yield from map(set, itertools.combinations(names, size))


@pytest.mark.parametrize("whole", ["first", "last"])
@pytest.mark.parametrize("base", ["g2", "g1", "g0"])
def test_what_lies_between_may_be_dropped(home: Path, base: str, whole: str) -> None:
    """In a row, and after a rollback; read forwards and backwards."""
    trees = [tree(seed) for seed in (1, 5, 9, 13, 17)]
    names = published(store_in(home), *trees[:3])
    store = store_in(home)
    keep(store, "g3", trees[3], base)
    keep(store, "g4", trees[4], "g3")
    if whole == "last":
        history.MOST_STEPS = 0
        store.settle("g4", trees[4], digest(trees[4], content=True))
    real = dict(zip([*names, "g3", "g4"], trees, strict=True))
    for number, kept in enumerate(subsets(list(real))):
        copy = home.parent / str(number)
        shutil.copytree(home, copy)
        store_in(copy).prune(kept)
        left = store_in(copy)
        for name in kept:
            found = left.manifest(name)
            assert digest(found, content=True) == digest(real[name], content=True) == left.digest(name)
        for old, new in itertools.permutations(kept, 2):
            assert must_be_dirty(real[old], real[new]) <= set(left.dirty(old, new))


def test_links_that_came_and_went_are_still_told(home: Path) -> None:
    """The first and the last tree say the same of c and d, but their files need not be one any more."""
    file = Entry("f", 0o644, 0, 0, 1, 1, "", "", content="h")
    old = {"": DIRECTORY, "b": file, "c": file._replace(group="c"), "d": file._replace(group="c")}
    between = {"": DIRECTORY, "b": file, "c": file, "d": file, "x": file}
    new = old | {"b": file._replace(content="other")}
    store = store_in(home)
    published(store, old, between, new)
    store.prune({"g0", "g2"})
    assert {"b", "c", "d"} <= set(store.dirty("g0", "g2"))
    # What is in neither need not be looked at.
    assert "x" not in store.dirty("g0", "g2")


def test_a_name_may_be_kept_again_when_it_is_the_whole_one(home: Path) -> None:
    store, old = store_in(home), tree(1)
    published(store, old)
    history.MOST_STEPS = 0
    keep(store, "g1", tree(2), "g0")
    store.settle("g1", tree(2), digest(tree(2), content=True))
    again = store_in(home)
    again.keep("g1", tree(3), "g0", diff(old, tree(3)).changes, digest(tree(3), content=True))
    assert store_in(home).manifest("g1") == tree(3)
    assert store_in(home).manifest("g0") == old


def test_pruning_removes_litter(home: Path) -> None:
    store = store_in(home)
    published(store, tree(1), tree(2), tree(3))
    (home / "srv%2Fsite" / "delta-g7.new").write_text("half")
    store.prune({"g2"})
    assert set(file_times(home)) == {"whole", "delta-g2"}
    assert store_in(home).manifest("g2") == tree(3)


def test_decisions_survive_and_are_read_again(home: Path) -> None:
    store, other = store_in(home), store_in(home)
    store.save(generation="g0")
    store.save(held=["x"])
    assert store_in(home).state == {"generation": "g0", "held": ["x"]}
    published(other, tree(1))
    assert other.state == {}
    other.load()
    assert other.state["generation"] == "g0"
    # What another run wrote in the meantime counts, not what was read before.
    store.keep("g0", tree(2), None, {}, digest(tree(2), content=True))
    other.load()
    assert other.manifest("g0") == tree(2)


def test_some_states_of_every_shared_tree_are_kept(home: Path) -> None:
    store = store_in(home)
    for number in range(SHARED_STATES + 2):
        for path in ("media", "media-b", "media/b"):
            store.keep_shared(path, f"{number:032x}", tree(number))
    for path in ("media", "media-b", "media/b"):
        kept = [store.shared(path, f"{number:032x}") for number in range(SHARED_STATES + 2)]
        assert kept == [None, None, *(tree(number) for number in range(2, SHARED_STATES + 2))]
    assert store.shared("media", None) is None
    store.prune(set())
    assert store.shared("media", f"{SHARED_STATES:032x}") == tree(SHARED_STATES)
