# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what was seen on the nodes to a table for people and a list of what is wrong. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

PARTS = ("lb", "varnish", "app", "mysql", "redis")
LEAST_FREE = 5  # per cent, where nobody says otherwise
SILENCE = 30  # seconds after which a running copy's last word is called old
Row = tuple[str, str, str, str]


def status_report(seen: Mapping[str, Any]) -> dict[str, Any]:
    """What `status` shows.

    seen: groups (part to hosts), reached (hosts that answered), authoritative (host or ""), topology (result
    of mysql_topology_info or {}), for each of lb, varnish, app, mysql and redis what each host said (see the
    row functions), where a copy of the docroot runs progress and now (see copying), and least_free (in %).
    Returns rows (node, part, state, details), problems (sentences), text (the table's lines).
    """
    rows: list[Row] = []
    problems: list[str] = []
    for part in PARTS:
        for host in seen["groups"].get(part) or ():
            if host not in seen["reached"]:
                rows.append((host, part, "unreachable", ""))
                problems.append(f"{host} ({part}) can't be reached.")
                continue
            row, found = ROW_OF[part](host, seen)
            rows.append(row)
            problems.extend(found)
    problems.extend(topology_problems(seen))
    problems.extend(generation_problems(seen))
    return {"rows": [list(row) for row in rows], "problems": problems, "text": table(rows, problems)}


def answering_row(part: str, host: str, seen: Mapping[str, Any]) -> tuple[Row, list[str]]:
    """A part that says no more than whether it answers: {"answers": bool, "details": str}."""
    said = seen[part].get(host) or {}
    if said.get("answers"):
        return (host, part, "ok", said.get("details", "")), []
    return (host, part, "DOWN", said.get("details", "")), [f"{part} on {host} does not answer."]


def app_row(host: str, seen: Mapping[str, Any]) -> tuple[Row, list[str]]:
    """An app node: {"ready": bool, "reasons": str, "generation": str, "publisher": bool, "jobs": [str]}.

    Also, where they are known, "staged" (a generation) and "free" (with bytes_percent and inodes_percent).
    """
    said = seen["app"].get(host) or {}
    details = [f"generation {said['generation']}" if said.get("generation") else "no generation yet"]
    if said.get("staged"):
        details.append(f"{said['staged']} is staged")
    details.extend(copying(host, seen))
    if host == seen["authoritative"]:
        details.append("admin and jobs live here")
    problems = space_problems(host, said.get("free") or {}, seen.get("least_free", LEAST_FREE))
    if not said.get("ready"):
        reasons = " ".join(str(said.get("reasons") or "it does not answer").split())
        details.append(reasons)
        problems.append(f"{host} is not ready: {reasons}")
    if host != seen["authoritative"] and said.get("jobs"):
        problems.append(f"{host} is not the authoritative node and has jobs: {', '.join(said['jobs'])}.")
    if said.get("publisher", False) != (host == seen["authoritative"]):
        word = "publishes and is not" if said.get("publisher") else "does not publish and is"
        problems.append(f"{host} {word} the authoritative node.")
    return (host, "app", "ready" if said.get("ready") else "NOT READY", "; ".join(details)), problems


def space_problems(host: str, free: Mapping[str, Any], least: float) -> list[str]:
    """A file system that is nearly full: the next generation may not fit."""
    kinds = {"bytes_percent": "space", "inodes_percent": "inodes"}
    return [
        f"{host} has {free[key]:.0f} % of the {kind} left where the generations are."
        for key, kind in kinds.items()
        if free.get(key) is not None and free[key] < least
    ]


def copying(host: str, seen: Mapping[str, Any]) -> list[str]:
    """How far the copy to this node is; nothing where none runs."""
    copy = (seen.get("progress") or {}).get(host)
    if not copy:
        return []
    parts = [f"receives {copy.get('files', 0)} of {copy.get('files_total', 0)} files"]
    parts.append(f"{amount(copy.get('bytes'))} of {amount(copy.get('bytes_total'))}")
    parts.append(f"{amount(copy.get('rate'))}/s")
    if copy.get("seconds_left") is not None:
        parts.append(f"{copy['seconds_left']:.0f} s left")
    silent = float(seen.get("now") or 0) - float(copy.get("updated") or 0)
    if copy.get("updated") and silent > SILENCE:
        parts.append(f"said {silent:.0f} s ago")
    return [", ".join(parts)]


