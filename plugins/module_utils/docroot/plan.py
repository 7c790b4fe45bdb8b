"""What must happen so that one tree becomes another. Pure: no disk, no network."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import (
    UNTIMED,
    Changes,
    Entry,
    Manifest,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import parent


@dataclass
class Plan:
    """`remove` goes first, then `links` are made, then `send` is copied."""

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    meta_changed: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    send: list[str] = field(default_factory=list)
    # Every path that is not the same in both, and all names of a file with several of which one is not.
    changes: Changes = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        return bool(self.added or self.updated or self.meta_changed or self.deleted)


def differs(old: Entry, new: Entry) -> str:
    """'' for the same, otherwise the kind of difference: replaced, updated, meta."""
    if old.kind != new.kind:
        return "replaced"
    if (old.size, old.content, old.extra) != (new.size, new.content, new.extra):
        return "updated"
    if old.mtime_ns != new.mtime_ns:
        if new.kind != "d":
            return "updated"
        if UNTIMED not in (old.mtime_ns, new.mtime_ns):
            return "meta"
    if (*old[1:4], old.group, old.attrs) != (*new[1:4], new.group, new.attrs):
        return "meta"
    return ""


def diff(old: Manifest, new: Manifest, is_link: frozenset[str] | set[str] = frozenset()) -> Plan:
    """The plan from one manifest to the other; `is_link` names the paths that the receiver links itself.

    A changed file is always removed before it is sent: generations share inodes, and only a removed name
    can't alter one by mistake. Files that are hard links of each other travel together, or the link is lost.
    """
    plan = Plan()
    touched: set[str] = set()
    groups: set[str] = set()
    left: set[str] = set()
    remove: set[str] = set()
    retimed: set[str] = set()
    known = old.get
    for path, entry in new.items():
        before = known(path)
        # Nearly always it is the very same object: a scan takes over what was not touched.
        if before is entry or before == entry:
            continue
        if before is None:
            plan.added.append(path)
        else:
            kind = differs(before, entry)
            if not kind:
                if before.mtime_ns != entry.mtime_ns:
                    retimed.add(path)
                continue
            (plan.meta_changed if kind == "meta" else plan.updated).append(path)
            if before.kind != "d" or entry.kind != "d":
                remove.add(path)
            left.add(before.group)
        touched.add(path)
        groups.add(entry.group)
    plan.deleted = sorted(old.keys() - new.keys())
    remove.update(plan.deleted)
    groups.discard("")
    # A family that lost a name needs nothing done, but is not the one that another tree may have.
    left.update(old[path].group for path in plan.deleted)
    left.discard("")
    family: set[str] = set()
    if groups or left:
        for path, entry in new.items():
            if entry.group in groups and path not in touched:
                touched.add(path)
                remove.add(path)
            elif entry.group in left:
                family.add(path)
    # What happens in a directory changes its time, so the directory is sent as well.
    holders = {parent(path) for path in touched | remove if path}
    send = touched | retimed | {path for path in holders if path in new and new[path].kind == "d"}
    plan.links = sorted(path for path in send if path in is_link)
    plan.send = sorted(path for path in send if path not in is_link)
    plan.remove = sorted(remove, reverse=True)
    for names in (plan.added, plan.updated, plan.meta_changed):
        names.sort()
    plan.changes = {path: (known(path), new.get(path)) for path in touched | retimed | remove | family}
    return plan
