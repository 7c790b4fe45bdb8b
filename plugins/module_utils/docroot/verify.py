"""Is a tree what it must be? Only then an incoming generation becomes a generation."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot import manifest as manifests
from ansible_collections.boring.lamp.plugins.module_utils.docroot.contents import UnstableError, identify
from ansible_collections.boring.lamp.plugins.module_utils.docroot.differ import differing
from ansible_collections.boring.lamp.plugins.module_utils.docroot.dress import dress
from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import remove_tree, run
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import Manifest
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import NodeError, Root
from ansible_collections.boring.lamp.plugins.module_utils.docroot.spare import drop
from ansible_collections.boring.lamp.plugins.module_utils.docroot.workers import cores

MODES = ("delta", "full", "none")


def seal(
    root: Root,
    name: str,
    mode: str,
    entries: list[list],
    content: dict[str, str],
    gone: list[str],
    digest: str,
    untimed: list[str],
    top: list[Any],
    attributes: list[str],
    replace: bool = False,
) -> dict[str, Any]:
    """Dress the directories, compare, and let the incoming generation have its name.

    `delta` compares what this publication touched, `full` everything besides, `none` nothing. With `replace`
    the generation exists already, and its repaired twin takes its place.
    """
    if mode not in MODES:
        raise NodeError(f"{mode!r} is no way to verify, expected one of {', '.join(MODES)}")
    incoming = root.area(f"incoming/{name}")
    if not os.path.isdir(incoming):
        raise NodeError(f"generation {name} was not prepared")
    if os.path.lexists(root.generation(name)) != replace:
        raise NodeError(f"generation {name} {'does not exist here' if replace else 'exists already'}")
    wanted = manifests.decode(entries)
    dress(incoming, wanted, top, attributes)
    # After a power cut the files must be there when the link to them is.
    with _written(incoming):
        wrong = differing(incoming, wanted, content, gone, attributes) if mode != "none" else []
        same = mode != "full" or wrong or _digest(incoming, untimed, attributes) == digest
    if wrong or not same:
        return {"sealed": False, "wrong": wrong}
    if replace:
        drop(root)
        _replace(root, name)
    else:
        os.rename(incoming, root.generation(name))
    _note(root, name, replace)
    return {"sealed": True, "wrong": []}


@contextlib.contextmanager
def _written(place: str) -> Iterator[None]:
    """Everything is on the disk in the end; meanwhile it is read from memory."""
    writing = threading.Thread(target=run, args=("/usr/bin/sync", "-f", place))
    writing.start()
    try:
        yield
    finally:
        writing.join()


def _replace(root: Root, name: str) -> None:
    from ansible_collections.boring.lamp.plugins.module_utils.docroot.exchange import exchange

    exchange(root.incoming(name), root.generation(name))
    remove_tree(root.incoming(name))


def _note(root: Root, name: str, replaced: bool) -> None:
    """Since when the generation is unaltered, for whoever wants to recycle it.

    Something was wrong with a generation that had to be replaced, and others may share the broken file
    without the publisher knowing: none of them is made the start of a new one any more.
    """
    known = root.remembered()
    there = set(root.generations())
    sealed = {other: moment for other, moment in (known.get("sealed") or {}).items() if other in there}
    doubtful = there.intersection(known.get("doubtful") or ())
    if replaced:
        doubtful = there
    sealed[name] = max(os.stat(root.generation(name)).st_ctime_ns, time.time_ns())
    root.remember(sealed=sealed, doubtful=sorted(doubtful - {name}))


def compare(
    root: Root,
    area: str,
    entries: list[list],
    content: dict[str, str],
    gone: list[str],
    top: list[Any],
    attributes: Iterable[str] = (),
) -> dict[str, Any]:
    """The same for a tree that is changed in place; what is found wrong stays as it is."""
    place = root.area(area)
    wanted = manifests.decode(entries)
    dress(place, wanted, top, attributes)
    return {"wrong": differing(place, wanted, content, gone, attributes)}


def listing(root: Root, place: str, untimed: list[str], attributes: Iterable[str] = ()) -> dict[str, Any]:
    """The manifest of a tree on this node, with contents; an empty one if there is no such tree."""
    if not os.path.isdir(place):
        return {"manifest": []}
    try:
        found = identify(place, {}, _scan(place, untimed, attributes), workers=cores())
    except UnstableError as error:
        raise NodeError(f"{error}: {error.paths[:5]}") from None
    return {"manifest": manifests.encode(found)}


def _scan(place: str, untimed: Iterable[str], attributes: Iterable[str]) -> Manifest:
    # Rarely needed, and not small.
    from ansible_collections.boring.lamp.plugins.module_utils.docroot.scan import scan

    return scan(
        place,
        untimed=list(untimed),
        attributes=frozenset(attributes),
        workers=cores(),
    )


def _digest(place: str, untimed: Iterable[str], attributes: Iterable[str]) -> str:
    try:
        return manifests.digest(_scan(place, untimed, attributes))
    except UnstableError:
        return "it did not hold still"
