"""What must happen so that one tree becomes another. Pure: no disk, no network."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import UNTIMED, Entry, Manifest
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
    if (old.mode, old.uid, old.gid, old.group) != (new.mode, new.uid, new.gid, new.group):
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
    remove: set[str] = set()
    retimed: set[str] = set()
    for path, entry in new.items():
        before = old.get(path)
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
            groups.add(before.group)
        touched.add(path)
        groups.add(entry.group)
    groups.discard("")
    for path, entry in new.items():
        if entry.group and entry.group in groups and path not in touched:
            touched.add(path)
            remove.add(path)
    for path in old:
        if path not in new:
            plan.deleted.append(path)
            remove.add(path)
    # What happens in a directory changes its time, so the directory is sent as well.
    holders = {parent(path) for path in touched | remove if path}
    send = touched | retimed | {path for path in holders if path in new and new[path].kind == "d"}
    plan.links = sorted(path for path in send if path in is_link)
    plan.send = sorted(path for path in send if path not in is_link)
    plan.remove = sorted(remove, reverse=True)
    for names in (plan.added, plan.updated, plan.meta_changed, plan.deleted):
        names.sort()
    return plan
