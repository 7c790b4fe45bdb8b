"""The planner and the manifests that it compares, without a disk: random trees against a model."""

from __future__ import annotations

import itertools
import marshal
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.boring.lamp.plugins.module_utils.docroot import manifest as manifests
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import (
    UNTIMED,
    Entry,
    Manifest,
    decode,
    digest,
    encode,
    identity,
    load,
    read_header,
    save,
    shift,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.plan import diff

PARTS = ["a", "b", "-c", "new\nline", "\udcff\udcfe", "*#;\\"]
PATHS = st.lists(st.sampled_from(PARTS), min_size=1, max_size=3).map("/".join)
FILES = st.builds(
    Entry,
    kind=st.sampled_from(["f", "l", "p"]),
    mode=st.sampled_from([0o644, 0o755]),
    uid=st.sampled_from([0, 33]),
    gid=st.just(0),
    size=st.integers(0, 2),
    mtime_ns=st.integers(1, 2),
    extra=st.sampled_from(["", "x"]),
    group=st.just(""),
    attrs=st.sampled_from(["", "", "acl"]),
    ctime_ns=st.just(0),
    ino=st.just(0),
    content=st.sampled_from(["h1", "h2"]),
)
DIRECTORY = Entry("d", 0o755, 0, 0, 0, 1, "", "")
DIRECTORIES = st.builds(
    DIRECTORY._replace, mtime_ns=st.sampled_from([1, 2, UNTIMED]), attrs=st.sampled_from(["", "", "acl"])
)


def grouped(tree: Manifest, families: list[set[str]]) -> Manifest:
    """Make some of the files hard links of each other, and name each family by its first member."""
    out = dict(tree)
    for family in families:
        members = sorted(
            path for path in family if path in out and out[path].kind == "f" and not out[path].group
        )
        if len(members) > 1:
            out.update({path: out[members[0]]._replace(group=members[0]) for path in members})
    return out


@st.composite
def trees(draw: st.DrawFn) -> Manifest:
    tree: Manifest = {"": draw(DIRECTORIES)}
    for path in draw(st.lists(PATHS, max_size=8, unique=True)):
        holders = [path[:i] for i in range(len(path)) if path[i] == "/"]
        if path in tree or any(tree.get(holder, DIRECTORY).kind != "d" for holder in holders):
            continue
        for holder in holders:
            tree.setdefault(holder, draw(DIRECTORIES))
        tree[path] = draw(st.one_of(FILES, FILES, DIRECTORIES))
    files = sorted(path for path, entry in tree.items() if entry.kind == "f")
    if len(files) < 2:
        return tree
    return grouped(tree, draw(st.lists(st.sets(st.sampled_from(files), min_size=2), max_size=2)))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Manifest, Manifest]:
    """Two trees: independent ones, or one and what became of it after a few changes."""
    old = draw(trees())
    if draw(st.booleans()):
        return old, draw(trees())
    some = st.sets(st.sampled_from(sorted(old)), max_size=2)
    gone, changed = draw(some) - {""}, draw(some)
    new = {
        path: entry
        for path, entry in old.items()
        if not any(path == other or path.startswith(other + "/") for other in gone)
    }
    families: list[set[str]] = [
        {path for path, entry in new.items() if entry.group == group and path not in changed}
        for group in {entry.group for entry in new.values()} - {""}
    ]
    for path in changed & new.keys():
        new[path] = new[path]._replace(mtime_ns=3)
    for family in families:
        if family and draw(st.booleans()):
            new["zz"] = new[min(family)]
            family.add("zz")
    return old, grouped({path: entry._replace(group="") for path, entry in new.items()}, families)


def inode(entry: Entry, path: str, age: str) -> tuple[str, str]:
    """Names of one file have one inode, and no other file has it."""
    return age, entry.group or path


