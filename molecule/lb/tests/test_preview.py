"""The team's own look at what is not yet published: past the cache, and for nobody else."""

from __future__ import annotations

import shlex

import pytest

PREVIEW = "preview.example.com"
EDGE = "172.30.11.11"


@pytest.mark.parametrize("path", ["/", "/cart", "/wp-admin/", "/?route=admin"])
def test_the_preview_goes_past_the_cache_to_a_ready_node(ask, path):
    assert ask(path, name=PREVIEW).who == "ready"


def test_writes_and_uploads_of_the_preview_go_there_too(ask, edge):
    edge.check_output("echo picture > /tmp/picture")
    assert ask("/comment", "--data", "text=hello", name=PREVIEW).who == "ready"
    assert ask("/media", "--form", "file=@/tmp/picture", name=PREVIEW).who == "ready"


def test_the_application_sees_the_previews_name(ask):
    assert ask("/", name=PREVIEW).said["headers"]["host"] == PREVIEW


def test_search_engines_are_told_to_keep_away_from_the_preview_only(ask):
    assert ask("/", name=PREVIEW).headers["x-robots-tag"] == "noindex, nofollow"
    assert "x-robots-tag" not in ask("/").headers


def test_what_is_for_the_nodes_only_is_not_shown_on_the_preview_either(ask):
    assert ask("/lamp/ready", name=PREVIEW).status == 404


def test_strangers_are_refused_and_see_the_site(behind):
    """The stranger is the other host, whose address is in none of the networks."""
    seen = []
    for name in (PREVIEW, "shop.example.com"):
        command = ["curl", "-sk", "--resolve", f"{name}:443:{EDGE}", "--write-out", " %{http_code}"]
        seen.append(behind.check_output(shlex.join([*command, f"https://{name}/"])))
    assert seen[0].endswith(" 403") and '"who"' not in seen[0]
    assert seen[1].endswith(" 200") and '"who": "cache"' in seen[1]


def test_nobody_invents_an_address_from_which_it_may_be_seen(behind):
    command = ["curl", "-sk", "--resolve", f"{PREVIEW}:443:{EDGE}", "--write-out", "%{http_code}"]
    command += ["--output", "/dev/null", "--header", "X-Forwarded-For: 127.0.0.1", f"https://{PREVIEW}/"]
    assert behind.check_output(shlex.join(command)) == "403"


def test_without_tls_the_preview_leads_to_tls(ask):
    answer = ask("/page", name=PREVIEW, scheme="http")
    assert (answer.status, answer.headers["location"]) == (301, f"https://{PREVIEW}/page")
