"""change.py NAME: one kind of change to the published tree; each starts from what the ones before left."""

import os
import shutil
import subprocess
import sys

ROOT = b"/var/www/site/odd/"
NAMES = (b"new\nline", b"\xff\xfe", b"-rf", b"*#;\\ '\"", b"#hash", b";semi", b" ", b".hidden", b"a\tb")
MOMENT = 1_234_567_890_123_456_789


def write(name, content):
    with open(ROOT + name, "wb") as file:
        file.write(content)


def read(name):
    with open(ROOT + name, "rb") as file:
        return file.read()


def mode(name, bits):
    os.chmod(ROOT + name, bits)


def same_time(name, content):
    """Rewritten in place; size and time look as before."""
    info = os.lstat(ROOT + name)
    with open(ROOT + name, "r+b") as file:
        file.write(content)
    assert os.lstat(ROOT + name).st_size == info.st_size
    os.utime(ROOT + name, ns=(info.st_atime_ns, info.st_mtime_ns))


def odd():
    """Names with any byte, every type, modes, owners, times, links, holes."""
    os.makedirs(ROOT + b"deep/er")
    for name in NAMES:
        write(name, name)
        os.mkdir(ROOT + b"in " + name)
        write(b"in " + name + b"/" + name, name)
    write(b"x.log", b"excluded")
    write(b"empty", b"")
    os.link(ROOT + b"-rf", ROOT + b"deep/hard")
    os.link(ROOT + b"-rf", ROOT + b"deep/er/third")
    os.symlink(b"../new\nline", ROOT + b"deep/soft")
    os.symlink(b"/nowhere\xff", ROOT + b"dangling")
    mode(b"#hash", 0o2750)
    mode(b"in #hash", 0o1777)
    os.chown(ROOT + b"\xff\xfe", 33, 12345)
    os.chown(ROOT + b"dangling", 33, 33, follow_symlinks=False)
    os.mkfifo(ROOT + b"pipe")
    with open(ROOT + b"sparse", "wb") as file:
        file.seek(10_000_000)
        file.write(b"middle")
        file.truncate(20_000_000)
    for name, moment in ((b"deep/er", MOMENT), (b" ", 1), (b"empty", -MOMENT), (b"dangling", MOMENT + 7)):
        os.utime(ROOT + name, ns=(1, moment), follow_symlinks=False)


def contents():
    """Same size and time, another length, another link; a clock that went back, one that is far ahead."""
    same_time(b"new\nline", b"NEW\nLINE")
    same_time(b"deep/hard", b"-RF")
    write(b".hidden", b"longer than before")
    os.unlink(ROOT + b"deep/soft")
    os.symlink(b"../.hidden", ROOT + b"deep/soft")
    write(b"*#;\\ '\"", b"*#;\\ \"'")
    os.utime(ROOT + b"*#;\\ '\"", ns=(1, 1))
    write(b"#hash", b"HASH#")
    os.utime(ROOT + b"#hash", ns=(1, 4_000_000_000 * 10**9 + 1))


def attributes():
    """Nothing but modes, owners and times."""
    mode(b";semi", 0o4755)
    mode(b"in ;semi", 0o700)
    os.chown(ROOT + b" ", 1, 2)
    os.chown(ROOT + b"in  ", 3, 4)
    os.utime(ROOT + b"deep", ns=(1, MOMENT + 1))
    os.utime(ROOT + b"a\tb", ns=(1, MOMENT + 2))
    mode(b"deep/hard", 0o640)
    mode(b"", 0o750)


def types():
    """What was a directory is a file, and the other way round."""
    shutil.rmtree(ROOT + b"in -rf")
    write(b"in -rf", b"a file now")
    os.unlink(ROOT + b"\xff\xfe")
    os.mkdir(ROOT + b"\xff\xfe")
    write(b"\xff\xfe/inside", b"of a directory")
    os.link(ROOT + b"\xff\xfe/inside", ROOT + b"outside")
    os.unlink(ROOT + b"dangling")
    os.makedirs(ROOT + b"dangling/no/more")
    shutil.rmtree(ROOT + b"in .hidden")
    os.symlink(b"in  ", ROOT + b"in .hidden")
    os.unlink(ROOT + b"pipe")
    write(b"pipe", b"no pipe")
    os.unlink(ROOT + b"empty")
    os.mkfifo(ROOT + b"empty")


def families():
    """Hard links made, broken, moved to another family."""
    content = read(b"deep/hard")
    info = os.stat(ROOT + b"deep/hard")
    os.unlink(ROOT + b"deep/hard")
    write(b"deep/hard", content)
    mode(b"deep/hard", info.st_mode & 0o7777)
    os.utime(ROOT + b"deep/hard", ns=(1, info.st_mtime_ns))
    os.link(ROOT + b"deep/hard", ROOT + b"pair")
    os.unlink(ROOT + b"outside")
    os.link(ROOT + b"#hash", ROOT + b"outside")
    os.link(ROOT + b"deep/soft", ROOT + b"soft too", follow_symlinks=False)


def moves():
    """Names that change places, with sizes and times that stay."""
    for name in (b"one", b"two"):
        write(name, name)
        os.utime(ROOT + name, ns=(1, MOMENT))
    os.rename(ROOT + b"deep", ROOT + b"deeper")
    os.rename(ROOT + b"in a\tb", ROOT + b"deeper/in")
    with open(ROOT + b"sparse", "r+b") as file:
        file.seek(5_000_000)
        file.write(b"more")


def swapped():
    os.rename(ROOT + b"one", ROOT + b"three")
    os.rename(ROOT + b"two", ROOT + b"one")
    os.rename(ROOT + b"three", ROOT + b"two")
    os.rename(ROOT + b"deeper", ROOT + b"deep")
    shutil.rmtree(ROOT + b"dangling")


def lists():
    """Access control lists and extended attributes, also of directories and of the tree's own one."""
    for words in (
        ("setfacl", "-m", "u:33:rw,g:4:r", b";semi"),
        ("setfacl", "-m", "u:33:rwx,d:u:33:rwx", b"deep"),
        ("setfacl", "-m", "u:33:rx", b"../."),
        ("setfattr", "-n", "user.lamp", "-v", "one", b" "),
        ("setfattr", "-n", "user.lamp", "-v", "two", b"deep"),
        ("setfattr", "-n", "user.lamp", "-v", "three", b"../."),
        ("setfattr", "-n", "user.lamp", "-v", "four", b"deep/hard"),
    ):
        subprocess.run([*words[:-1], ROOT + words[-1]], check=True)


def other_lists():
    """Only these change."""
    for words in (
        ("setfacl", "-m", "u:33:r", b";semi"),
        ("setfacl", "-k", b"deep"),
        ("setfacl", "-m", "u:34:rx", b"../."),
        ("setfattr", "-n", "user.lamp", "-v", "uno", b" "),
        ("setfattr", "-x", "user.lamp", b"deep"),
        ("setfattr", "-x", "user.lamp", b"../."),
    ):
        subprocess.run([*words[:-1], ROOT + words[-1]], check=True)


def plain():
    """As if there had never been any."""
    subprocess.run(["setfacl", "-R", "-b", ROOT + b".."], check=True)
    for name in (b" ", b"deep/hard"):
        os.removexattr(ROOT + name, "user.lamp")


def gone():
    shutil.rmtree(ROOT)


globals()[sys.argv[1]]()