@given(pairs())
@settings(max_examples=200, deadline=None)
def test_a_plan_makes_one_tree_the_other(pair: tuple[Manifest, Manifest]) -> None:
    old, new = pair
    plan = diff(old, new)
    node = {path: (entry, inode(entry, path, "old")) for path, entry in old.items()}
    for path in plan.remove:
        node = {name: file for name, file in node.items() if name != path and not name.startswith(path + "/")}
    for path in plan.send:
        assert new[path].kind == "d" or path not in node, f"{path!r} would be written into a shared inode"
        # What is sent together is linked together, but to nothing that was there before.
        node[path] = new[path], inode(new[path], path, "new")
    assert {path: entry for path, (entry, _inode) in node.items()} == new
    for path, other in itertools.combinations(sorted(path for path in new if new[path].kind != "d"), 2):
        family = bool(new[path].group) and new[path].group == new[other].group
        assert (node[path][1] == node[other][1]) == family


def test_a_new_link_to_old_files_takes_them_along() -> None:
    file = Entry("f", 0o644, 0, 0, 1, 1, "", "a", content="h")
    old = {"": DIRECTORY, "a": file, "b": file}
    plan = diff(old, old | {"c": file})
    assert plan.added == ["c"]
    assert plan.send == ["", "a", "b", "c"]
    assert plan.remove == ["b", "a"]
    assert set(plan.changes) == {"a", "b", "c"}


@pytest.mark.parametrize("leaves", ["removed", "changed"])
def test_the_other_names_of_a_file_stay_but_are_told(leaves: str) -> None:
    """Between two trees that share nothing else, the family is not the same any more."""
    file = Entry("f", 0o644, 0, 0, 1, 1, "", "a", content="h")
    old = {"": DIRECTORY, "a": file, "b": file, "c": file}
    new = {"": DIRECTORY, "a": file, "b": file}
    if leaves == "changed":
        new["c"] = file._replace(group="", content="other")
    plan = diff(old, new)
    assert plan.remove == ["c"]
    assert plan.send == ["", "c"] if leaves == "changed" else [""]
    assert set(plan.changes) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("kind", "l", "updated"),
        ("kind", "d", "updated"),
        ("size", 2, "updated"),
        ("mtime_ns", 2, "updated"),
        ("extra", "x", "updated"),
        ("content", "other", "updated"),
        ("mode", 0o600, "meta_changed"),
        ("uid", 33, "meta_changed"),
        ("gid", 33, "meta_changed"),
        ("group", "a", "meta_changed"),
        ("attrs", "acl", "meta_changed"),
    ],
)
def test_content_and_attributes_are_counted_apart(field: str, value: object, what: str) -> None:
    file = Entry("f", 0o644, 0, 0, 1, 1, "", "", content="h")
    plan = diff({"": DIRECTORY, "f": file}, {"": DIRECTORY, "f": file._replace(**{field: value})})
    assert getattr(plan, what) == ["f"] and plan.remove == ["f"]
    assert plan.changed and not plan.added and not plan.deleted


def test_paths_that_the_receiver_links_are_not_sent() -> None:
    link = Entry("l", 0o777, 0, 0, 0, 0, "../../shared/media", "")
    plan = diff({"": DIRECTORY}, {"": DIRECTORY, "media": link, "x": link}, {"media"})
    assert (plan.links, plan.send) == (["media"], ["", "x"])


@given(trees())
@settings(max_examples=50, deadline=None)
def test_nothing_to_do_for_the_same_tree(tree: Manifest) -> None:
    touched = {path: entry._replace(ctime_ns=7, ino=9) for path, entry in tree.items()}
    plan = diff(tree, touched)
    assert not plan.changed
    assert not plan.send and not plan.remove and not plan.changes
    assert digest(tree, content=True) == digest(touched, content=True)
    assert identity(tree) != identity(touched)


@given(pairs())
@settings(max_examples=100, deadline=None)
def test_counts_say_what_differs(pair: tuple[Manifest, Manifest]) -> None:
    old, new = pair
    plan = diff(old, new)
    assert set(plan.added) == new.keys() - old.keys()
    assert set(plan.deleted) == old.keys() - new.keys()

    def same(path: str) -> bool:
        before, after = old[path], new[path]
        if before.kind == after.kind == "d" and UNTIMED in (before.mtime_ns, after.mtime_ns):
            before, after = before._replace(mtime_ns=0), after._replace(mtime_ns=0)
        return (before.published, before.content) == (after.published, after.content)

    assert {*plan.updated, *plan.meta_changed} == {path for path in old.keys() & new.keys() if not same(path)}
    assert not {*plan.updated} & {*plan.meta_changed}


