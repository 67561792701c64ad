"""A source tree of hard cases for backups and restores, and a proof that two trees are equal.

    python tests/servers/nasty_tree.py build DIR [--skip CASE[,CASE]] [--only CASE[,..]] [--sparse-size BYTES] [--no-overlong]
    python tests/servers/nasty_tree.py cases                          the cases, one line each
    python tests/servers/nasty_tree.py manifest DIR > m.jsonl         one JSON object per entry, paths in base64 of the raw bytes
    python tests/servers/nasty_tree.py compare A B [--ignore k,k] [--exclude RELPREFIX] [--json] [--max N]
                                                                      A and B: a directory or a manifest file
    python tests/servers/nasty_tree.py remove DIR                     removes paths longer than PATH_MAX too

Tests call `run("build", ...)` and `differences(a, b, ...)`: in a process of their own, because of the depth of the tree.

Standard library only, Linux. All paths are bytes and every access is relative to an open directory (dir_fd), so paths longer
than PATH_MAX (4096) and names that are not UTF-8 are handled.

compare proves, per entry: type, permission bits, uid, gid, size, mtime to the nanosecond, content (sha256), symlink target,
device number, extended attributes (POSIX ACLs and capabilities included), hard-link groups (the partition of the entries into
inodes must be the same on both sides) and sparseness.
Keys for --ignore: mode uid gid mtime mtime_ns xattr links rdev sparse dirmtime linkmtime socket flags

Exit code: 0 equal, 1 different, 2 could not compare (something unreadable).
"""
import argparse
import base64
import errno
import fcntl
import hashlib
import json
import os
import socket
import stat
import struct
import subprocess
import sys

CASES = {}


def run(*words):
    """Run this file as a program; what it printed. An error of the program is an AssertionError."""
    done = subprocess.run([sys.executable, __file__, *map(os.fspath, words)], capture_output=True, timeout=600)
    assert done.returncode in (0, 1), done.stderr.decode("utf-8", "replace")[-2000:]
    return done.stdout


def differences(a, b, ignore="", exclude=(), most=2000):
    """[(kind, relative path in bytes, a's value, b's value)] between two trees or manifests; [] when they are equal."""
    words = ["compare", a, b, "--json", "--ignore", ignore, "--max", str(most)]
    for prefix in exclude:
        words += ["--exclude", prefix]
    found = json.loads(run(*words))
    assert not found["error_list"], found["error_list"]
    return [(item["kind"], base64.b64decode(item["path64"]), item["a"], item["b"]) for item in found["list"]]


def case(name, doc):
    def deco(fn):
        CASES[name] = (fn, doc)
        return fn
    return deco


# ---------------------------------------------------------------- helpers
def put(dfd, name, data=b"x", mode=0o644):
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=dfd)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view):]
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def sub(dfd, name, mode=0o755):
    os.mkdir(name, mode, dir_fd=dfd)
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=dfd)
    os.fchmod(fd, mode)
    return fd


def setmtime(dfd, name, ns):
    os.utime(name, ns=(ns, ns), dir_fd=dfd, follow_symlinks=False)


def fdpath(fd, name=b""):
    p = b"/proc/self/fd/%d" % fd
    return p + b"/" + name if name else p


def rnd(seed, n):
    """deterministic incompressible bytes"""
    out, i = bytearray(), 0
    while len(out) < n:
        out += hashlib.sha256(b"%s-%d" % (seed, i)).digest()
        i += 1
    return bytes(out[:n])


