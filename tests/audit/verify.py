#!/usr/bin/env python3
"""Verifies a Shiplog bundle or proof offline, against keys that the auditor's policy trusts.

Written from the specifications (RFC 6962, C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-tiles,
tlog-proof, and Shiplog's bundles version 1) and from nothing else, so that it and `shiplog verify` can disagree.

    verify.py bundle BUNDLE --policy FILE [--since CHECKPOINT [--since-policy FILE]]
    verify.py proof PROOF --policy FILE [--data FILE]

Exit codes: 0 it holds, 2 tampered, 3 rolled back, forked or truncated, 4 policy or quorum, 5 malformed;
1 when it could not be checked: wrong arguments, a policy that is none, a file that cannot be read. When several
apply the higher wins, because what is not well formed or not signed says nothing about the events.
"""

import argparse
import base64
import binascii
import datetime
import hashlib
import json
import re
import sys
import tempfile
import unicodedata
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

UNCHECKED, TAMPERED, FORKED, UNTRUSTED, MALFORMED = 1, 2, 3, 4, 5
WORDS = {TAMPERED: "tampered", FORKED: "forked", UNTRUSTED: "untrusted", MALFORMED: "malformed"}

MEMBER_LIMIT = 64 << 20
HEADER_LIMIT = 16 << 10
DATA_LIMIT = 256 << 10
# The specification leaves the limit to verifiers; sixteen of the largest signatures must fit.
NOTE_LIMIT = 128 << 10
PROOF_LIMIT = 2 * NOTE_LIMIT
EXTRA_LIMIT = 32 << 10
SIGNATURE_LIMIT = 64
EXTENSION_LIMIT = 16
NAME_LIMIT = 255

LEAF_PREFIX = b"shiplog.leaf.v1\n"
TILE_WIDTH = 256
HASH_SIZE = 32
BLOCK = 512


class Refused(Exception):
    def __init__(self, code, reason):
        super().__init__(reason)
        self.code = code
        self.reason = reason


def malformed(reason):
    return Refused(MALFORMED, reason)


# The bundle


def verify_bundle(file, policy, since=None, judge=None):
    """The report of a bundle that holds; `since` are the bytes of a checkpoint kept from before, which the policy
    `judge` is of where the log had another name then."""
    findings = Findings()
    tar = Tar(file)
    manifest = Manifest.parse(tar.member("manifest.json"))
    if manifest.stream is not None:
        if since is not None:
            raise Unusable("one sealed stream does not show that a log only grew")
        return verify_sealed(tar, manifest, policy, findings)
    checkpoint = Checkpoint.parse(tar.member("checkpoint"))
    if checkpoint.origin != manifest.origin:
        raise malformed("checkpoint and manifest name different origins")
    if checkpoint.size < manifest.size:
        raise malformed(f"the manifest says {manifest.size} events, the checkpoint {checkpoint.size}")
    if checkpoint.size > manifest.size:
        findings.forked(f"the bundle holds {manifest.size} of the checkpoint's {checkpoint.size} events")
    signed = findings.untrusted_in(lambda: policy.check(checkpoint))
    kept = None
    if since is not None:
        kept = Checkpoint.parse(since)
        findings.untrusted_in(lambda: (judge or policy).check(kept))
        if kept.size > manifest.size:
            findings.forked(f"the kept checkpoint has {kept.size} events, the bundle {manifest.size}")
    with spool() as leaves:
        events = Events(findings)
        tree = Tree()
        follow_since(kept, tree, findings)
        for first, width, path in bundles(manifest.size):
            entries = records(tar.member(f"tile/entries/{path}"), 2, width, "entries", first)
            data = records(tar.member(f"data/{path}"), 4, width, "data", first)
            for index, leaf, content in zip(range(first, first + width), entries, data):
                leaf = events.read(index, leaf, content, tree)
                leaves.write(leaf)
                tree.push(leaf)
                follow_since(kept, tree, findings)
        verify_tiles(tar, 0, manifest.size, leaves, findings)
    tar.end()
    if kept is not None and kept.origin != checkpoint.origin:
        follow_name(kept, events.restored, checkpoint, findings)
    if checkpoint.size == manifest.size and tree.root() != checkpoint.root:
        # Of a tree that is consistent in itself nothing says which event is the wrong one.
        findings.tampered(manifest.size, f"the root of the {manifest.size} events is not the checkpoint's")
    findings.settle()
    return Report(checkpoint, signed, len(events.streams), manifest.compromised, restored=events.restored)


