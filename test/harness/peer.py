# The other side of a mount: does what it is told on stdin, one JSON array per line, and answers one
# JSON value per line. It keeps descriptors and mappings by name between calls, as programs do.
import json
import mmap
import os
import sys

held = {}


def stat(path):
    s = os.lstat(path)
    return {"size": s.st_size, "mode": s.st_mode, "nlink": s.st_nlink, "mtime": s.st_mtime_ns,
            "uid": s.st_uid}


def read(path):
    with open(path, "rb") as file:
        return file.read().decode("latin1")


def write(path, text, flags="wb"):
    with open(path, flags) as file:
        file.write(text.encode("latin1"))


def hold(name, path, flags):
    held[name] = os.open(path, getattr(os, flags))


def pread(name, size, at):
    return os.pread(held[name], size, at).decode("latin1")


def map_shared(name, path):
    fd = os.open(path, os.O_RDWR)
    held[name] = mmap.mmap(fd, 0)
    os.close(fd)


def store(name, at, text):
    held[name][at:at + len(text)] = text.encode("latin1")


def load(name, at, size):
    return held[name][at:at + size].decode("latin1")


CALLS = {
    "stat": stat,
    "read": read,
    "write": write,
    "append": lambda path, text: write(path, text, "ab"),
    "ls": lambda path: sorted(os.listdir(path)),
    "exists": os.path.lexists,
    "truncate": os.truncate,
    "rename": os.rename,
    "unlink": os.unlink,
    "mkdir": os.mkdir,
    "rmdir": os.rmdir,
    "link": os.link,
    "symlink": os.symlink,
    "readlink": os.readlink,
    "chmod": os.chmod,
    "utime": lambda path, atime, mtime: os.utime(path, (atime, mtime)),
    "setxattr": lambda path, name, value: os.setxattr(path, name, value.encode()),
    "getxattr": lambda path, name: os.getxattr(path, name).decode(),
    "hold": hold,
    "pread": pread,
    "map": map_shared,
    "store": store,
    "load": load,
    "msync": lambda name: held[name].flush(),
    "munmap": lambda name: held.pop(name).close(),
    "close": lambda name: os.close(held.pop(name)),
}

print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    name, *args = json.loads(line)
    try:
        answer = {"value": CALLS[name](*args)}
    except OSError as error:
        answer = {"errno": error.errno}
    print(json.dumps(answer), flush=True)
