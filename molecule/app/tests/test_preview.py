"""The team looks at what is staged under a name of its own; visitors see nothing of it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator

import pytest
from testinfra.host import Host

STAGED = "/srv/lamp/site/staged"
TREE = "/srv/lamp/site/generations/next"


@pytest.fixture
def ask(node: Callable[[str], Host]) -> Callable[..., str]:
    """`ask("/page", "name")`: what node1 answers for a page under that host name, and the status after it."""

    def run(path: str, name: str = "preview.example.com") -> str:
        words = ["curl", "--silent", "--max-time", "10", "--write-out", " %{http_code}"]
        words += ["--header", f"Host: {name}", f"http://172.30.13.11:8080{path}"]
        return node("node1").check_output(shlex.join(words))

    return run


@pytest.fixture
def staged(node: Callable[[str], Host]) -> Iterator[None]:
    """A generation that is on the node, and that is not the current one."""
    commands = (
        f"cp -a /srv/lamp/site/generations/1 {TREE}",
        f"echo 'on the way' > {TREE}/text.html",
        f"ln -s generations/next {STAGED}",
        "systemctl reload apache2",
    )
    node("node1").check_output(" && ".join(commands))
    yield
    node("node1").check_output(f"rm {STAGED} && rm -r {TREE} && systemctl reload apache2")


def test_the_preview_shows_what_is_staged_and_visitors_what_is_current(
    ask: Callable[..., str], staged: None
) -> None:
    assert ask("/version.php") == "next 200"
    assert ask("/text.html") == "on the way\n 200"
    assert ask("/pretty") == "on the way\n 200"
    for name in ("shop.example.com", "www.shop.example.com", "unknown.example.com"):
        assert ask("/text.html", name) == "as it is 200"


def test_hidden_files_are_no_pages_of_the_preview_either(ask: Callable[..., str], staged: None) -> None:
    assert ask("/.git/config").endswith(" 403")


def test_the_preview_has_no_health_pages(ask: Callable[..., str], staged: None) -> None:
    """Whether visitors may come does not depend on what is staged."""
    assert ask("/lamp/ready").endswith(" 404")
    assert ask("/lamp/ready", "shop.example.com") == "ready\n 200"


def test_with_nothing_staged_the_preview_says_so_and_the_site_goes_on(ask: Callable[..., str]) -> None:
    assert ask("/version.php") == "Nothing is staged on this node. 404"
    assert ask("/") == "Nothing is staged on this node. 404"
    assert ask("/version.php", "shop.example.com") == "1 200"