def verify_sealed(tar, manifest, policy, findings):
    """The rest of the bundle of one stream: its events up to its last seal, and that seal's place in the log."""
    note = tar.member("checkpoint")
    checkpoint = Checkpoint.parse(note)
    if checkpoint.origin != manifest.origin or manifest.size == 0:
        raise malformed("checkpoint and manifest name different origins, or there is no event")
    proof = Proof.parse(tar.member("seal.tlog-proof"))
    if proof.note != note:
        raise malformed("the proof is under another checkpoint")
    Header.parse(proof.header, proof.index)
    signed = findings.untrusted_in(lambda: policy.check(checkpoint))
    events = Events(findings)
    leaf = None
    for first, width, path in bundles(manifest.size):
        entries = records(tar.member(f"entries/{path}"), 2, width, "entries", first)
        data = records(tar.member(f"data/{path}"), 4, width, "data", first)
        for index, leaf, content in zip(range(first, first + width), entries, data):
            events.read(index, leaf, content)
            header = Header.parse(header_of(leaf, index), index)
            if header.stream != manifest.stream:
                findings.tampered(index, f"event {index}: it is of {header.stream}")
            elif header.revision != index:
                findings.tampered(index, f"event {index}: revision {header.revision} stands there")
    tar.end()
    last = manifest.size - 1
    if not header.is_seal():
        findings.forked(f"event {last}: it is the last, and no seal")
    if header_of(leaf, last) != proof.header:
        findings.tampered(last, f"event {last}: the proof is of another event")
    elif proof.root(leaf) != checkpoint.root:
        findings.tampered(last, f"event {last}: the proof does not lead to the checkpoint's root")
    findings.settle()
    return Report(checkpoint, signed, 1, [], f"sealed {manifest.stream}\nrevision {last}\nposition {proof.index}")


def follow_since(kept, tree, findings):
    if kept is not None and tree.size == kept.size and tree.root() != kept.root:
        findings.forked(f"the first {kept.size} events do not give the root of the kept checkpoint")


def follow_name(kept, restored, checkpoint, findings):
    """A checkpoint of another name is of a log that this one was restored from, and of events that were kept."""
    size = next((events for events, _, was in restored if was.origin == kept.origin), None)
    if size is None:
        findings.untrusted_in(lambda: refuse_name(kept, checkpoint))
    elif kept.size > size:
        findings.forked(f"{kept.size} events were signed, and a backup of {size} of them took the log's place")


def refuse_name(kept, checkpoint):
    raise Refused(UNTRUSTED, f"the kept checkpoint is of {kept.origin}, the bundle of {checkpoint.origin}")


