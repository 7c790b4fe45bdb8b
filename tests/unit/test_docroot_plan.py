"""The planner: random trees, random changes, against a model and against real directories."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from docroot_nodes import copy_paths
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.boring.lamp.plugins.module_utils.docroot.generations import Root
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import (
    UNTIMED,
    Entry,
    Manifest,
    decode,
    digest,
    encode,
    load,
    save,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import raw
from ansible_collections.boring.lamp.plugins.module_utils.docroot.plan import diff
from ansible_collections.boring.lamp.plugins.module_utils.docroot.scan import identify, scan

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
    ctime_ns=st.just(0),
    ino=st.just(0),
    content=st.sampled_from(["h1", "h2"]),
)
DIRECTORY = Entry("d", 0o755, 0, 0, 0, 1, "", "")


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
    tree: Manifest = {"": DIRECTORY._replace(mtime_ns=draw(st.integers(1, 2)))}
    for path in draw(st.lists(PATHS, max_size=8, unique=True)):
        holders = [path[:i] for i in range(len(path)) if path[i] == "/"]
        if path in tree or any(tree.get(holder, DIRECTORY).kind != "d" for holder in holders):
            continue
        for holder in holders:
            tree.setdefault(holder, DIRECTORY._replace(mtime_ns=draw(st.integers(1, 2))))
        tree[path] = draw(st.one_of(FILES, st.just(DIRECTORY)))
    return grouped(tree, draw(st.lists(st.sets(st.sampled_from(sorted(tree))), max_size=2)))


def carried_out(old: Manifest, new: Manifest) -> Manifest:
    """What a node holds after it did what the plan says; a changed file that stayed would be a bug."""
    plan = diff(old, new)
    node = dict(old)
    for path in plan.remove:
        node = {
            name: entry for name, entry in node.items() if name != path and not name.startswith(path + "/")
        }
    for path in plan.send:
        assert new[path].kind == "d" or path not in node, f"{path!r} would be written into a shared inode"
        node[path] = new[path]
    return node


@given(trees(), trees())
@settings(max_examples=400, deadline=None)
def test_a_plan_makes_one_tree_the_other(old: Manifest, new: Manifest) -> None:
    assert carried_out(old, new) == new


@given(trees(), trees())
@settings(max_examples=200, deadline=None)
def test_hard_links_travel_together(old: Manifest, new: Manifest) -> None:
    sent = set(diff(old, new).send)
    for path, entry in new.items():
        if entry.group and path in sent:
            assert {name for name, other in new.items() if other.group == entry.group} <= sent


def test_a_new_link_to_old_files_takes_them_along() -> None:
    file = Entry("f", 0o644, 0, 0, 1, 1, "", "a", content="h")
    old = {"": DIRECTORY, "a": file, "b": file}
    plan = diff(old, old | {"c": file})
    assert plan.added == ["c"]
    assert plan.send == ["", "a", "b", "c"]
    assert plan.remove == ["b", "a"]


@given(trees())
@settings(deadline=None)
def test_nothing_to_do_for_the_same_tree(tree: Manifest) -> None:
    touched = {path: entry._replace(ctime_ns=7, ino=9) for path, entry in tree.items()}
    plan = diff(tree, touched)
    assert not plan.changed
    assert not plan.send and not plan.remove


@given(trees(), trees())
@settings(deadline=None)
def test_counts_say_what_differs(old: Manifest, new: Manifest) -> None:
    plan = diff(old, new)
    assert set(plan.added) == new.keys() - old.keys()
    assert set(plan.deleted) == old.keys() - new.keys()
    both = {*plan.updated, *plan.meta_changed}
    assert both == {
        path
        for path in old.keys() & new.keys()
        if old[path][:8] != new[path][:8] or old[path].content != new[path].content
    }
    assert plan.changed == (digest(old, content=True) != digest(new, content=True))


@given(trees())
@settings(max_examples=50, deadline=None)
def test_manifests_survive_the_disk(tree: Manifest) -> None:
    with tempfile.TemporaryDirectory() as directory:
        place = str(Path(directory) / "m.gz")
        save(tree, place)
        assert load(place) == tree
    assert decode(encode(tree)) == tree


def test_a_directory_with_something_excluded_has_no_time() -> None:
    old = {"": DIRECTORY._replace(mtime_ns=UNTIMED)}
    new = {"": DIRECTORY._replace(mtime_ns=5)}
    assert not diff(old, new).changed
    assert not diff(new, old).changed


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["write", "same", "remove", "chmod", "mkdir", "link", "symlink", "touch", "swap"]),
        PATHS,
        PATHS,
        st.binary(max_size=3),
    ),
    max_size=12,
)


def change(root: str, what: str, path: str, other: str, data: bytes) -> None:
    """One thing that people and programs do to a tree; what can't be done is skipped."""
    place, second = os.path.join(raw(root), raw(path)), os.path.join(raw(root), raw(other))
    try:
        if what in ("write", "mkdir", "link", "symlink"):
            os.makedirs(os.path.dirname(place), exist_ok=True)
        if what == "write":
            Path(os.fsdecode(place)).write_bytes(data)
        elif what == "same":
            # The same size and the very same time: only ctime and inode tell.
            before = os.lstat(place)
            Path(os.fsdecode(place)).write_bytes(
                bytes(255 - byte for byte in Path(os.fsdecode(place)).read_bytes())
            )
            os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
        elif what == "remove":
            shutil.rmtree(place) if os.path.isdir(place) and not os.path.islink(place) else os.unlink(place)
        elif what == "chmod":
            os.chmod(place, 0o700, follow_symlinks=True)
        elif what == "mkdir":
            os.mkdir(place)
        elif what == "link":
            os.link(second, place)
        elif what == "symlink":
            os.symlink(data.hex() or "x", place)
        elif what == "touch":
            os.utime(place, ns=(1, 1))
        elif what == "swap":
            os.rename(second, place)
    except OSError:
        return


@given(CHANGES, CHANGES)
@settings(max_examples=60, deadline=None)
def test_real_trees_become_the_same_and_older_ones_stay(first: list, second: list) -> None:
    with tempfile.TemporaryDirectory() as base:
        source, site = f"{base}/source", Root(f"{base}/site", f"{base}/memory")
        os.mkdir(source)
        known: Manifest = {}
        sealed: list[tuple[str, str]] = []
        for number, changes in enumerate((first, second)):
            for step in changes:
                change(source, *step)
            tree = identify(source, known, scan(source))
            plan = diff(known, tree)
            name = f"2026010{number}T000000Z-00000000"
            site.prepare(name, sealed[-1][0] if sealed else None)
            site.apply(f"incoming/{name}", plan.remove, {})
            copy_paths(source, site.area(f"incoming/{name}"), [path for path in plan.send if path])
            content = {path: tree[path].content for path in plan.send if tree[path].kind == "f"}
            top = tree[""]
            answer = site.seal(name, digest(tree), content, [], [top.uid, top.gid, top.mode, top.mtime_ns])
            assert answer == {"sealed": True}
            everything = identify(site.generation(name), {}, scan(site.generation(name)))
            assert digest(everything, content=True) == digest(tree, content=True)
            for older, before in sealed:
                root = site.generation(older)
                assert digest(identify(root, {}, scan(root)), content=True) == before
            sealed.append((name, digest(tree, content=True)))
            known = tree