@given(pairs())
@settings(max_examples=100, deadline=None)
def test_changes_lead_from_one_tree_to_the_other_and_back(pair: tuple[Manifest, Manifest]) -> None:
    old, new = pair
    changes = diff(old, new).changes
    there, back = dict(old), dict(new)
    for path, (before, after) in changes.items():
        assert (before, after) == (old.get(path), new.get(path))
        for tree, entry in ((there, after), (back, before)):
            if entry is None:
                tree.pop(path, None)
            else:
                tree[path] = entry
    assert (there, back) == (new, old)
    # All names of a file with several are in it, or none of them.
    for tree in (old, new):
        for path in changes.keys() & tree.keys():
            family = {name for name, entry in tree.items() if entry.group and entry.group == tree[path].group}
            assert family <= changes.keys()


@given(pairs())
@settings(max_examples=100, deadline=None)
def test_a_digest_follows_the_changes(pair: tuple[Manifest, Manifest]) -> None:
    old, new = pair
    changes = diff(old, new).changes
    for content in (False, True):
        before, after = digest(old, content=content), digest(new, content=content)
        assert shift(before, changes, content=content) == after
        same = {path: (e.published, content and e.content) for path, e in old.items()} == {
            path: (e.published, content and e.content) for path, e in new.items()
        }
        assert (before == after) == same
    assert digest(dict(reversed(new.items()))) == digest(new)


def test_digests_stay_what_they_are() -> None:
    """Nodes with another Python, and the files of an earlier run, must agree on them."""
    tree = {
        "": DIRECTORY,
        "\udcff\n": Entry("f", 0o644, 0, 33, 3, 1_700_000_000_123_456_789, "", "", content="h"),
        "ä": Entry("l", 0o777, 0, 0, 0, 0, "../\U0001f418", ""),
    }
    assert digest(tree, content=True) == "21d6fcc53e9481c64efa246fe52a7794"
    assert digest({}) == "0" * 32


def test_a_directory_with_something_excluded_has_no_time() -> None:
    old = {"": DIRECTORY._replace(mtime_ns=UNTIMED)}
    new = {"": DIRECTORY._replace(mtime_ns=5)}
    assert not diff(old, new).changed
    assert not diff(new, old).changed
    assert diff(old, new).send == [""]


@given(tree=trees())
@settings(max_examples=30, deadline=None)
def test_manifests_survive_the_disk(tmp_path_factory: pytest.TempPathFactory, tree: Manifest) -> None:
    place = str(tmp_path_factory.getbasetemp() / "manifest")
    save(tree, place, {"name": "x"})
    assert load(place) == tree
    assert all(type(entry) is Entry for entry in load(place).values())
    assert read_header(place) == {"name": "x"}
    assert decode(encode(tree)) == tree


def test_a_manifest_is_for_its_owner_only_and_never_half_written(tmp_path: Path, monkeypatch) -> None:
    place = tmp_path / "manifest"
    save({"": DIRECTORY}, str(place))
    assert place.stat().st_mode & 0o777 == 0o600

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(manifests.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save({"": DIRECTORY, "a": DIRECTORY}, str(place))
    assert load(str(place)) == {"": DIRECTORY}


def test_a_damaged_manifest_is_none(tmp_path: Path) -> None:
    place = tmp_path / "manifest"
    assert load(str(place)) is None and read_header(str(place)) is None
    save({"": DIRECTORY, "a": DIRECTORY}, str(place))
    whole = place.read_bytes()
    for position in range(len(whole)):
        place.write_bytes(whole[:position])
        assert load(str(place)) is None
        damaged = bytearray(whole)
        damaged[position] ^= 1
        place.write_bytes(damaged)
        assert load(str(place)) is None
    place.write_bytes(os.urandom(100) + marshal.dumps({}))
    assert load(str(place)) is None and read_header(str(place)) is None
