"""The table that `status` shows, and what it calls wrong."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.status_report import status_report


def server(name: str, role: str, **more: Any) -> dict[str, Any]:
    said = {"name": name, "role": role, "reachable": True, "error": "", "epoch": 1, "lag": None}
    return {**said, "read_only": role != "primary", **more}


HEALTHY: dict[str, Any] = {
    "groups": {
        "lb": ["lb1"],
        "varnish": ["cache1"],
        "app": ["app1", "app2"],
        "mysql": ["db1", "db2"],
        "redis": ["redis1"],
    },
    "reached": ["lb1", "cache1", "app1", "app2", "db1", "db2", "redis1"],
    "authoritative": "app1",
    "topology": {
        "primary": "db1",
        "problems": [],
        "servers": [server("db1", "primary"), server("db2", "replica", lag=0)],
        "notebook": {"holder": [], "generation": [{"generation": "g7"}]},
    },
    "lb": {"lb1": {"answers": True}},
    "varnish": {"cache1": {"answers": True}},
    "redis": {"redis1": {"answers": True, "details": "master"}},
    "app": {
        "app1": {"ready": True, "generation": "g7", "publisher": True, "jobs": ["lamp-job-cron.timer"]},
        "app2": {"ready": True, "generation": "g7", "publisher": False, "jobs": []},
    },
}


@pytest.fixture
def seen() -> dict[str, Any]:
    return copy.deepcopy(HEALTHY)


def state_of(report: dict[str, Any], node: str) -> str:
    return next(row[2] for row in report["rows"] if row[0] == node)


def test_all_well(seen: dict[str, Any]) -> None:
    report = status_report(seen)
    assert report["problems"] == []
    assert report["text"][-1] == "All is well."
    assert [row[0] for row in report["rows"]] == ["lb1", "cache1", "app1", "app2", "db1", "db2", "redis1"]
    assert "admin and jobs live here" in next(row for row in report["rows"] if row[0] == "app1")[3]


def test_a_dead_node_is_named_once(seen: dict[str, Any]) -> None:
    seen["reached"].remove("app2")
    report = status_report(seen)
    assert state_of(report, "app2") == "unreachable"
    assert report["problems"] == ["app2 (app) can't be reached."]


@pytest.mark.parametrize("part", ["lb", "varnish", "redis"])
def test_a_part_that_does_not_answer(seen: dict[str, Any], part: str) -> None:
    host = seen["groups"][part][0]
    seen[part] = {host: {"answers": False}}
    report = status_report(seen)
    assert state_of(report, host) == "DOWN"
    assert report["problems"] == [f"{part} on {host} does not answer."]


def test_a_node_that_is_not_ready_says_why(seen: dict[str, Any]) -> None:
    seen["app"]["app2"].update(ready=False, reasons="drain:\n  by hand")
    assert status_report(seen)["problems"] == ["app2 is not ready: drain: by hand"]


def test_another_generation_than_expected(seen: dict[str, Any]) -> None:
    seen["app"]["app2"]["generation"] = "g6"
    assert status_report(seen)["problems"] == ["app2 shows generation g6, the notebook expects g7."]


def test_without_a_notebook_nodes_are_compared(seen: dict[str, Any]) -> None:
    seen["topology"]["notebook"] = {}
    assert status_report(seen)["problems"] == []
    seen["app"]["app2"]["generation"] = ""
    assert status_report(seen)["problems"] == [
        "The app nodes show different generations (app1: g7, app2: none)."
    ]


def details_of(report: dict[str, Any], node: str) -> str:
    return next(row[3] for row in report["rows"] if row[0] == node)


COPY = {
    "files": 1200,
    "files_total": 5000,
    "bytes": 450_000_000,
    "bytes_total": 1_200_000_000,
    "rate": 45_200_000,
    "seconds_left": 16.6,
    "updated": 1000.0,
}


def test_a_running_copy_shows_how_far_it_is(seen: dict[str, Any]) -> None:
    seen.update(progress={"app2": COPY}, now=1003.0)
    report = status_report(seen)
    told = "receives 1200 of 5000 files, 450 MB of 1.2 GB, 45 MB/s, 17 s left"
    assert details_of(report, "app2") == f"generation g7; {told}"
    assert "receives" not in details_of(report, "app1")
    assert report["problems"] == []


def test_an_old_word_about_a_copy_says_so(seen: dict[str, Any]) -> None:
    seen.update(progress={"app2": COPY}, now=1300.0)
    assert details_of(status_report(seen), "app2").endswith("17 s left, said 300 s ago")


def test_a_copy_that_has_only_begun(seen: dict[str, Any]) -> None:
    seen.update(progress={"app2": {"files": 0, "files_total": 9, "seconds_left": None}}, now=5.0)
    assert details_of(status_report(seen), "app2").endswith("receives 0 of 9 files, 0 B of 0 B, 0 B/s")


def test_what_is_staged_is_shown(seen: dict[str, Any]) -> None:
    seen["app"]["app2"]["staged"] = "g8"
    report = status_report(seen)
    assert details_of(report, "app2") == "generation g7; g8 is staged"
    assert report["problems"] == []


def test_little_space_is_a_problem(seen: dict[str, Any]) -> None:
    seen["app"]["app1"]["free"] = {"bytes_percent": 40.0, "inodes_percent": 60.0}
    seen["app"]["app2"]["free"] = {"bytes_percent": 3.6, "inodes_percent": 0}
    assert status_report(seen)["problems"] == [
        "app2 has 4 % of the space left where the generations are.",
        "app2 has 0 % of the inodes left where the generations are.",
    ]
    seen["least_free"] = 0
    assert status_report(seen)["problems"] == []


def test_jobs_and_publisher_only_on_the_authoritative_node(seen: dict[str, Any]) -> None:
    seen["app"]["app2"].update(jobs=["lamp-job-cron.timer"], publisher=True)
    seen["app"]["app1"].update(publisher=False)
    problems = " ".join(status_report(seen)["problems"])
    assert "app2 is not the authoritative node and has jobs" in problems
    assert "app2 publishes and is not the authoritative node" in problems
    assert "app1 does not publish and is the authoritative node" in problems


def test_the_topologys_problems_are_shown(seen: dict[str, Any]) -> None:
    seen["topology"]["problems"] = ["db2: replication is stopped."]
    assert status_report(seen)["problems"] == ["db2: replication is stopped."]


def test_no_database_answered(seen: dict[str, Any]) -> None:
    seen["topology"] = {}
    report = status_report(seen)
    assert state_of(report, "db1") == "DOWN"
    assert report["problems"] == ["No database server could be asked who is primary."]


def test_copy_of_a_database_server_shows_how_far_it_is(seen: dict[str, Any]) -> None:
    copied = {
        "method": "backup",
        "phase": "receiving",
        "bytes": 5e8,
        "total": 2e9,
        "rate": 1e8,
        "seconds_left": 15,
    }
    seen["mysql"] = {"db1": {"seeding": {}}, "db2": {"seeding": copied}}
    report = status_report(seen)
    details = next(row[3] for row in report["rows"] if row[0] == "db2")
    assert "copy of the primary (backup): receiving 500 MB of about 2.0 GB, 100 MB/s, 15 s left" in details
    assert "copy" not in next(row[3] for row in report["rows"] if row[0] == "db1")
    # While the copy takes its place, the server is down.
    seen["topology"]["servers"][1].update(reachable=False, error="refused")
    copied.update(phase="starting", total=0, rate=0, seconds_left=None, bytes=0, updated=100)
    seen["now"] = 500
    details = next(row[3] for row in status_report(seen)["rows"] if row[0] == "db2")
    assert details == "refused; copy of the primary (backup): starting 0 B, said 400 s ago"