def amount(number: float | None) -> str:
    """Bytes for people."""
    value = float(number or 0)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def mysql_row(host: str, seen: Mapping[str, Any]) -> tuple[Row, list[str]]:
    """A database server, as mysql_topology_info saw it; what is wrong is in the topology's own problems."""
    servers = {server["name"]: server for server in seen["topology"].get("servers", [])}
    server = servers.get(host)
    copy = seeding(host, seen)
    if server is None or not server["reachable"]:
        return (host, "mysql", "DOWN", "; ".join(filter(None, [(server or {}).get("error", ""), *copy]))), []
    details = [*copy, f"epoch {server['epoch']}", "read-only" if server["read_only"] else "writable"]
    if server["role"] == "replica":
        lag = server["lag"]
        details.append("lag unknown" if lag is None else f"lag {lag} s")
    return (host, "mysql", server["role"], ", ".join(details)), []


def seeding(host: str, seen: Mapping[str, Any]) -> list[str]:
    """How far the copy of the primary is that a database server gets; nothing where none is made."""
    copy = ((seen.get("mysql") or {}).get(host) or {}).get("seeding")
    if not copy:
        return []
    parts = [f"copy of the primary ({copy.get('method')}): {copy.get('phase')} {amount(copy.get('bytes'))}"]
    if copy.get("total"):
        parts[0] += f" of about {amount(copy.get('total'))}"
    if copy.get("rate"):
        parts.append(f"{amount(copy.get('rate'))}/s")
    if copy.get("seconds_left") is not None:
        parts.append(f"{copy['seconds_left']:.0f} s left")
    silent = float(seen.get("now") or 0) - float(copy.get("updated") or 0)
    if copy.get("updated") and silent > SILENCE:
        parts.append(f"said {silent:.0f} s ago")
    return [", ".join(parts)]


def topology_problems(seen: Mapping[str, Any]) -> list[str]:
    """What mysql_topology_info found wrong; that a server is down is said once, with its host."""
    topology = seen["topology"]
    if not topology.get("servers"):
        return ["No database server could be asked who is primary."]
    return list(topology.get("problems", []))


def generation_problems(seen: Mapping[str, Any]) -> list[str]:
    """Nodes that show different generations, or another one than the notebook expects."""
    nodes = [host for host in seen["groups"].get("app") or () if host in seen["reached"]]
    live = {host: (seen["app"].get(host) or {}).get("generation", "") for host in nodes}
    notebook = (seen["topology"].get("notebook") or {}).get("generation") or []
    expected = notebook[0]["generation"] if notebook else ""
    if expected:
        return [
            f"{host} shows generation {generation or 'none'}, the notebook expects {expected}."
            for host, generation in live.items()
            if generation != expected
        ]
    if len(set(live.values())) > 1:
        each = ", ".join(f"{host}: {generation or 'none'}" for host, generation in live.items())
        return [f"The app nodes show different generations ({each})."]
    return []


def table(rows: Sequence[Row], problems: Sequence[str]) -> list[str]:
    """Lines for people: the rows in columns, then what is wrong."""
    lines = [("node", "part", "state", "details"), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    text = []
    for line in lines:
        cells = [line[column].ljust(widths[column]) for column in range(3)]
        text.append("  ".join([*cells, line[3]]).rstrip())
    text.append("")
    text.extend([f"PROBLEM: {problem}" for problem in problems] or ["All is well."])
    return text


ROW_OF = {
    "lb": lambda host, seen: answering_row("lb", host, seen),
    "varnish": lambda host, seen: answering_row("varnish", host, seen),
    "app": app_row,
    "mysql": mysql_row,
    "redis": lambda host, seen: answering_row("redis", host, seen),
}
