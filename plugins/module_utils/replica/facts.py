# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a server that shall be a replica, of its source, and of what people want. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Wishes:
    """What people declared."""

    name: str
    source_host: str
    source_port: int
    user: str
    password: str = field(default="", repr=False)
    ca: str = ""
    connect_retry: int = 2
    seed: str = "auto"
    reseed: bool = False
    cascade: bool = False
    max_lag: int = 10

    @property
    def source(self) -> str:
        """The source as people write it."""
        return f"{self.source_host}:{self.source_port}"


@dataclass(frozen=True)
class Channel:
    """Replication as the server has it."""

    host: str
    port: int
    user: str
    tls: bool
    ca: str
    verify: bool
    by_gtid: bool
    connect_retry: int
    io: str
    sql: str
    io_errno: int = 0
    io_error: str = ""
    sql_errno: int = 0
    sql_error: str = ""
    lag: int | None = None
    # None where it can't be known.
    password_fits: bool | None = None

    @property
    def source(self) -> str:
        """Where it replicates from."""
        return f"{self.host}:{self.port}"

    @property
    def runs(self) -> bool:
        """Both threads do."""
        return self.io == "Yes" and self.sql == "Yes"


@dataclass(frozen=True)
class Local:
    """The server on this host."""

    reachable: bool = True
    error: str = ""
    engine: str = "mariadb"
    version: str = ""
    server_id: int = 0
    read_only: bool = True
    # As its option files say; None where nobody could read them.
    read_only_on_disk: bool | None = True
    data_directory: str = ""
    epoch: int | None = None
    holder: str | None = None
    data: tuple[str, ...] = ()
    # Everything it ever had, what it logged last, what it applied last.
    history: str = ""
    logged: str = ""
    applied: str = ""
    channel: Channel | None = None
    # Addresses of servers that replicate from this one now.
    replicas: tuple[str, ...] = ()
    # The phase of a copy that was begun, empty where none was.
    seeding: str = ""


@dataclass(frozen=True)
class Source:
    """The server that shall be the source."""

    reachable: bool = True
    error: str = ""
    error_code: int | None = None
    # It is the very server on this host.
    itself: bool = False
    engine: str = "mariadb"
    version: str = ""
    server_id: int = 0
    read_only: bool = False
    epoch: int | None = None
    holder: str | None = None
    # Everything that it knows, from several places; all read after the local server was.
    histories: tuple[str, ...] = ()
    follows: str | None = None
    # What is no longer in its logs; None where nobody asked.
    oldest: str | None = None
    # Other replicas of it that carry this server's number now.
    twins: tuple[str, ...] = ()