# ---------------------------------------------------------------- the cases
NAMES = [
    b"plain.txt", b" leading-space", b"trailing-space ", b"   ", b"two  spaces", b"tab\there",
    b"new\nline", b"new\nline\n", b"\n", b"cr\rhere", b"crlf\r\n", b"bell\x07", b"backspace\x08\x08\x08",
    b"esc\x1b[31mred\x1b[0m", b"osc\x1b]0;title\x07", b"del\x7f", b"c0\x01\x02", b"c1\xc2\x9b31m",
    b"-", b"--", b"-rf", b"--include", b"--delete", b"--target=", b"-i foo", b"+x", b"@file", b"#comment", b"!negated",
    b";semi", b"&amp", b"|pipe", b"$HOME", b"`id`", b"$(id)", b"'single'", b"\"double\"", b"back\\slash", b"\\n",
    b"\\xff-literal", b"\\udcff-literal", b"%s%n%d", b"%41", b"{brace}", b"{now}", b"star*", b"quest?", b"[ab]", b"[!a]", b"**", b"a:b", b"c:d:e",
    b"::", b"latest:x", b"[re]:root", b"[bold", b"[@click=app.quit]x[bold red]markup", b"~", b"~root", b"...", b"....", b"..foo", b"foo..", b".hidden", b".", b"..",
    b"CON", b"aux.txt", b"trailing.dot.", b"Case", b"case", b"CASE",
    "caf\u00e9-nfc".encode(), "cafe\u0301-nfd".encode(), "\u00e9".encode(), "e\u0301".encode(),
    "\U0001f600-emoji".encode(), "\U0001f468\u200d\U0001f469\u200d\U0001f467-zwj".encode(), "\U0001f1fa\U0001f1f8-flag".encode(),
    "\u202egpj.exe-rlo".encode(), "\u05e9\u05dc\u05d5\u05dd-hebrew".encode(), "\u0645\u0631\u062d\u0628\u0627".encode(),
    "\u4e2d\u6587-cjk-wide".encode(), "\u200bzero-width".encode(), "\ufeffbom".encode(), "\u2028line-sep".encode(),
    "\u00a0nbsp".encode(), "\ufffd".encode(), "\ufffd\ufffd".encode(), "\ud55c\uae00".encode(),
    b"\xff", b"\xfe\xff", b"latin1-caf\xe9", b"trunc-utf8-\xe2\x82", b"overlong-\xc0\xaf", b"surrogate-\xed\xa0\x80",
    b"\x80", b"mix-\xe9-\xc3\xa9", b"sjis-\x83\x5c", b"invalid-plane-\xf5\x80\x80\x80",
    b"a" * 255, "\u00e9".encode() * 127 + b"x", "\U0001f600".encode() * 63 + b"xyz", b"\xff" * 255,
    b"\xcc\x81combining-first", b"zalgo" + "\u0300\u0301\u0302\u0303\u0304".encode() * 20,
]


@case("names", "one small file per hard name: control bytes, options, globs, non-UTF-8, NFC/NFD, RTL, emoji, 255 bytes")
def c_names(d, o):
    for i, n in enumerate(NAMES):
        if n in (b".", b".."):
            continue
        put(d, n, b"content of name %d: %r\n" % (i, n))


@case("dirnames", "the same hard names as directories, each with one file")
def c_dirnames(d, o):
    for i, n in enumerate(NAMES):
        if n in (b".", b".."):
            continue
        s = sub(d, n)
        put(s, b"f", b"in dir %d\n" % i)
        os.close(s)


@case("deep", "nested directories: 1000 levels, a path of about 3900 bytes, and one longer than PATH_MAX (4096)")
def c_deep(d, o):
    def chain(top, comps, leaf):
        cur = sub(d, top)
        for c in comps:
            nxt = sub(cur, c)
            os.close(cur)
            cur = nxt
        put(cur, leaf, b"leaf of " + top + b"\n")
        os.close(cur)
    chain(b"levels1000", [b"d"] * 1000, b"leaf")
    chain(b"len3900", [b"n%02d-" % i + b"x" * 236 for i in range(15)], b"leaf-under-path-max")
    if not o.no_overlong:
        chain(b"len6000", [b"n%02d-" % i + b"y" * 246 for i in range(24)], b"leaf-over-path-max")


