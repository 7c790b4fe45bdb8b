"""The base image of the lab's hosts: Debian with systemd and sshd, as a freshly installed server has it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from archive import machine_apt_settings, machine_archive, sources_for
from engine import LabError, install_packages

# What the roles must bring themselves (nginx, PHP, a database …) is left out on purpose.
PACKAGES = [
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "python3",
    "python3-apt",
    "sudo",
    "iproute2",
    "iputils-ping",
    "procps",
    "rsync",
    "curl",
    "nftables",
    "ca-certificates",
    "less",
]

# Runs in the root of the new system ($1), with the public key ($2) and bytecode.py ($3).
# Host keys and the machine id must differ from host to host,
# so they are made at the first start, as cloud images do it.
FINISH = r"""set -eu
root=$1
mkdir -p "$root/root/.ssh" "$root/etc/systemd/system/ssh.service.d"
chmod 0700 "$root/root/.ssh"
cp "$2" "$root/root/.ssh/authorized_keys"
chmod 0600 "$root/root/.ssh/authorized_keys"
cp "$3" "$root/usr/lib/python3/dist-packages/lamp_lab_bytecode.py"
echo 'import lamp_lab_bytecode' > "$root/usr/lib/python3/dist-packages/lamp_lab_bytecode.pth"
mkdir -p -m 0700 "$root/var/cache/lamp-lab"
rm -f "$root"/etc/ssh/ssh_host_*_key "$root"/etc/ssh/ssh_host_*_key.pub
printf '[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n' \
  > "$root/etc/systemd/system/ssh.service.d/host-keys.conf"
printf 'MaxStartups 100:30:200\nUseDNS no\n' > "$root/etc/ssh/sshd_config.d/lab.conf"
: > "$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id" "$root"/var/cache/apt/archives/*.deb "$root"/var/cache/apt/*.bin
for unit in systemd-resolved systemd-timesyncd getty.target console-getty systemd-logind \
  systemd-udev-trigger systemd-udevd systemd-modules-load sys-kernel-debug.mount sys-kernel-tracing.mount \
  apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer man-db.timer; do
  case $unit in *.*) ;; *) unit=$unit.service ;; esac
  ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
"""
BYTECODE = Path(__file__).with_name("bytecode.py")


def recipe_tag(suite: str, public_key: str) -> str:
    """The image's name: a change of suite, packages, key, sources or finishing touches gives a new one."""
    recipe = [FINISH, BYTECODE.read_text(encoding="utf-8"), public_key]
    parts = [suite, *PACKAGES, *recipe, machine_apt_settings(), str(machine_archive())]
    return f"lamp-lab:{suite}-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:12]}"


def ensure_image(suite: str, public_key_file: Path) -> tuple[str, bool]:
    """Make the base image exist. Returns its name and whether it had to be built; raises LabError."""
    tag = recipe_tag(suite, public_key_file.read_text(encoding="utf-8"))
    if image_exists(tag):
        return tag, False
    if registry_answers(suite):
        build_from_registry(suite, tag, public_key_file)
    else:
        build_from_archive(suite, tag, public_key_file)
    return tag, True


def image_exists(tag: str) -> bool:
    """Is that image here?"""
    inspect = subprocess.run(["docker", "image", "inspect", tag], capture_output=True, check=False)
    return inspect.returncode == 0


def registry_answers(suite: str) -> bool:
    """Can Debian's official image be had?"""
    try:
        pull = subprocess.run(
            ["docker", "pull", "-q", f"debian:{suite}"], capture_output=True, timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return pull.returncode == 0


def build_from_archive(suite: str, tag: str, public_key_file: Path) -> None:
    """Bootstrap the image with mmdebstrap from the archive that this machine's apt uses."""
    archive = machine_archive()
    if not archive.main:
        raise LabError(
            "No image registry answers, and apt of this machine names no Debian archive to build from."
        )
    install_packages({"mmdebstrap": "mmdebstrap"})
    with tempfile.TemporaryDirectory(prefix="lamp-lab-") as scratch:
        finish = Path(scratch, "finish.sh")
        finish.write_text(FINISH, encoding="utf-8")
        settings = Path(scratch, "99lab")
        settings.write_text(machine_apt_settings(), encoding="utf-8")
        tarball = Path(scratch, "root.tar")
        command = [
            "mmdebstrap",
            "--variant=apt",
            f"--include={','.join(PACKAGES)}",
            # A server that has been updated once knows its packages: keep apt's lists.
            "--skip=cleanup/apt/lists",
            f'--setup-hook=mkdir -p "$1/etc/apt/apt.conf.d" && cp {settings} "$1/etc/apt/apt.conf.d/99lab"',
            f'--customize-hook=sh {finish} "$1" {public_key_file} {BYTECODE}',
            suite,
            str(tarball),
            "-",
        ]
        run(command, sources_for(archive, suite))
        run(["docker", "import", str(tarball), tag])


def build_from_registry(suite: str, tag: str, public_key_file: Path) -> None:
    """Build the image on top of Debian's official one."""
    with tempfile.TemporaryDirectory(prefix="lamp-lab-") as scratch:
        Path(scratch, "finish.sh").write_text(FINISH, encoding="utf-8")
        shutil.copy(public_key_file, Path(scratch, "key.pub"))
        shutil.copy(BYTECODE, scratch)
        Path(scratch, "Dockerfile").write_text(
            f"FROM debian:{suite}\n"
            "COPY finish.sh key.pub bytecode.py /tmp/lab/\n"
            "RUN apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install --yes "
            f"--no-install-recommends {' '.join(PACKAGES)}"
            ' && sh /tmp/lab/finish.sh "" /tmp/lab/key.pub /tmp/lab/bytecode.py && rm -rf /tmp/lab\n',
            encoding="utf-8",
        )
        run(["docker", "build", "-q", "-t", tag, scratch])


def run(command: list[str], text: str | None = None) -> None:
    """Run a command to its end; LabError carries its last words."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = f"{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
        raise LabError(f"{command[0]} failed with {done.returncode}:\n{words}")