def verify_tiles(tar, level, count, below, findings):
    """This level and those above it: each hash of a tile is what the file of the level below says."""
    if count == 0:
        return
    below.seek(0)
    with spool() as roots:
        for first, width, path in bundles(count):
            name = f"tile/{level}/{path}"
            tile = tar.member(name)
            if len(tile) != width * HASH_SIZE:
                raise malformed(f"{name} is {len(tile)} bytes, not {width} hashes")
            hashes = split(tile)
            for offset, (found, expected) in enumerate(zip(hashes, split(below.read(len(tile))))):
                if found != expected:
                    source = "that of its entry" if level == 0 else "that of the tile below"
                    index = (first + offset) << (8 * level)
                    reason = f"event {index}: its hash in {name} is not {source}"
                    findings.tampered(index, reason, span=1 << (8 * level))
                    break
            if width == TILE_WIDTH:
                roots.write(tree_hash(hashes))
        verify_tiles(tar, level + 1, count // TILE_WIDTH, roots, findings)


def spool():
    """A file for what a large log does not fit into memory with, made when the log is large."""
    return tempfile.SpooledTemporaryFile(1 << 20)


class Findings:
    """What is wrong and does not stop the reading: the first of its kind, and of tampering the lowest event."""

    def __init__(self):
        self.reasons = {}
        self.index = None

    def untrusted_in(self, check):
        try:
            return check()
        except Refused as refused:
            self.reasons.setdefault(refused.code, refused.reason)
            return None

    def forked(self, reason):
        self.reasons.setdefault(FORKED, reason)

    def tampered(self, index, reason, span=1):
        # What is wrong of one event says more than what is wrong of the many that it is among.
        if self.index is None or index + span <= self.index:
            self.index = index
            self.reasons[TAMPERED] = reason

    def settle(self):
        if self.reasons:
            code = max(self.reasons)
            raise Refused(code, self.reasons[code])


class Events:
    """What the events say of each other: revisions are dense and time does not go back within a stream, and a seal
    has the count and the root of the events before it in its stream."""

    def __init__(self, findings):
        self.findings = findings
        self.streams = {}
        self.restored = []

    def read(self, index, leaf, data, log=None):
        """The hash of the leaf; `log` is the tree of the events before it, where they are all there."""
        header = Header.parse(header_of(leaf, index), index)
        leaf = leaf_hash(leaf)
        revision, recorded_at, before = self.streams.get(header.stream, (0, header.recorded_at, Tree()))
        if problem := header.contradicts(data):
            self.findings.tampered(index, f"event {index}: {problem}")
        elif header.is_seal() and not seals(data, before):
            self.findings.tampered(index, f"event {index}: it does not seal the events of {header.stream} before it")
        elif header.type == "log.restored" and log is not None:
            if restored := restores(data, log):
                self.restored.append(restored)
            else:
                self.findings.tampered(index, f"event {index}: it does not say which events a backup had")
        if header.revision != revision:
            self.findings.tampered(
                index, f"event {index}: revision {header.revision} of {header.stream}, {revision} is next"
            )
        if header.recorded_at < recorded_at:
            self.findings.tampered(index, f"event {index}: recorded before the event before it in {header.stream}")
        before.push(leaf)
        self.streams[header.stream] = (revision + 1, max(recorded_at, header.recorded_at), before)
        return leaf


def seals(data, before):
    """Whether the data of a seal say how many leaves there are before it, and their root."""
    try:
        found = strict_json(data, "the seal")
        shape(found, {"salt": str, "count": int, "root": str}, {}, "the seal")
    except Refused:
        return False
    return found["count"] == before.size and found["root"] == before.root().hex()


def restores(data, log):
    """Size, name from there on, and the checkpoint of the log as it was, where the data are true of the log so far."""
    try:
        found = strict_json(data, "the restore")
        shape(found, {"salt": str, "events": int, "root": str, "origin": str, "checkpoint": str}, {}, "the restore")
        was = Checkpoint.parse(found["checkpoint"].encode() + b"\n")
    except Refused:
        return None
    if found["events"] != log.size or found["root"] != log.root().hex() or was.origin == found["origin"]:
        return None
    return found["events"], found["origin"], was


@dataclass
class Report:
    checkpoint: "Checkpoint"
    signed: "Signed"
    streams: int
    # What the bundle says; the policy alone decides.
    compromised: list
    sealed: str | None = None
    restored: list = field(default_factory=list)

    def __str__(self):
        lines = [*self.signed.lines(self.checkpoint), self.sealed or f"streams {self.streams}"]
        for one in self.compromised:
            lines.append(f"compromised {one['key']} from {one['from_size']}")
        for events, origin, was in self.restored:
            lines.append(f"restored {events} of {was.size} events of {was.origin} as {origin}")
        return "\n".join(lines)


@dataclass
class Manifest:
    origin: str
    # Of a bundle of one stream.
    stream: str | None
    size: int
    compromised: list

    MEMBERS = {
        "shiplog.bundle.v1": {"format": str, "origin": str, "size": int, "keys": [str]},
        "shiplog.sealed.v1": {"format": str, "origin": str, "stream": str, "size": int, "keys": [str]},
    }

    @classmethod
    def parse(cls, text):
        found = strict_json(text, "manifest")
        kind = found.get("format") if type(found) is dict else None
        members = cls.MEMBERS.get(kind) if type(kind) is str else None
        if members is None:
            raise malformed("the manifest is of no format known here")
        optional = {"compromised": [dict]} if "stream" not in members else {}
        shape(found, members, optional, "manifest")
        fits(found["size"], 64, "the manifest's size")
        for key in found["keys"]:
            Key.parse(key)
        stream = found.get("stream")
        if stream is not None and not STREAM.fullmatch(stream):
            raise malformed("the manifest's stream is not a stream's name")
        written = {name: found[name] for name in members}
        compromised = found.get("compromised", [])
        for one in compromised:
            shape(one, {"key": str, "from_size": int}, {}, "manifest, compromised")
            fits(one["from_size"], 64, "the size in compromised")
            Key.parse(one["key"])
        if compromised:
            written["compromised"] = [{"key": one["key"], "from_size": one["from_size"]} for one in compromised]
        if text != json.dumps(written, separators=(",", ":"), ensure_ascii=False).encode():
            raise malformed("the manifest is not compact JSON with its members in order")
        return cls(found["origin"], stream, found["size"], compromised)


def bundles(count):
    """Start, width and path of each tile that so many hashes or entries fill, the last one partial."""
    for first in range(0, count, TILE_WIDTH):
        width = min(TILE_WIDTH, count - first)
        yield first, width, tile_path(first // TILE_WIDTH, width)


def tile_path(number, width):
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03}")
    path = "/".join(reversed(groups))
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


def records(member, length_size, count, what, first):
    """Exactly so many records, each after its length."""
    found, at = [], 0
    for index in range(first, first + count):
        start = at + length_size
        length = int.from_bytes(member[at:start], "big")
        at = start + length
        if start > len(member) or at > len(member):
            raise malformed(f"event {index}: its {what} end early")
        if length_size == 4 and length > DATA_LIMIT:
            raise malformed(f"event {index}: {length} bytes of data")
        found.append(member[start:at])
    if at != len(member):
        raise malformed(f"bytes follow the {what} of event {first + count - 1}")
    return found


# The archive


class Tar:
    """Reads ustar members by the names that must come next; anything else in their place is malformed."""

    def __init__(self, file):
        self.file = file

    def member(self, name):
        block = self.take(BLOCK, f"the archive ends before {name}")
        if not any(block):
            raise malformed(f"{name} is missing")
        found, size = self.header(block)
        if found != name:
            raise malformed(f"{found!r} stands where {name} belongs")
        if size > MEMBER_LIMIT:
            raise malformed(f"{name} is {size} bytes")
        content = self.take(size, f"{name} is cut off")
        if any(self.take(-size % BLOCK, f"{name} is cut off")):
            raise malformed(f"{name} is padded with something")
        return content

    def end(self):
        for _ in range(2):
            block = self.take(BLOCK, "the archive has no end")
            if any(block):
                raise malformed(f"{self.header(block)[0]!r} does not belong in the bundle")
        if self.file.read(1):
            raise malformed("something follows the end of the archive")

    def take(self, length, otherwise):
        content = self.file.read(length)
        if len(content) != length:
            raise malformed(otherwise)
        return content

    @staticmethod
    def header(block):
        def field(start, length):
            return block[start : start + length]

        # Summed up with spaces in place of the sum itself.
        total = sum(block) - sum(field(148, 8)) + 8 * ord(" ")
        if field(148, 8) not in (b"%06o\0 " % total, b"%07o\0" % total):
            raise malformed("a member's checksum is wrong")
        if field(257, 8) != b"ustar\x0000":
            raise malformed("the archive is not ustar")
        name = field(0, 100).rstrip(b"\0")
        if not re.fullmatch(rb"[!-~]{1,100}", name):
            raise malformed("a member's name is not printable")
        name = name.decode()
        size = re.fullmatch(rb"([0-7]{11})[\0 ]", field(124, 12))
        if size is None:
            raise malformed(f"the size of {name} is not octal")
        zeros = rb"0*[\0 ]*"
        plain = (
            field(156, 1) == b"0"
            and re.fullmatch(rb"0*644[\0 ]", field(100, 8))
            and all(re.fullmatch(rb"0+[\0 ]", field(*place)) for place in ((108, 8), (116, 8), (136, 12)))
            and not any(field(157, 100))
            and not any(field(265, 64))
            and all(re.fullmatch(zeros, field(*place)) for place in ((329, 8), (337, 8)))
            and not any(field(345, 167))
        )
        if not plain:
            raise malformed(f"{name} is not a plain file of nobody, mode 0644, at time 0")
        return name, int(size[1], 8)


# Events


def header_of(leaf, index):
    start = len(LEAF_PREFIX) + 4
    header = leaf[start:]
    if not leaf.startswith(LEAF_PREFIX) or len(leaf) < start:
        raise malformed(f"event {index}: its entry is not a shiplog.leaf.v1")
    if int.from_bytes(leaf[start - 4 : start], "big") != len(header):
        raise malformed(f"event {index}: its entry has another length than it says")
    return header


def leaf_of(header):
    return LEAF_PREFIX + len(header).to_bytes(4, "big") + header


UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
STREAM = re.compile(r"[a-z][a-z0-9.-]{0,199}")
TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?Z")

HEADER_REQUIRED = {
    "id": str,
    "stream": str,
    "revision": int,
    "type": str,
    "schema": int,
    "recorded_at": str,
    "occurred_at": str,
    "actor": dict,
    "request": dict,
    "data": dict,
}
HEADER_OPTIONAL = {"auth": dict, "causation": str, "correlation": str, "trace": str}
INNER = {
    "actor": ({"id": str, "kind": str, "roles": [str]}, {"via": str}),
    "auth": ({"issuer": str, "kid": str}, {"jti_sha256": str, "amr": [str], "auth_time": str}),
    "request": (
        {"operation": str, "fingerprint": str, "index": int, "count": int},
        {"idempotency_key": str, "entry": int},
    ),
    "data": ({"length": int, "sha256": str}, {}),
}


@dataclass
class Header:
    stream: str
    type: str
    revision: int
    recorded_at: tuple
    length: int
    sha256: str

    @classmethod
    def parse(cls, text, index):
        where = f"event {index}: its header"
        if len(text) > HEADER_LIMIT:
            raise malformed(f"{where} is {len(text)} bytes")
        found = strict_json(text, where)
        shape(found, HEADER_REQUIRED, HEADER_OPTIONAL, where)
        for name, (required, optional) in INNER.items():
            if name in found:
                shape(found[name], required, optional, f"{where}, {name}")
        for name in ("id", "causation"):
            if name in found and not UUID.fullmatch(found[name]):
                raise malformed(f"{where}: {name} is not a UUID")
        if not STREAM.fullmatch(found["stream"]):
            raise malformed(f"{where}: stream is not a stream's name")
        request, data = found["request"], found["data"]
        for value, bits, name in (
            (found["revision"], 64, "revision"),
            (found["schema"], 32, "schema"),
            (request["index"], 32, "index"),
            (request["count"], 32, "count"),
            (request.get("entry", 0), 32, "entry"),
            (data["length"], 64, "length"),
        ):
            fits(value, bits, f"{where}: {name}")
        instant(found["occurred_at"], f"{where}: occurred_at")
        if "auth_time" in found.get("auth", {}):
            instant(found["auth"]["auth_time"], f"{where}: auth_time")
        recorded_at = instant(found["recorded_at"], f"{where}: recorded_at")
        return cls(found["stream"], found["type"], found["revision"], recorded_at, data["length"], data["sha256"])

    def is_seal(self):
        return self.type.rpartition(".")[0] != "" and self.type.rpartition(".")[2] in ("sealed", "resealed")

    def contradicts(self, data):
        if len(data) != self.length:
            return f"{len(data)} bytes of data, its header says {self.length}"
        if hashlib.sha256(data).hexdigest() != self.sha256:
            return "its data are not those of its header"
        return None


def instant(text, where):
    """A time as seconds and nanoseconds, because a datetime has no more than microseconds."""
    found = TIME.fullmatch(text)
    if found is None:
        raise malformed(f"{where} is not a time")
    try:
        when = datetime.datetime(*map(int, found.groups()[:6]))
    except ValueError:
        raise malformed(f"{where} is not a time") from None
    return when, int((found[7] or "").ljust(9, "0"))


# JSON


def strict_json(text, where):
    """An object as every reader understands it: each key once, no floats, only integers from 0."""

    def pairs(items):
        found = dict(items)
        if len(found) != len(items):
            raise ValueError("a key stands twice")
        return found

    def integer(digits):
        if digits.startswith("-") or len(digits) > 20:
            raise ValueError("an integer is out of range")
        return int(digits)

    def refuse(literal):
        raise ValueError(f"{literal} is not an integer")

    try:
        found = json.loads(
            text.decode(), object_pairs_hook=pairs, parse_int=integer, parse_float=refuse, parse_constant=refuse
        )
        if b"\\u" in text:
            # Half of a surrogate pair is something that UTF-8 cannot hold.
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise malformed(f"{where} is not strict JSON: {error}") from None
    return found


def shape(found, required, optional, where):
    if type(found) is not dict:
        raise malformed(f"{where} is not an object")
    for name in required:
        if name not in found:
            raise malformed(f"{where} has no {name}")
    for name, value in found.items():
        kind = required.get(name, optional.get(name))
        if kind is None:
            raise malformed(f"{where} has an unknown {name!r}")
        items, kind = (value, kind[0]) if type(kind) is list else ([value], kind)
        if type(items) is not list or any(type(item) is not kind for item in items):
            raise malformed(f"{where}: {name} has the wrong type")


def fits(value, bits, where):
    if value >> bits:
        raise malformed(f"{where} is too large")


# The tree, RFC 6962 section 2.1


def leaf_hash(leaf):
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """Grows by one leaf hash at a time and keeps only the roots of its full subtrees, the largest first."""

    def __init__(self):
        self.size = 0
        self.roots = []

    def push(self, leaf):
        self.size += 1
        full = self.size
        while full % 2 == 0:
            leaf = node_hash(self.roots.pop(), leaf)
            full //= 2
        self.roots.append(leaf)

    def root(self):
        if not self.roots:
            return hashlib.sha256(b"").digest()
        *rest, root = self.roots
        for left in reversed(rest):
            root = node_hash(left, root)
        return root


def tree_hash(hashes):
    tree = Tree()
    for leaf in hashes:
        tree.push(leaf)
    return tree.root()


def split(tile):
    return [tile[at : at + HASH_SIZE] for at in range(0, len(tile), HASH_SIZE)]


def root_by_inclusion(leaf, index, size, path):
    """The root that a proof leads to (RFC 9162 section 2.1.3.2), or nothing when its length is wrong."""
    if index >= size:
        return None
    node, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if node % 2 or node == last:
            root = node_hash(sibling, root)
            while node % 2 == 0 and node:
                node, last = node // 2, last // 2
        else:
            root = node_hash(root, sibling)
        node, last = node // 2, last // 2
    return root if last == 0 else None


# Signed notes and checkpoints


def decode(text, what, length=None):
    """Standard base64 in its one canonical form."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise malformed(f"{what} is not base64") from None
    if base64.b64encode(found).decode() != text:
        raise malformed(f"{what} is not canonical base64")
    if length is not None and len(found) != length:
        raise malformed(f"{what} is {len(found)} bytes, not {length}")
    return found


def decimal(text, what):
    if not re.fullmatch(r"0|[1-9][0-9]{0,19}", text):
        raise malformed(f"{what} is not a decimal number")
    number = int(text)
    fits(number, 64, what)
    return number


def key_name(name, what):
    if "+" in name or any(letter.isspace() for letter in name):
        raise malformed(f"{what} has an invalid key name")
    return printed(name, what)


def printed(name, what):
    """A name without control characters, neither empty nor too long."""
    if not 0 < len(name.encode()) <= NAME_LIMIT or any(unicodedata.category(letter) == "Cc" for letter in name):
        raise malformed(f"{what} has an invalid name")
    return name


@dataclass(frozen=True)
class Key:
    """A verifier key: `name+id+base64(algorithm || public key)`."""

    ED25519, COSIGNATURE = 1, 4

    name: str
    id: bytes
    algorithm: int
    public: bytes

    @classmethod
    def of(cls, name, algorithm, public):
        identity = hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:4]
        return cls(name, identity, algorithm, public)

    @classmethod
    def parse(cls, text):
        parts = text.split("+", 2)
        if len(parts) != 3:
            raise malformed(f"{text!r} is not a verifier key")
        name, identity, material = parts
        material = decode(material, f"the key of {name}")
        if len(material) != 33 or material[0] not in (cls.ED25519, cls.COSIGNATURE):
            raise malformed(f"the key of {name} is not an Ed25519 key")
        key = cls.of(key_name(name, "a verifier key"), material[0], material[1:])
        if identity != key.id.hex():
            raise malformed(f"the key of {name} has another id than it says")
        return key

    def __str__(self):
        material = base64.b64encode(bytes([self.algorithm]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{material}"

    def verify(self, text, signature):
        """True for a signature of this key, and for a cosignature its time."""
        time = True
        if self.algorithm == self.COSIGNATURE:
            time, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            text = b"cosignature/v1\ntime %d\n" % time + text
        if len(signature) != 64 or (time is not True and time >> 63):
            return None
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return None
        return time


@dataclass
class Checkpoint:
    text: bytes
    origin: str
    size: int
    root: bytes
    signatures: list

    @classmethod
    def parse(cls, note):
        text, signatures = parse_note(note)
        lines = text.decode().split("\n")[:-1]
        if len(lines) < 3 or not all(lines):
            raise malformed("the checkpoint is not three lines at least, none empty")
        if len(lines) - 3 > EXTENSION_LIMIT:
            raise malformed("the checkpoint has too many extension lines")
        origin = printed(lines[0], "the checkpoint")
        size = decimal(lines[1], "the checkpoint's size")
        fits(size, 63, "the checkpoint's size")
        root = decode(lines[2], "the checkpoint's root", HASH_SIZE)
        if size == 0 and root != hashlib.sha256().digest():
            raise malformed("the checkpoint of an empty log has another root than nothing")
        return cls(text, origin, size, root, signatures)


def parse_note(note):
    if len(note) > NOTE_LIMIT:
        raise malformed("the note is too long")
    try:
        whole = note.decode()
    except UnicodeDecodeError:
        raise malformed("the note is not UTF-8") from None
    if any(letter < " " and letter != "\n" for letter in whole):
        raise malformed("the note has control characters")
    text, blank, lines = whole.rpartition("\n\n")
    if not blank or not text or not lines.endswith("\n"):
        raise malformed("the note is not a text, a blank line and signatures")
    signatures = []
    if lines.count("\n") > SIGNATURE_LIMIT:
        raise malformed("the note has too many signatures")
    for line in lines[:-1].split("\n"):
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "\u2014":
            raise malformed("the note has a line that is not a signature")
        name = key_name(parts[1], "a signature")
        content = decode(parts[2], f"the signature of {name}")
        if len(content) < 5:
            raise malformed(f"the signature of {name} is too short")
        signatures.append((name, content[:4], content[4:]))
    return f"{text}\n".encode(), signatures


# The auditor's policy


@dataclass
class Signed:
    """Who of the policy signed, and the time that the log's own timed signature says."""

    keys: list
    time: int | None

    def lines(self, checkpoint):
        yield f"origin {checkpoint.origin}"
        yield f"size {checkpoint.size}"
        yield f"root {base64.b64encode(checkpoint.root).decode()}"
        for key in self.keys:
            yield f"key {key}"
        yield f"time {utc(self.time)}"


def utc(time):
    if time is None:
        return "none"
    try:
        return datetime.datetime.fromtimestamp(time, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{time} s after 1970"


@dataclass
class Policy:
    logs: list
    witnesses: list
    quorum: int

    @classmethod
    def parse(cls, text):
        logs, witnesses, quorum = [], [], None
        try:
            lines = text.decode().split("\n")
        except UnicodeDecodeError:
            raise malformed("the policy is not UTF-8") from None
        for number, line in enumerate(lines, 1):
            words = line.split()
            if "#" in (starts := [word[0] for word in words]):
                words = words[: starts.index("#")]
            match words:
                case []:
                    pass
                case ["log", key, *ranges]:
                    logs.append((cls.key(key, Key.ED25519), *cls.range(ranges, number)))
                case ["witness", key]:
                    witnesses.append(cls.key(key, Key.COSIGNATURE))
                case ["quorum", count] if quorum is None:
                    quorum = decimal(count, "the policy's quorum")
                case _:
                    raise malformed(f"line {number} of the policy is not a statement")
        if len({key.name for key, _, _ in logs}) != 1:
            raise malformed("the policy does not name one log")
        # One key under two names would be two of a quorum.
        if len({key.public for key in witnesses}) != len(witnesses):
            raise malformed("the policy names a witness twice")
        quorum = quorum or 0
        if quorum > len(witnesses):
            raise malformed(f"the policy asks for {quorum} of {len(witnesses)} witnesses")
        return cls(logs, witnesses, quorum)

    @staticmethod
    def key(text, algorithm):
        key = Key.parse(text)
        if key.algorithm != algorithm:
            raise malformed(f"the policy's key of {key.name} is not of algorithm {algorithm}")
        return key

    @staticmethod
    def range(words, number):
        first, last = 0, (1 << 64) - 1
        if words[:1] == ["from"] and len(words) > 1:
            first, words = decimal(words[1], "from"), words[2:]
        if words[:1] == ["to"] and len(words) > 1:
            last, words = decimal(words[1], "to"), words[2:]
        if words or first > last:
            raise malformed(f"line {number} of the policy has no valid range")
        return first, last

    def check(self, checkpoint):
        """Who signed it, when that is enough."""
        origin = self.logs[0][0].name
        if checkpoint.origin != origin:
            raise Refused(UNTRUSTED, f"the log is {checkpoint.origin}, the policy's is {origin}")
        # The log times its checkpoints with the key that it signs them with.
        timed = [Key.of(key.name, Key.COSIGNATURE, key.public) for key, _, _ in self.logs]
        known = {(key.name, key.id): key for key in [*(log[0] for log in self.logs), *timed, *self.witnesses]}
        signed, time = {}, None
        for name, identity, signature in checkpoint.signatures:
            key = known.get((name, identity))
            if key is None:
                continue
            when = key.verify(checkpoint.text, signature)
            if when is None:
                raise Refused(UNTRUSTED, f"a signature of {name} does not verify")
            signed[key] = True
            if key in timed and time is None:
                time = when
        if not any(key in signed and first <= checkpoint.size <= last for key, first, last in self.logs):
            raise Refused(UNTRUSTED, f"no log key of the policy for size {checkpoint.size} signed the checkpoint")
        witnessed = sum(key in signed for key in self.witnesses)
        if witnessed < self.quorum:
            raise Refused(UNTRUSTED, f"{witnessed} witnesses cosigned, the policy asks for {self.quorum}")
        return Signed(list(signed), time)


# The proof of one event


def verify_proof(proof, policy, data=None):
    """The lines to print for a proof that holds, of the event whose header is its extra data."""
    proof = Proof.parse(proof)
    checkpoint, index = proof.checkpoint, proof.index
    event = Header.parse(proof.header, index)
    signed = policy.check(checkpoint)
    if proof.root(leaf_of(proof.header)) != checkpoint.root:
        raise Refused(TAMPERED, f"event {index}: the proof does not lead to the checkpoint's root")
    if data is not None and (problem := event.contradicts(data)):
        raise Refused(TAMPERED, f"event {index}: {problem}")
    lines = [*signed.lines(checkpoint), f"event {index}", f"stream {event.stream}", f"revision {event.revision}"]
    return "\n".join(lines)


@dataclass
class Proof:
    header: bytes
    index: int
    path: list
    note: bytes
    checkpoint: Checkpoint

    @classmethod
    def parse(cls, proof):
        if len(proof) > PROOF_LIMIT:
            raise malformed("the proof is too long")
        head, blank, note = proof.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise malformed("the proof has letters where base64 belongs") from None
        if not blank or lines[0] != "c2sp.org/tlog-proof@v1":
            raise malformed("not a c2sp.org/tlog-proof@v1")
        extra, index = "extra ", "index "
        if len(lines) < 3 or not lines[1].startswith(extra) or not lines[2].startswith(index):
            raise malformed("the proof does not hold the event's header and its index")
        header = decode(lines[1].removeprefix(extra), "the proof's header")
        index = decimal(lines[2].removeprefix(index), "the proof's index")
        path = [decode(line, "a hash of the proof", HASH_SIZE) for line in lines[3:]]
        if len(header) > EXTRA_LIMIT or len(path) > 63:
            raise malformed("the proof has more in it than a proof may")
        return cls(header, index, path, note, Checkpoint.parse(note))

    def root(self, leaf):
        """The root that the proof leads to from this leaf."""
        return root_by_inclusion(leaf_hash(leaf), self.index, self.checkpoint.size, self.path)


# The command


class Arguments(argparse.ArgumentParser):
    """Wrong arguments must not look like a tampered log, whose code argparse would use."""

    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(UNCHECKED, f"{self.prog}: {message}\n")


def read(path, limit=MEMBER_LIMIT):
    with open(path, "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise malformed(f"{path} is larger than {limit} bytes")
    return content


class Unusable(Exception):
    """The auditor's own file is wrong, which says nothing about the log."""


def own_policy(path):
    try:
        return Policy.parse(read(path))
    except Refused as refused:
        raise Unusable(f"{path}: {refused.reason}") from None


def main(arguments):
    parser = Arguments(prog="verify.py", description="Verifies a Shiplog bundle or proof offline.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    bundle = commands.add_parser("bundle", help="a whole log, or one sealed release")
    bundle.add_argument("bundle")
    bundle.add_argument("--policy", required=True)
    bundle.add_argument("--since", help="a checkpoint that was kept")
    bundle.add_argument("--since-policy", help="its policy, where the log had another name")
    proof = commands.add_parser("proof", help="one event, by its .tlog-proof")
    proof.add_argument("proof")
    proof.add_argument("--policy", required=True)
    proof.add_argument("--data", help="the event's data as stored")
    chosen = parser.parse_args(arguments)
    try:
        policy = own_policy(chosen.policy)
        if chosen.command == "bundle":
            since = None if chosen.since is None else read(chosen.since, NOTE_LIMIT)
            with open(chosen.bundle, "rb") as file:
                judge = None if chosen.since_policy is None else own_policy(chosen.since_policy)
                print(f"ok\n{verify_bundle(file, policy, since, judge)}")
        else:
            data = None if chosen.data is None else read(chosen.data)
            print(f"ok\n{verify_proof(read(chosen.proof), policy, data)}")
    except Refused as refused:
        # Names in the file must not write more lines than this one.
        reason = "".join(letter if letter.isprintable() else "?" for letter in refused.reason)
        print(f"{WORDS[refused.code]}: {reason}")
        return refused.code
    except (OSError, Unusable) as error:
        print(f"verify.py: {error}", file=sys.stderr)
        return UNCHECKED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