@case("symlinks", "relative, absolute, dangling, loop, self, to dir, 4095-byte target, non-UTF-8 target, empty-looking, odd mtime")
def c_symlinks(d, o):
    put(d, b"target.txt", b"symlink target\n")
    s = sub(d, b"targetdir")
    put(s, b"inside")
    os.close(s)
    for target, name in [
        (b"target.txt", b"rel"), (b"/etc/hostname", b"abs"), (b"does-not-exist", b"dangling"), (b"/nowhere/at/all", b"dangling-abs"),
        (b"loop-b", b"loop-a"), (b"loop-a", b"loop-b"), (b"self", b"self"), (b".", b"dot"), (b"..", b"dotdot"), (b"targetdir", b"todir"),
        (b"targetdir/", b"todir-slash"), (b"targetdir/../target.txt", b"via-dotdot"), (b"caf\xe9-\xff", b"nonutf8-target"),
        (b"new\nline", b"newline-target"), ("\U0001f600".encode(), b"emoji-target"), (b"x" * 255 + b"/" + b"y" * 255, b"long-target"),
        (b"z/" * 2047 + b"q", b"target-4095"), (b" ", b"space-target"), (b"target.txt", b"name-\xff-nonutf8"), (b"/proc/self/root", b"to-root"),
    ]:
        os.symlink(target, name, dir_fd=d)
    setmtime(d, b"rel", 1_000_000_000_123_456_789)


@case("hardlinks", "3 names of one file, a pair across directories, hard-linked symlink, hard-linked fifo, 60 names")
def c_hardlinks(d, o):
    put(d, b"h1", b"hard\n" * 10)
    for n in (b"h2", b"h3"):
        os.link(b"h1", n, src_dir_fd=d, dst_dir_fd=d)
    a, b = sub(d, b"a"), sub(d, b"b")
    put(a, b"x", rnd(b"hl", 300000))
    os.link(b"x", b"y", src_dir_fd=a, dst_dir_fd=b)
    os.symlink(b"x", b"lnk", dir_fd=a)
    os.link(b"lnk", b"lnk2", src_dir_fd=a, dst_dir_fd=b, follow_symlinks=False)
    os.mkfifo(b"fifo", 0o600, dir_fd=a)
    os.link(b"fifo", b"fifo2", src_dir_fd=a, dst_dir_fd=b)
    put(d, b"many-00", b"m")
    for i in range(1, 60):
        os.link(b"many-00", b"many-%02d" % i, src_dir_fd=d, dst_dir_fd=d)
    put(d, b"twin-1", b"same content, different inodes\n")
    put(d, b"twin-2", b"same content, different inodes\n")
    put(d, b"empty-h1", b"")
    os.link(b"empty-h1", b"empty-h2", src_dir_fd=d, dst_dir_fd=d)
    os.close(a)
    os.close(b)


@case("special", "fifo, unix socket, character and block device (root only)")
def c_special(d, o):
    os.mkfifo(b"fifo", 0o640, dir_fd=d)
    s = socket.socket(socket.AF_UNIX)
    s.bind(fdpath(d, b"sock").decode())
    s.close()
    if os.geteuid() == 0:
        os.mknod(b"chr-null", stat.S_IFCHR | 0o666, os.makedev(1, 3), dir_fd=d)
        os.mknod(b"chr-big-minor", stat.S_IFCHR | 0o600, os.makedev(240, 70000), dir_fd=d)
        os.mknod(b"blk", stat.S_IFBLK | 0o660, os.makedev(7, 200), dir_fd=d)


@case("sparse", "sparse files: 1 GB with 3 data islands, all hole, hole at end, data that is zero bytes, 1 byte at 3 GB")
def c_sparse(d, o):
    def sp(name, size, islands):
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=d)
        os.ftruncate(fd, size)
        for off, data in islands:
            os.pwrite(fd, data, off)
        os.close(fd)
    big = o.sparse_size
    sp(b"sparse-big", big, [(0, b"start"), (big // 2 + 1234, rnd(b"mid", 70000)), (big - 4, b"end!")])
    sp(b"all-hole-64m", 64 << 20, [])
    sp(b"hole-at-end", 8 << 20, [(0, rnd(b"s", 4096))])
    sp(b"hole-at-start", 8 << 20, [((8 << 20) - 4096, rnd(b"e", 4096))])
    put(d, b"real-zeros-4m", b"\0" * (4 << 20))


@case("modes", "setuid, setgid, sticky, 0000, 0777, write-only, setgid dir, sticky dir, read-only dir with files")
def c_modes(d, o):
    for m in (0o000, 0o001, 0o111, 0o200, 0o400, 0o444, 0o600, 0o644, 0o755, 0o777, 0o4755, 0o2755, 0o1755, 0o6755, 0o7777, 0o4000):
        put(d, b"f-%04o" % m, b"mode\n", m)
    for m in (0o000, 0o500, 0o555, 0o700, 0o1777, 0o2775, 0o3777, 0o4755, 0o7777):
        s = sub(d, b"d-%04o" % m, 0o700)
        put(s, b"inside", b"in\n")
        os.fchmod(s, m)
        os.close(s)


@case("owners", "uid/gid without a name, nobody, very large ids (root only)")
def c_owners(d, o):
    if os.geteuid() != 0:
        return
    for uid, gid in ((1000, 1000), (65534, 65534), (12345678, 87654321), (2 ** 31, 2 ** 31 + 1), (2 ** 32 - 2, 2 ** 32 - 2), (0, 12), (33, 0)):
        put(d, b"u%d-g%d" % (uid, gid), b"owner\n")
        os.chown(b"u%d-g%d" % (uid, gid), uid, gid, dir_fd=d)
    s = sub(d, b"dir-1000")
    os.close(s)
    os.chown(b"dir-1000", 1000, 1000, dir_fd=d)
    os.symlink(b"x", b"lnk-1000", dir_fd=d)
    os.chown(b"lnk-1000", 1000, 1000, dir_fd=d, follow_symlinks=False)
    put(d, b"suid-1000", b"suid+chown\n")
    os.chown(b"suid-1000", 1000, 1000, dir_fd=d)
    os.chmod(b"suid-1000", 0o4755, dir_fd=d)


@case("times", "mtime 1901, 1969-12-31, epoch, 2038, 2106, 2262, 2300, nanoseconds, future; on files, dirs and a symlink")
def c_times(d, o):
    G = 1_000_000_000
    for label, ns in (
        ("1901", -(2 ** 31) * G), ("1903-ns", -2_100_000_000 * G + 1), ("1969", -1 * G), ("1969-frac", -1), ("epoch", 0), ("epoch1ns", 1),
        ("y2038", 2 ** 31 * G), ("y2038m1", (2 ** 31 - 1) * G + 999_999_999), ("y2106", 2 ** 32 * G + 5), ("y2262", 9_223_372_036 * G + 854_775_807),
        ("y2300", 10_413_792_000 * G + 7), ("y2446", 15_032_385_535 * G), ("ns", 1_234_567_890 * G + 123_456_789), ("ns999", 1_600_000_000 * G + 999_999_999),
        ("us", 1_600_000_000 * G + 1000), ("future", 4_000_000_000 * G + 1),
    ):
        n = label.encode()
        put(d, b"f-" + n, b"time\n")
        setmtime(d, b"f-" + n, ns)
        s = sub(d, b"d-" + n)
        put(s, b"inside")
        os.close(s)
        setmtime(d, b"d-" + n, ns)
        os.symlink(b"nowhere", b"l-" + n, dir_fd=d)
        setmtime(d, b"l-" + n, ns)


@case("xattrs", "user xattrs: text, binary, empty value, long name, non-UTF-8 name, 3 KB value, on dir; trusted and security (root)")
def c_xattrs(d, o):
    put(d, b"f", b"xattr\n")
    p = fdpath(d, b"f")
    for k, v in ((b"user.text", b"hello"), (b"user.binary", bytes(range(256))), (b"user.empty", b""), (b"user.\xff-name", b"nonutf8"),
                 (b"user." + b"k" * 200, b"long name"), (b"user.nul", b"a\0b"), ("user.\u00e9".encode(), b"utf8 name")):
        try:
            os.setxattr(p, k, v)
        except OSError as e:
            print(f"xattrs: {k!r}: {e}", file=sys.stderr)
    put(d, b"f-3k", b"xattr\n")
    try:
        os.setxattr(fdpath(d, b"f-3k"), b"user.big", rnd(b"x", 3000))
    except OSError as e:
        print(f"xattrs: big: {e}", file=sys.stderr)
    s = sub(d, b"dir")
    os.setxattr(fdpath(s), b"user.ondir", b"1")
    os.close(s)
    put(d, b"readonly-with-xattr", b"ro\n", 0o400)
    os.chmod(b"readonly-with-xattr", 0o600, dir_fd=d)
    os.setxattr(fdpath(d, b"readonly-with-xattr"), b"user.ro", b"1")
    os.chmod(b"readonly-with-xattr", 0o400, dir_fd=d)
    if os.geteuid() == 0:
        put(d, b"trusted", b"t\n")
        os.setxattr(fdpath(d, b"trusted"), b"trusted.t", b"secret")
        put(d, b"caps", b"#!/bin/true\n", 0o755)
        # VFS_CAP_REVISION_2, effective, CAP_NET_RAW (13)
        os.setxattr(fdpath(d, b"caps"), b"security.capability", struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0))
        os.symlink(b"nowhere", b"link-with-trusted", dir_fd=d)
        try:
            os.setxattr(fdpath(d, b"link-with-trusted"), b"trusted.onlink", b"1", follow_symlinks=False)
        except OSError as e:
            print(f"xattrs: on symlink: {e}", file=sys.stderr)


@case("acls", "POSIX ACL on a file, default ACL on a directory, for an unknown uid too")
def c_acls(d, o):
    def acl(entries):
        return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", t, p, i & 0xFFFFFFFF) for t, p, i in entries)
    U, UN, G, GN, M, REST = 1, 2, 4, 8, 16, 32
    a = acl([(U, 6, -1), (UN, 4, 65534), (UN, 6, 4242424), (G, 4, -1), (GN, 4, 4242425), (M, 6, -1), (REST, 0, -1)])
    put(d, b"f", b"acl\n")
    os.setxattr(fdpath(d, b"f"), b"system.posix_acl_access", a)
    s = sub(d, b"dir")
    os.setxattr(fdpath(s), b"system.posix_acl_access", acl([(U, 7, -1), (UN, 5, 65534), (G, 5, -1), (M, 5, -1), (REST, 0, -1)]))
    os.setxattr(fdpath(s), b"system.posix_acl_default", acl([(U, 7, -1), (UN, 5, 65534), (G, 5, -1), (M, 7, -1), (REST, 5, -1)]))
    put(s, b"inherits", b"acl\n")
    os.close(s)


@case("empty", "zero-length file, empty directory, nested empty directories, a file named as its parent")
def c_empty(d, o):
    put(d, b"zero", b"")
    os.close(sub(d, b"emptydir"))
    a = sub(d, b"nest")
    b = sub(a, b"nest")
    c = sub(b, b"nest")
    os.close(sub(c, b"empty"))
    put(c, b"nest", b"")
    for f in (a, b, c):
        os.close(f)


@case("content", "chunker and block edges: 1 byte, 511..513, 4095..4097, 512K-1, 1M+1, 5 MB random, 5 MB of one byte, duplicate")
def c_content(d, o):
    for n in (1, 511, 512, 513, 4095, 4096, 4097, (512 << 10) - 1, (1 << 20) + 1):
        put(d, b"n%d" % n, rnd(b"c%d" % n, n))
    big = rnd(b"big", 5 << 20)
    put(d, b"random-5m", big)
    put(d, b"random-5m-copy", big)
    put(d, b"ones-5m", b"\x01" * (5 << 20))
    put(d, b"text-crlf", b"a\r\nb\r\n")
    put(d, b"text-bom", b"\xef\xbb\xbfbom\n")
    put(d, b"looks-like-json", b'{"message_type":"summary"}\n')


@case("wide", "a directory of 3000 entries")
def c_wide(d, o):
    for i in range(3000):
        put(d, b"w%05d" % i, b"%d" % i)


@case("maildir", "a Maildir and an mbox (mailbox restore): flags in names (:2,S), unread, Sent, subscriptions, courier/dovecot dot folders")
def c_maildir(d, o):
    m = sub(d, b"Maildir", 0o700)
    for box in (b"", b".Sent", b".Archive.2024", "\u00c9l\u00e8ves".encode()):
        b = m if not box else sub(m, box, 0o700)
        for k in (b"cur", b"new", b"tmp"):
            os.close(sub(b, k, 0o700))
        cur = os.open(b"cur", os.O_RDONLY, dir_fd=b)
        for i in range(5):
            put(cur, b"16000000%02d.M%dP1.host,S=300,W=310:2,%s" % (i, i, (b"S", b"RS", b"FS", b"", b"T")[i]),
                b"From: a@example.gov\r\nMessage-ID: <%d@x>\r\n\r\nbody %d\r\n" % (i, i), 0o600)
        os.close(cur)
        if b is not m:
            os.close(b)
    put(m, b"subscriptions", b"Sent\nArchive.2024\n", 0o600)
    put(m, b"dovecot-uidlist", b"3 V1600000000 N6 G1\n", 0o600)
    os.close(m)
    put(d, b"mbox", b"".join(b"From a@b Thu Jan  1 00:00:0%d 1970\nSubject: %d\n\n>From escaped\nbody\n\n" % (i, i) for i in range(5)), 0o600)


def build(o):
    root = os.fsencode(o.dir)
    os.mkdir(root)
    rfd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    only = set(o.only.split(",")) if o.only else None
    skip = set(o.skip.split(",")) if o.skip else set()
    old = os.umask(0o022)
    for name, (fn, _doc) in CASES.items():
        if (only and name not in only) or name in skip:
            continue
        d = sub(rfd, name.encode())
        fn(d, o)
        os.close(d)
    # directories last: their mtimes were moved by the files made in them
    for i, name in enumerate(CASES):
        try:
            setmtime(rfd, name.encode(), (1_500_000_000 + i) * 1_000_000_000 + 42 + i)
        except FileNotFoundError:
            pass
    os.umask(old)
    os.close(rfd)


# ---------------------------------------------------------------- reading a tree
FS_IOC_GETFLAGS = 0x80086601


def sha_file(fd, size):
    """sha256 of the whole content; holes are fed as zeros without reading them"""
    h = hashlib.sha256()
    zero = bytes(1 << 20)
    pos, data_bytes = 0, 0
    while pos < size:
        try:
            start = os.lseek(fd, pos, os.SEEK_DATA)
        except OSError as e:
            start = size if e.errno == errno.ENXIO else pos
        gap = start - pos
        while gap > 0:
            n = min(gap, len(zero))
            h.update(zero[:n])
            gap -= n
        if start >= size:
            break
        try:
            end = os.lseek(fd, start, os.SEEK_HOLE)
        except OSError:
            end = size
        os.lseek(fd, start, os.SEEK_SET)
        left = end - start
        while left > 0:
            b = os.read(fd, min(left, 1 << 20))
            if not b:
                break
            h.update(b)
            left -= len(b)
        data_bytes += end - start
        pos = end
    return h.hexdigest(), data_bytes


TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket",
         stat.S_IFCHR: "chr", stat.S_IFBLK: "blk"}


def walk(root, excl=()):
    """yield (relative path bytes, record); every directory is opened relative to its parent"""
    def rec(dfd, rel):
        try:
            names = sorted(os.fsencode(n) for n in os.listdir(dfd))
        except OSError as e:
            yield rel or b".", {"error": "list: " + e.strerror}
            return
        for n in names:
            r = rel + b"/" + n if rel else n
            if any(r == x or r.startswith(x + b"/") for x in excl):
                continue
            try:
                st = os.stat(n, dir_fd=dfd, follow_symlinks=False)
            except OSError as e:
                yield r, {"error": "stat: " + e.strerror}
                continue
            yield r, entry(dfd, n, st)
            if stat.S_ISDIR(st.st_mode):
                try:
                    c = os.open(n, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=dfd)
                except OSError as e:
                    yield r, {"error": "open: " + e.strerror}
                    continue
                try:
                    yield from rec(c, r)
                finally:
                    os.close(c)
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield b"", entry_root(fd)
        yield from rec(fd, b"")
    finally:
        os.close(fd)


def xattrs(path, follow):
    out = {}
    try:
        # os.listxattr decodes with surrogateescape; keep the raw bytes
        for k in os.listxattr(path, follow_symlinks=follow):
            v = os.getxattr(path, k, follow_symlinks=follow)
            out[base64.b64encode(os.fsencode(k)).decode()] = base64.b64encode(v).decode()
    except OSError as e:
        if e.errno not in (errno.ENOTSUP, errno.EPERM):
            out["error"] = e.strerror
    return out


def entry_root(fd):
    st = os.fstat(fd)
    return {"type": "dir", "mode": stat.S_IMODE(st.st_mode), "uid": st.st_uid, "gid": st.st_gid, "root": True}


def entry(dfd, n, st):
    t = TYPES.get(stat.S_IFMT(st.st_mode), "?")
    r = {"type": t, "mode": stat.S_IMODE(st.st_mode), "uid": st.st_uid, "gid": st.st_gid, "mtime": st.st_mtime_ns}
    p = fdpath(dfd, n)
    x = xattrs(p, False)
    if x:
        r["xattr"] = x
    if t != "dir" and st.st_nlink > 1:
        r["ino"] = f"{st.st_dev}:{st.st_ino}"
    if t == "symlink":
        r["target"] = base64.b64encode(os.readlink(n, dir_fd=dfd)).decode()
    elif t in ("chr", "blk"):
        r["rdev"] = [os.major(st.st_rdev), os.minor(st.st_rdev)]
    elif t == "file":
        r["size"] = st.st_size
        try:
            fd = os.open(n, os.O_RDONLY | os.O_NOFOLLOW | os.O_NOATIME if os.geteuid() in (0, st.st_uid) else os.O_RDONLY | os.O_NOFOLLOW, dir_fd=dfd)
        except OSError as e:
            r["error"] = "open: " + e.strerror
            return r
        try:
            r["sha256"], _data = sha_file(fd, st.st_size)
            r["sparse"] = st.st_blocks * 512 < st.st_size - 65536
            r["blocks"] = st.st_blocks * 512
            try:
                buf = fcntl.ioctl(fd, FS_IOC_GETFLAGS, struct.pack("l", 0))
                r["flags"] = struct.unpack("l", buf)[0] & ~0x80000  # without EXTENTS
            except OSError:
                pass
        finally:
            os.close(fd)
    return r


def load(src, excl):
    if os.path.isdir(src):
        return dict(walk(os.fsencode(src), excl))
    out = {}
    with open(src, encoding="utf-8") as f:
        for line in f:
            d = json.loads(line)
            out[base64.b64decode(d.pop("path64"))] = d
    return {k: v for k, v in out.items() if not any(k == x or k.startswith(x + b"/") for x in excl)}


def groups(tree, common):
    g = {}
    for p, r in tree.items():
        if "ino" in r and p in common:
            g.setdefault(r["ino"], []).append(p)
    return {tuple(sorted(v)) for v in g.values() if len(v) > 1}


def show(b):
    s = b.decode("utf-8", "backslashreplace")
    s = "".join(c if c.isprintable() and c != "\ufffd" else c.encode("unicode_escape").decode() for c in s)
    return s if len(s) <= 120 else s[:50] + f"...({len(b)} bytes)..." + s[-40:]


def compare(o):
    excl = [os.fsencode(x).strip(b"/") for x in o.exclude]
    ign = {x for x in o.ignore.split(",") if x}
    a, b = load(o.a, excl), load(o.b, excl)
    a.pop(b"", None)
    b.pop(b"", None)
    diffs, errors = [], []

    def add(kind, p, va=None, vb=None):
        diffs.append((kind, p, va, vb))
    for p in sorted(set(a) | set(b)):
        ra, rb = a.get(p), b.get(p)
        if rb is None:
            if not ("socket" in ign and ra.get("type") == "socket"):
                add("missing", p, ra.get("type"))
            continue
        if ra is None:
            add("extra", p, None, rb.get("type"))
            continue
        for side, r in (("a", ra), ("b", rb)):
            if "error" in r:
                errors.append((side, p, r["error"]))
        if ra.get("type") != rb.get("type"):
            add("type", p, ra.get("type"), rb.get("type"))
            continue
        t = ra.get("type")
        for k in ("mode", "uid", "gid", "size", "sha256", "target", "rdev", "xattr", "flags"):
            if k in ign or (k == "mode" and t == "symlink"):
                continue
            if ra.get(k) != rb.get(k) and not (k == "sha256" and ("error" in ra or "error" in rb)):
                if k == "xattr":
                    xa, xb = ra.get(k) or {}, rb.get(k) or {}
                    bad = sorted(show(base64.b64decode(n)) for n in set(xa) | set(xb) if n != "error" and xa.get(n) != xb.get(n))
                    add(k, p, bad, None)
                else:
                    add(k, p, ra.get(k), rb.get(k))
        if "mtime" not in ign and not (t == "dir" and "dirmtime" in ign) and not (t == "symlink" and "linkmtime" in ign):
            ma, mb = ra.get("mtime"), rb.get("mtime")
            if ma is not None and mb is not None and ma != mb and not ("mtime_ns" in ign and ma // 10 ** 9 == mb // 10 ** 9):
                add("mtime", p, ma, mb)
        if "sparse" not in ign and t == "file" and ra.get("sparse") != rb.get("sparse"):
            add("sparse", p, ra.get("blocks"), rb.get("blocks"))
    if "links" not in ign:
        common = set(a) & set(b)
        ga, gb = groups(a, common), groups(b, common)
        for g in sorted(ga - gb):
            add("links", g[0], f"{len(g)} names of one inode", "not the same group")
        for g in sorted(gb - ga):
            add("links", g[0], "not linked", f"{len(g)} names of one inode")
    kinds = {}
    for d in diffs:
        kinds[d[0]] = kinds.get(d[0], 0) + 1
    result = {"entries_a": len(a), "entries_b": len(b), "equal": not diffs and not errors, "differences": kinds, "errors": len(errors)}
    if o.json:
        result["list"] = [{"kind": k, "path": show(p), "path64": base64.b64encode(p).decode(), "a": va, "b": vb} for k, p, va, vb in diffs[:o.max]]
        result["error_list"] = [{"side": s, "path": show(p), "error": e} for s, p, e in errors[:o.max]]
        print(json.dumps(result, indent=1))
    else:
        for k, p, va, vb in diffs[:o.max]:
            print(f"{k:8} {show(p)}  {va} -> {vb}")
        for s, p, e in errors[:o.max]:
            print(f"error({s}) {show(p)}: {e}")
        print(json.dumps(result))
    return 2 if errors and not diffs else (1 if diffs else 0)


def remove(path):
    root = os.fsencode(path)

    def rec(dfd):
        for n in os.listdir(dfd):
            n = os.fsencode(n)
            st = os.stat(n, dir_fd=dfd, follow_symlinks=False)
            if stat.S_ISDIR(st.st_mode):
                if st.st_mode & 0o700 != 0o700:
                    os.chmod(n, 0o700, dir_fd=dfd)
                c = os.open(n, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=dfd)
                rec(c)
                os.close(c)
                os.rmdir(n, dir_fd=dfd)
            else:
                os.unlink(n, dir_fd=dfd)
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    rec(fd)
    os.close(fd)
    os.rmdir(root)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sp = ap.add_subparsers(dest="cmd", required=True)
    b = sp.add_parser("build")
    b.add_argument("dir")
    b.add_argument("--skip", default="")
    b.add_argument("--only", default="")
    b.add_argument("--sparse-size", type=int, default=1 << 30)
    b.add_argument("--no-overlong", action="store_true", help="leave out the path longer than PATH_MAX")
    sp.add_parser("cases")
    m = sp.add_parser("manifest")
    m.add_argument("dir")
    c = sp.add_parser("compare")
    c.add_argument("a")
    c.add_argument("b")
    c.add_argument("--ignore", default="")
    c.add_argument("--exclude", action="append", default=[])
    c.add_argument("--json", action="store_true")
    c.add_argument("--max", type=int, default=200)
    r = sp.add_parser("remove")
    r.add_argument("dir")
    o = ap.parse_args()
    sys.setrecursionlimit(10000)
    import resource
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192) if hard > 0 else 8192, hard))
    if o.cmd == "build":
        build(o)
    elif o.cmd == "cases":
        for n, (_f, d) in CASES.items():
            print(f"{n:10} {d}")
    elif o.cmd == "manifest":
        for p, r in walk(os.fsencode(o.dir)):
            r["path64"] = base64.b64encode(p).decode()
            print(json.dumps(r, sort_keys=True))
    elif o.cmd == "compare":
        return compare(o)
    elif o.cmd == "remove":
        remove(o.dir)
    return 0


if __name__ == "__main__":
    sys.exit(main())
