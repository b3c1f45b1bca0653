"""What the second verifier accepts and refuses: published values, and bundles that are changed in every way."""

import base64
import contextlib
import hashlib
import io
import json
import pathlib
import struct
import tempfile
import unittest

import verify
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN = "log.example/team"
SINCE = 100

# The reference leaves of Certificate Transparency and the roots of the trees of the first 1 to 8 of them.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

# The header whose bytes are fixed for ever, and the SHA-256 of its leaf without the prefix of the tree.
GOLDEN = (
    b'{"id":"0190a6e2-7c1b-7d3e-8f42-5b6c7d8e9f01","stream":"release-default.checkout-2.4.0",'
    b'"revision":7,"type":"item.attested","schema":1,"recorded_at":"2026-03-01T09:30:00.123456789Z",'
    b'"occurred_at":"2026-03-01T09:29:58Z","actor":{"id":"https://id.example#4711","kind":"person",'
    b'"roles":["release_manager","dba"]},"auth":{"issuer":"https://id.example","kid":"k1",'
    b'"jti_sha256":"00ff","amr":["mfa"],"auth_time":"2026-03-01T09:00:00Z"},'
    b'"request":{"operation":"attest_item","idempotency_key":"a-1","fingerprint":"ab12","index":0,'
    b'"count":2},"causation":"0190a6e2-7c1b-7d3e-8f42-5b6c7d8e9f00","correlation":"c-9",'
    b'"trace":"4bf92f3577b34da6a3ce929d0e0e4736","data":{"length":2,'
    b'"sha256":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}}'
)
GOLDEN_LEAF = "cd851a3a4fc431dad3be6011773f7424d93ea17651af23b08afa383efedfce0d"


class Signer:
    def __init__(self, name, seed, algorithm=verify.Key.ED25519):
        self.private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())
        public = self.private.public_key().public_bytes_raw()
        self.key = verify.Key.of(name, algorithm, public)

    def sign(self, text, time=1_772_357_400):
        if self.key.algorithm == verify.Key.ED25519:
            signature = self.private.sign(text)
        else:
            signed = b"cosignature/v1\ntime %d\n" % time + text
            signature = struct.pack(">Q", time) + self.private.sign(signed)
        return self.line(signature)

    def line(self, signature):
        return f"\u2014 {self.key.name} {base64.b64encode(self.key.id + signature).decode()}\n".encode()


LOG = Signer(ORIGIN, "log")
TIMED = Signer(ORIGIN, "log", verify.Key.COSIGNATURE)
STRANGER = Signer(ORIGIN, "stranger")
WITNESSES = [Signer(f"witness.example/{n}", f"witness {n}", verify.Key.COSIGNATURE) for n in range(3)]
POLICY = f"log {LOG.key}\n"


def event(number, stream=None, revision=None, **changes):
    """Header and data of an event, by default one of three streams that take turns."""
    data = changes.pop("data", json.dumps({"number": number, "salt": f"{number:032x}"}).encode())
    header = {
        "id": f"0190a6e2-7c1b-7d3e-8f42-{number:012x}",
        "stream": f"release-default.checkout-{number % 3}.0.0" if stream is None else stream,
        "revision": number // 3 if revision is None else revision,
        "type": "item.attested",
        "schema": 1,
        "recorded_at": f"2026-03-01T09:{number // 60 % 60:02}:{number % 60:02}.5Z",
        "occurred_at": "2026-03-01T09:00:00Z",
        "actor": {"id": "https://id.example#4711", "kind": "person", "roles": ["qa"]},
        "request": {"operation": "attest_item", "fingerprint": "ab12", "index": 0, "count": 1},
        "data": {"length": len(data), "sha256": hashlib.sha256(data).hexdigest()},
    }
    header.update(changes)
    return json.dumps(header, separators=(",", ":")).encode(), data


def log(size):
    return [event(number) for number in range(size)]


def root(events):
    """By the recursive definition of RFC 6962, which the verifier does not use."""
    hashes = [hashlib.sha256(b"\0" + verify.leaf_of(header)).digest() for header, _ in events]

    def tree(hashes):
        if len(hashes) < 2:
            return hashes[0] if hashes else hashlib.sha256(b"").digest()
        half = 1
        while half * 2 < len(hashes):
            half *= 2
        return hashlib.sha256(b"\1" + tree(hashes[:half]) + tree(hashes[half:])).digest()

    return tree(hashes)


def checkpoint(events, signers=(LOG, TIMED), origin=ORIGIN, **changes):
    size = changes.get("size", len(events))
    text = f"{origin}\n{size}\n{base64.b64encode(changes.get('root') or root(events)).decode()}\n".encode()
    return text + b"\n" + b"".join(signer.sign(text) for signer in signers)


def manifest(size, **changes):
    found = {"format": "shiplog.bundle.v1", "origin": ORIGIN, "size": size, "keys": [str(LOG.key), str(TIMED.key)]}
    return json.dumps({**found, **changes}, separators=(",", ":")).encode()


def members(events, **changes):
    """Name and content of each member, in order."""
    size = len(events)
    found = [("manifest.json", manifest(size)), ("checkpoint", checkpoint(events, **changes))]
    level = [hashlib.sha256(b"\0" + verify.leaf_of(header)).digest() for header, _ in events]
    for number, path in enumerate(paths(size)):
        part = events[number * 256 : number * 256 + 256]
        leaves = [verify.leaf_of(header) for header, _ in part]
        found.append((f"tile/entries/{path}", b"".join(struct.pack(">H", len(leaf)) + leaf for leaf in leaves)))
        found.append((f"data/{path}", b"".join(struct.pack(">I", len(data)) + data for _, data in part)))
    height = 0
    while level:
        for number, path in enumerate(paths(len(level))):
            found.append((f"tile/{height}/{path}", b"".join(level[number * 256 : number * 256 + 256])))
        for _ in range(8):
            level = [hashlib.sha256(b"\1" + left + right).digest() for left, right in zip(level[::2], level[1::2])]
        height += 1
    return found


def paths(count):
    for number in range(0, count, 256):
        width = min(256, count - number)
        yield f"{number // 256:03}" + ("" if width == 256 else f".p/{width}")


def ustar(found, end=2 * verify.BLOCK, **changes):
    archive = []
    for name, content in found:
        archive += [entry(name, len(content), **changes), content, bytes(-len(content) % verify.BLOCK)]
    return b"".join([*archive, bytes(end)])


def entry(name, size, mode=b"0000644\0", owner=b"0000000\0", mtime=b"00000000000\0", kind=b"0", magic=b"ustar\x0000"):
    fields = [name.encode(), mode, owner, b"0000000\0", b"%011o\0" % size, mtime, b" " * 8, kind, b"", magic]
    block = struct.pack("100s8s8s8s12s12s8sc100s8s", *fields).ljust(verify.BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def change(found, name, content):
    """The members with another content in one of them; a function is given what is there."""
    assert any(name == other for other, _ in found), name
    return [(n, (content(c) if callable(content) else content) if n == name else c) for n, c in found]


def flip(at):
    def flipped(content):
        changed = bytearray(content)
        changed[at] ^= 1
        return bytes(changed)

    return flipped


class Published(unittest.TestCase):
    def test_the_roots_of_the_reference_leaves(self):
        tree = verify.Tree()
        self.assertEqual(tree.root().hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        for leaf, expected in zip(LEAVES, ROOTS):
            tree.push(verify.leaf_hash(bytes.fromhex(leaf)))
            self.assertEqual(tree.root().hex(), expected)

    def test_the_inclusion_of_the_sixth_reference_leaf(self):
        path = [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
        leaf = verify.leaf_hash(bytes.fromhex(LEAVES[5]))
        path = [bytes.fromhex(step) for step in path]
        self.assertEqual(verify.root_by_inclusion(leaf, 5, 8, path).hex(), ROOTS[7])
        for index, size, steps in [(5, 8, path[:2]), (5, 8, [*path, leaf]), (8, 8, path), (5, 5, path)]:
            self.assertIsNone(verify.root_by_inclusion(leaf, index, size, steps))
        self.assertNotEqual(verify.root_by_inclusion(leaf, 4, 8, path).hex(), ROOTS[7])

    def test_the_note_of_the_go_package(self):
        key = verify.Key.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
        note = (
            "If you think cryptography is the answer to your problem,\n"
            "then you don't know what your problem is.\n\n"
            "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6Ryy"
            "BwJnAM=\n"
        )
        text, [(name, identity, signature)] = verify.parse_note(note.encode())
        self.assertEqual((name, identity), (key.name, key.id))
        self.assertTrue(key.verify(text, signature))
        self.assertIsNone(key.verify(text + b"\n", signature))

    def test_the_tiles_of_the_specification(self):
        self.assertEqual(verify.tile_path(1_234_067, 256), "x001/x234/067")
        self.assertEqual(list(verify.bundles(70_000))[-1], (69_888, 112, "273.p/112"))
        self.assertEqual(list(verify.bundles(273))[-1], (256, 17, "001.p/17"))
        self.assertEqual(list(verify.bundles(1)), [(0, 1, "000.p/1")])
        self.assertEqual(list(verify.bundles(256)), [(0, 256, "000")])

    def test_the_golden_header_and_its_leaf(self):
        header = verify.Header.parse(GOLDEN, 0)
        self.assertEqual((header.stream, header.revision), ("release-default.checkout-2.4.0", 7))
        self.assertIsNone(header.contradicts(b"{}"))
        leaf = verify.leaf_of(GOLDEN)
        self.assertEqual(hashlib.sha256(leaf).hexdigest(), GOLDEN_LEAF)
        self.assertEqual(verify.header_of(leaf, 0), GOLDEN)


class Case(unittest.TestCase):
    def judged(self, archive, policy=POLICY, since=None):
        try:
            trusted = verify.Policy.parse(policy.encode())
            return 0, str(verify.verify_bundle(io.BytesIO(archive), trusted, since))
        except verify.Refused as refused:
            return refused.code, refused.reason

    def check(self, found, code, reason, **given):
        """The single place that says how a bundle is judged."""
        archive = found if isinstance(found, bytes) else ustar(found)
        judged = self.judged(archive, **given)
        self.assertEqual(judged[0], code, judged)
        self.assertIn(reason, judged[1])


class Good(Case):
    def test_given_a_log_when_it_is_as_signed_then_ok(self):
        events = log(300)
        self.check(members(events), 0, f"origin {ORIGIN}\nsize 300\nroot {base64.b64encode(root(events)).decode()}\n")
        self.check(members(events), 0, f"key {LOG.key}\nkey {TIMED.key}\ntime 2026-03-01T09:30:00Z\nstreams 3")

    def test_given_trees_of_every_shape_when_they_are_as_signed_then_ok(self):
        events = [event(number, "one", number, recorded_at="2026-03-01T09:00:00Z") for number in range(770)]
        for size in [*range(5), 255, 256, 257, 511, 512, 513, 768, 770]:
            self.check(members(events[:size]), 0, f"size {size}")

    def test_given_a_tree_of_three_levels_when_it_is_as_signed_then_ok(self):
        # Streams of one event each: the header differs in nothing else, which makes so many quickly.
        header, data = event(0, "s", 0)
        events = [(header.replace(b'"s"', b'"s-%d"' % number), data) for number in range(65_537)]
        found = members(events)
        self.assertEqual([name for name, _ in found][-2:], ["tile/1/000", "tile/2/000.p/1"])
        self.check(found, 0, "streams 65537")
        self.check(change(found, "tile/2/000.p/1", flip(0)), 2, "event 0: its hash in tile/2/000.p/1")

    def test_given_a_kept_checkpoint_when_the_log_grew_from_it_then_ok(self):
        events = log(300)
        for size in (0, 1, SINCE, 256, 300):
            self.check(members(events), 0, "size 300", since=checkpoint(events[:size]))

    def test_given_unknown_signatures_when_a_trusted_one_is_there_then_ok(self):
        self.check(members(log(3), signers=(STRANGER, *WITNESSES, LOG)), 0, "time none")

    def test_given_as_many_signatures_as_the_specification_asks_for_then_ok(self):
        events = log(3)
        large = Signer("large.example", "large").line(bytes(5000))
        self.check(change(members(events), "checkpoint", checkpoint(events) + large * 14), 0, "size 3")

    def test_given_data_that_are_no_json_when_they_are_as_hashed_then_ok(self):
        self.check(members([event(0, data=b""), event(1, revision=0, data=b"\0" * verify.DATA_LIMIT)]), 0, "size 2")


class Malformed(Case):
    def test_given_members_when_one_is_missing_twice_out_of_order_or_unknown_then_malformed(self):
        found = members(log(300))
        for at, (name, _) in enumerate(found):
            self.check(found[:at] + found[at + 1 :], 5, name)
            self.check(found[: at + 1] + found[at:], 5, name)
            self.check(found[:at] + [("extra", b"")] + found[at:], 5, "extra")
        for at in range(len(found) - 1):
            swapped = [*found[:at], found[at + 1], found[at], *found[at + 2 :]]
            self.check(swapped, 5, "belongs")
        self.check([*found, ("extra", b"")], 5, "'extra' does not belong")
        self.check([], 5, "manifest.json is missing")

    def test_given_a_partial_width_when_the_size_does_not_have_it_then_malformed(self):
        found = members(log(300))
        for name in ("tile/entries/001.p/44", "data/001.p/44", "tile/0/001.p/44", "tile/1/000.p/1"):
            for width in ("43", "45", "044", "256", "0"):
                other = [(n.replace(name, name.rpartition("/")[0] + "/" + width), c) for n, c in found]
                self.check(other, 5, "stands where")

    def test_given_an_archive_when_it_is_cut_anywhere_then_malformed(self):
        archive = ustar(members(log(3)))
        for length in range(0, len(archive), 256):
            self.check(archive[:length], 5, "")
        self.check(archive[:-1], 5, "no end")

    def test_given_an_archive_when_something_follows_then_malformed(self):
        archive = ustar(members(log(3)))
        for more in (b"\0", bytes(511) + b"x", bytes(verify.BLOCK), archive):
            self.check(archive + more, 5, "follows")

    def test_given_an_archive_when_it_is_not_as_written_then_malformed(self):
        found = members(log(3))
        for changes in (
            {"mode": b"0000755\0"},
            {"owner": b"0001750\0"},
            {"mtime": b"00000000001\0"},
            {"kind": b"5"},
            {"kind": b"2"},
            {"kind": b"x"},
            {"kind": b"\0"},
            {"magic": b"ustar  \0"},
            {"magic": bytes(8)},
        ):
            self.check(ustar(found, **changes), 5, "")
        archive = bytearray(ustar(found))
        archive[148:156] = b"000000\0 "
        self.check(bytes(archive), 5, "checksum")
        # The padding of the manifest.
        archive = bytearray(ustar(found))
        archive[1023] = 1
        self.check(bytes(archive), 5, "padded")
        self.check(b"\x1f\x8b" + bytes(1022), 5, "")

    def test_given_a_member_when_it_is_larger_than_the_limit_then_malformed_before_it_is_read(self):
        found = members(log(3))
        large = entry("data/000.p/3", verify.MEMBER_LIMIT + 1)
        self.check(ustar(found[:3], end=0) + large, 5, "data/000.p/3 is 67108865 bytes")

    def test_given_a_manifest_when_it_is_not_as_specified_then_malformed(self):
        found = members(log(3))
        right = dict(found)["manifest.json"].decode()
        for wrong in (
            "",
            "{}",
            "[]",
            right + "\n",
            right.replace('"size":3', '"size":3.0'),
            right.replace('"size":3', '"size":-3'),
            right.replace('"size":3', '"size":03'),
            right.replace('"size":3', '"size":true'),
            right.replace('"size":3', '"size":null'),
            right.replace('"size":3', '"size":3,"size":3'),
            right.replace('"size":3', '"size": 3'),
            right.replace('"size":3', '"size":18446744073709551616'),
            right.replace('"size":3,', ""),
            right.replace('"size":3', '"size":3,"note":"x"'),
            right.replace("bundle.v1", "bundle.v2"),
            right.replace(ORIGIN, "other.example", 1),
            right.replace(ORIGIN, "log.example\\u002fteam", 1),
            right.replace(LOG.key.id.hex(), "00000000"),
        ):
            self.assertNotEqual(wrong, right)
            self.check(change(found, "manifest.json", wrong.encode()), 5, "manifest" if "0000" not in wrong else "id")
        reordered = json.dumps(dict(reversed(json.loads(right).items())), separators=(",", ":"))
        self.check(change(found, "manifest.json", reordered.encode()), 5, "in order")

    def test_given_a_compromised_key_when_the_manifest_names_it_then_it_is_told_and_changes_no_verdict(self):
        found, named = members(log(3)), [{"key": str(LOG.key), "from_size": 2}]
        told = change(found, "manifest.json", manifest(3, compromised=named))
        self.check(told, 0, f"streams 3\ncompromised {LOG.key} from 2")
        for wrong in ([], [{"from_size": 2, "key": str(LOG.key)}], [{"key": str(LOG.key)}], [{"key": "x", "from_size": 2}]):
            self.check(change(found, "manifest.json", manifest(3, compromised=wrong)), 5, "")

    def test_given_fewer_events_signed_than_the_manifest_says_then_malformed(self):
        events = log(3)
        found = change(members(events), "checkpoint", checkpoint(events[:2]))
        self.check(found, 5, "the manifest says 3 events, the checkpoint 2")

    def test_given_a_checkpoint_when_it_is_not_as_specified_then_malformed(self):
        events = log(3)
        found = members(events)
        right = checkpoint(events)
        text, signatures = right.split(b"\n\n")
        encoded = base64.b64encode(root(events))
        for wrong in (
            b"",
            text,
            text + b"\n\n",
            right[:-1],
            right + b"\n",
            b"\n" + signatures,
            right.replace(b"\n3\n", b"\n03\n"),
            right.replace(b"\n3\n", b"\n+3\n"),
            right.replace(b"\n3\n", b"\n3 \n"),
            right.replace(b"\n3\n", b"\n\n3\n"),
            right.replace(b"\n3\n", b"\r\n3\n"),
            right.replace(b"\n3\n", "\n\u0663\n".encode()),
            right.replace(encoded, encoded[:-1]),
            right.replace(encoded, base64.b64encode(bytes(31))),
            # Bits that do not belong to the last byte.
            right.replace(encoded, encoded[:-2] + bytes([encoded[-2] + 1]) + b"="),
            right.replace(encoded + b"\n", b""),
            right.replace("\u2014".encode(), b"-"),
            right.replace(b" " + ORIGIN.encode() + b" ", b" log+x "),
            right.replace(b" " + ORIGIN.encode() + b" ", b"  "),
            right.replace(b" " + ORIGIN.encode() + b" ", " log\u00a0x ".encode()),
            text + b"\n\n" + "\u2014 x AAAAAA==\n".encode(),
            text + b"\n\n" + "\u2014 x AAAAAAA\n".encode(),
            b"\xff" + right,
            right + signatures * (verify.NOTE_LIMIT // len(signatures)),
        ):
            self.assertNotEqual(wrong, right)
            self.check(change(found, "checkpoint", wrong), 5, "")
            self.check(found, 5, "", since=wrong)

    def test_given_records_when_their_lengths_are_wrong_then_malformed(self):
        found = members(log(3))
        for name in ("tile/entries/000.p/3", "data/000.p/3"):
            for content in (lambda c: c[:-1], lambda c: c + b"\0", lambda c: b"", flip(1), lambda c: c[:1]):
                self.check(change(found, name, content), 5, "event")
        for content in (lambda c: c[:-1], lambda c: c + bytes(32), lambda c: b""):
            self.check(change(found, "tile/0/000.p/3", content), 5, "hashes")

    def test_given_data_when_they_are_larger_than_the_limit_then_malformed(self):
        self.check(members([event(0, data=bytes(verify.DATA_LIMIT + 1))]), 5, "event 0: 262145 bytes of data")

    def test_given_an_entry_when_it_is_no_leaf_then_malformed(self):
        found = members(log(3))
        # After the length of the entry: the prefix, and the length of the header.
        for at, reason in ((2, "is not a shiplog.leaf.v1"), (17, "is not a shiplog.leaf.v1"), (21, "another length")):
            self.check(change(found, "tile/entries/000.p/3", flip(at)), 5, reason)

    def test_given_a_header_when_it_is_larger_than_the_limit_then_malformed(self):
        self.check(members([event(0, trace="x" * verify.HEADER_LIMIT)]), 5, "event 0: its header is")

    def test_given_a_header_when_it_is_not_strict_then_malformed_though_signed(self):
        golden = GOLDEN.decode()
        for right, wrong in (
            ('"schema":1', '"schema":1,"schema":1'),
            ('"schema":1', '"schema":1,"sch\\u0065ma":2'),
            ('"kid":"k1"', '"kid":"k1","kid":"k2"'),
            ('{"id":"0190', '{"note":"x","id":"0190'),
            ('"data":{', '"data":{"md5":"x",'),
            ('"actor":{', '"actor":{"name":"x",'),
            ('"request":{', '"request":{"path":"x",'),
            ('"auth":{', '"auth":{"sub":"x",'),
            ('"schema":1,', ""),
            ('"kid":"k1",', ""),
            ('"roles":["release_manager","dba"]', '"via":"x"'),
            ('"revision":7', '"revision":7.0'),
            ('"revision":7', '"revision":7e0'),
            ('"revision":7', '"revision":-7'),
            ('"revision":7', '"revision":-0'),
            ('"revision":7', '"revision":07'),
            ('"revision":7', '"revision":"7"'),
            ('"revision":7', '"revision":true'),
            ('"revision":7', '"revision":NaN'),
            ('"revision":7', '"revision":18446744073709551616'),
            ('"revision":7', '"revision":1' + "0" * 5000),
            ('"schema":1', '"schema":4294967296'),
            ('"count":2', '"count":4294967296'),
            ('"count":2', '"count":2,"entry":null'),
            ('"length":2', '"length":2.0'),
            ('"correlation":"c-9"', '"correlation":null'),
            ('"correlation":"c-9"', '"correlation":"\\ud800"'),
            ('"correlation":"c-9"', '"correlation":"a\nb"'),
            ('"correlation":"c-9"', '"correlation":' + "[" * 8000 + "]" * 8000),
            ('["mfa"]', '["mfa",1]'),
            ('["mfa"]', '"mfa"'),
            ('["mfa"]', "null"),
            ("release-default", "Release-default"),
            ("release-default", "1release"),
            ("release-default", "r" * 200),
            ("0190a6e2-7c1b-7d3e-8f42-5b6c7d8e9f01", "0190A6E2-7c1b-7d3e-8f42-5b6c7d8e9f01"),
            ("0190a6e2-7c1b-7d3e-8f42-5b6c7d8e9f00", "0190a6e27c1b7d3e8f425b6c7d8e9f00"),
            ("09:30:00.123456789Z", "09:30:00.1234567890Z"),
            ("09:30:00.123456789Z", "09:30:00+01:00"),
            ("09:30:00.123456789Z", "09:30:61Z"),
            ("2026-03-01T09:29:58Z", "2026-02-30T09:29:58Z"),
            ("2026-03-01T09:00:00Z", "2026-03-01 09:00:00Z"),
            ('{"id":"0190', '[{"id":"0190'),
            ('ff8a"}}', 'ff8a"}'),
            ('ff8a"}}', 'ff8a"}}{}'),
            ('ff8a"}}', 'ff8a"}}\0'),
            ('{"id":"0190', '\ufeff{"id":"0190'),
            ("#4711", "#\udc80"),
        ):
            self.assertIn(right, golden)
            header = golden.replace(right, wrong, 1).encode("utf-8", "surrogateescape")
            with self.subTest(wrong=wrong[:60]):
                self.check(members([(header, b"{}")]), 5, "event 0: its header")
        # And the header that they are made from is only at the wrong revision.
        self.check(members([(GOLDEN, b"{}")]), 2, "event 0: revision 7")


class Untrusted(Case):
    def test_given_a_checkpoint_when_no_trusted_log_key_signed_it_then_untrusted(self):
        for signers in ((STRANGER,), (TIMED,), tuple(WITNESSES)):
            self.check(members(log(3), signers=signers), 4, "no log key")

    def test_given_a_signature_of_a_known_key_when_it_is_forged_then_untrusted(self):
        events = log(3)
        found = members(events)
        text = checkpoint(events, ()).removesuffix(b"\n")
        policy = POLICY + "".join(f"witness {witness.key}\n" for witness in WITNESSES)
        signers = (LOG, TIMED, *WITNESSES)
        for known in signers:
            for length in (1, 8, 63, 64, 65, 71, 72, 73):
                forged = text + b"\n" + b"".join(signer.sign(text) for signer in signers if signer is not known)
                forged += known.line(bytes(length))
                self.check(change(found, "checkpoint", forged), 4, "does not verify", policy=policy)

    def test_given_a_checkpoint_when_its_text_changed_then_untrusted(self):
        events = log(3)
        right = checkpoint(events)
        extended = right.replace(b"\n\n", b"\nmore\n\n")
        self.check(change(members(events), "checkpoint", extended), 4, "does not verify")

    def test_given_a_cosignature_when_its_time_is_beyond_the_specification_then_untrusted(self):
        events = log(3)
        text = checkpoint(events, ()).removesuffix(b"\n")
        late = text + b"\n" + LOG.sign(text) + TIMED.sign(text, 1 << 63)
        self.check(change(members(events), "checkpoint", late), 4, "does not verify")

    def test_given_another_log_when_it_is_signed_with_the_key_then_untrusted(self):
        events = log(3)
        found = change(members(events, origin="other.example"), "manifest.json", manifest(3, origin="other.example"))
        self.check(found, 4, "the log is other.example")

    def test_given_a_key_for_some_sizes_when_the_log_is_of_another_then_untrusted(self):
        found = members(log(10))
        other = Signer(ORIGIN, "rotated")
        for ranges, code in (
            ("from 10", 0),
            ("to 10", 0),
            ("from 10 to 10", 0),
            ("from 11", 4),
            ("to 9", 4),
            ("from 3 to 9", 4),
        ):
            self.check(found, code, "", policy=f"log {other.key}\nlog {LOG.key} {ranges}\n")

    def test_given_a_quorum_when_fewer_witnesses_cosigned_then_untrusted(self):
        events = log(3)
        policy = POLICY + "".join(f"witness {witness.key}\n" for witness in WITNESSES)
        for count in range(4):
            found = members(events, signers=(LOG, *WITNESSES[:count]))
            for quorum in range(4):
                asked = policy + f"quorum {quorum}\n"
                self.check(found, 0 if count >= quorum else 4, "" if count >= quorum else "cosigned", policy=asked)
        twice = members(events, signers=(LOG, WITNESSES[0], WITNESSES[0]))
        self.check(twice, 4, "1 witnesses cosigned", policy=policy + "quorum 2")

    def test_given_a_kept_checkpoint_when_it_is_not_trusted_then_untrusted(self):
        events = log(300)
        for kept in (
            checkpoint(events[:SINCE], (STRANGER,)),
            checkpoint(events[:SINCE], origin="other.example"),
        ):
            self.check(members(events), 4, "", since=kept)


class Forked(Case):
    def test_given_a_kept_checkpoint_when_the_log_is_smaller_then_forked(self):
        events = log(300)
        self.check(members(events[:299]), 3, "300 events, the bundle 299", since=checkpoint(events))
        self.check(members([]), 3, "300 events, the bundle 0", since=checkpoint(events))

    def test_given_a_kept_checkpoint_when_the_log_was_written_again_and_signed_then_forked(self):
        events = log(300)
        fork = [*events[:50], event(50, type="item.waived"), *events[51:]]
        self.check(members(fork), 0, "size 300")
        self.check(members(fork), 3, f"the first {SINCE} events", since=checkpoint(events[:SINCE]))
        self.check(members(fork), 3, "the first 300 events", since=checkpoint(events))
        self.check(members(fork), 0, "size 300", since=checkpoint(events[:50]))
        self.check(members(fork), 5, "the checkpoint of an empty log", since=checkpoint([], root=bytes(32)))

    def test_given_a_checkpoint_of_more_events_then_truncated(self):
        events = log(300)
        found = change(members(events[:256]), "checkpoint", checkpoint(events))
        self.check(found, 3, "the bundle holds 256 of the checkpoint's 300 events")


class Tampered(Case):
    def test_given_an_entry_when_a_byte_is_changed_then_its_event_is_named(self):
        events = log(300)
        for index in (0, 1, 255, 256, 299):
            changed = [*events]
            changed[index] = (events[index][0].replace(b"item.attested", b"item.refuted!"), events[index][1])
            found = dict(members(events))
            for name, content in members(changed):
                if name.startswith("tile/entries/"):
                    found[name] = content
            self.check(list(found.items()), 2, f"event {index}: its hash in tile/0/")

    def test_given_data_when_a_byte_is_changed_then_their_event_is_named(self):
        found = members(log(300))
        self.check(change(found, "data/000", flip(-1)), 2, "event 255: its data are not those of its header")
        self.check(change(found, "data/001.p/44", flip(4)), 2, "event 256: its data")

    def test_given_data_when_they_are_of_another_length_then_their_event_is_named(self):
        header, data = event(0)
        self.check(members([(header, data + b" ")]), 2, "event 0: 58 bytes of data, its header says 57")

    def test_given_a_tile_when_a_hash_is_changed_then_the_first_event_under_it_is_named(self):
        found = members(log(600))
        self.check(change(found, "tile/0/000", flip(32 * 7)), 2, "event 7: its hash in tile/0/000")
        self.check(change(found, "tile/0/002.p/88", flip(-1)), 2, "event 599: its hash in tile/0/002.p/88")
        self.check(change(found, "tile/1/000.p/2", flip(32)), 2, "event 256: its hash in tile/1/000.p/2")

    def test_given_two_events_when_they_are_swapped_then_the_first_is_named(self):
        events = log(300)
        swapped = [*events[:10], events[11], events[10], *events[12:]]
        found = dict(members(events))
        found.update({name: content for name, content in members(swapped) if name.startswith(("tile/entries", "data"))})
        self.check(list(found.items()), 2, "event 10: its hash in tile/0/000")

    def test_given_a_log_that_is_consistent_when_it_is_not_the_signed_one_then_tampered(self):
        events = log(300)
        fork = [*events[:299], event(299, type="item.waived")]
        self.check(change(members(fork), "checkpoint", checkpoint(events)), 2, "the root of the 300 events")
        self.check(members([], root=bytes(32)), 5, "the checkpoint of an empty log")

    def test_given_a_stream_when_its_revisions_are_not_dense_then_tampered_though_signed(self):
        for revisions, index in (((1,), 0), ((0, 2), 1), ((0, 0), 1), ((0, 1, 1), 2), ((1, 0), 0)):
            events = [event(number, "one", revision) for number, revision in enumerate(revisions)]
            self.check(members(events), 2, f"event {index}: revision {revisions[index]} of one")

    def test_given_a_stream_when_its_time_goes_back_then_tampered_though_signed(self):
        def times(*recorded):
            return [
                event(number, stream, revision, recorded_at=f"2026-03-01T{time}Z")
                for number, (stream, revision, time) in enumerate(recorded)
            ]

        back = times(("one", 0, "09:00:00.000000002"), ("one", 1, "09:00:00.000000001"))
        self.check(members(back), 2, "event 1: recorded before")
        shorter = times(("one", 0, "09:00:00.5"), ("one", 1, "09:00:00.25"))
        self.check(members(shorter), 2, "event 1: recorded before")
        same = times(("one", 0, "09:00:00.5"), ("one", 1, "09:00:00.500"), ("two", 0, "08:00:00"))
        self.check(members(same), 0, "streams 2")

    def test_given_several_changes_then_the_lowest_event_is_named(self):
        found = change(members(log(300)), "data/001.p/44", flip(-1))
        self.check(change(found, "tile/0/000", flip(32 * 7)), 2, "event 7:")


class Order(Case):
    """When several things are wrong: malformed, then untrusted, then forked, then tampered."""

    def test_the_higher_code_wins(self):
        events = log(300)
        tampered = change(members(events), "data/000", flip(-1))
        fork = [event(0, type="item.waived"), *events[1:]]
        self.check(tampered, 2, "event 255")
        self.check(tampered, 3, "the bundle 300", since=checkpoint(events, size=301))
        self.check(tampered, 3, "the first 300", since=checkpoint(fork))
        untrusted = change(tampered, "checkpoint", checkpoint(events, (STRANGER,)))
        self.check(untrusted, 4, "no log key", since=checkpoint(events, size=301))
        self.check(ustar(untrusted, end=0), 5, "no end", since=checkpoint(events, size=301))


class AnyByte(Case):
    def test_given_a_bundle_when_any_byte_is_flipped_then_it_is_found(self):
        archive = ustar(members(log(2), signers=(LOG,)))
        policy = verify.Policy.parse(POLICY.encode())
        self.assertEqual(verify.verify_bundle(io.BytesIO(archive), policy).checkpoint.size, 2)
        for at in range(len(archive)):
            changed = bytearray(archive)
            changed[at] ^= 1 << at % 8
            with self.assertRaises(verify.Refused, msg=at):
                verify.verify_bundle(io.BytesIO(changed), policy)


class Policies(unittest.TestCase):
    def test_given_statements_comments_and_blank_lines_then_they_are_read(self):
        text = f"# trusted\n\n  log {LOG.key} from 1 to 9 # until rotated\r\nlog {STRANGER.key}\n"
        text += f"witness {WITNESSES[0].key}\nquorum 1\n"
        policy = verify.Policy.parse(text.encode())
        self.assertEqual(policy.logs, [(LOG.key, 1, 9), (STRANGER.key, 0, (1 << 64) - 1)])
        self.assertEqual((policy.witnesses, policy.quorum), ([WITNESSES[0].key], 1))

    def test_given_a_policy_when_it_is_not_as_specified_then_malformed(self):
        key = str(LOG.key)
        witness = str(WITNESSES[0].key)
        renamed = verify.Key.of("witness.example/other", verify.Key.COSIGNATURE, WITNESSES[0].key.public)
        for text in (
            "",
            f"witness {witness}\n",
            f"log {TIMED.key}\n",
            f"log {key}\nwitness {LOG.key}\n",
            f"log {key}\nlog {Signer('other.example', 'log').key}\n",
            f"log {key}\nwitness {witness}\nwitness {renamed}\n",
            f"log {key}\nwitness {witness}\nquorum 1\nquorum 1\n",
            f"log {key}\nwitness {witness}\nquorum 2\n",
            f"log {key}\nwitness {witness}\nquorum 01\n",
            f"log {key}\nwitness {witness}\nquorum -1\n",
            f"log {key}\nquorum\n",
            f"log {key}\ntrust me\n",
            f"log {key} from\n",
            f"log {key} from 2 to 1\n",
            f"log {key} to 2 from 1\n",
            f"log {key} from 1 2\n",
            f"log {key} x\n",
            f"log {key[:-1]}\n",
            f"log {key.replace(LOG.key.id.hex(), '00000000')}\n",
            f"log {key.replace(LOG.key.id.hex(), LOG.key.id.hex().upper())}\n",
            "log x+y\n",
            f"log {key}\n\udcff",
        ):
            with self.assertRaises(verify.Refused, msg=text) as refused:
                verify.Policy.parse(text.encode("utf-8", "surrogateescape"))
            self.assertEqual(refused.exception.code, 5)


class Proofs(unittest.TestCase):
    def setUp(self):
        self.events = log(3)
        first, second, third = (verify.leaf_hash(verify.leaf_of(header)) for header, _ in self.events)
        self.path = [first, third]
        assert verify.node_hash(verify.node_hash(first, second), third) == root(self.events)

    def proof(self, header=None, index="1", path=None, note=None):
        lines = ["c2sp.org/tlog-proof@v1", f"extra {base64.b64encode(header or self.events[1][0]).decode()}"]
        lines += [f"index {index}", *(base64.b64encode(step).decode() for step in path or self.path)]
        return "\n".join(lines).encode() + b"\n\n" + (note or checkpoint(self.events))

    def check(self, proof, code, reason, data=None, policy=POLICY):
        try:
            judged = 0, verify.verify_proof(proof, verify.Policy.parse(policy.encode()), data)
        except verify.Refused as refused:
            judged = refused.code, refused.reason
        self.assertEqual(judged[0], code, judged)
        self.assertIn(reason, judged[1])

    def test_given_a_proof_of_an_event_then_ok(self):
        self.check(self.proof(), 0, "event 1\nstream release-default.checkout-1.0.0\nrevision 0")
        self.check(self.proof(), 0, "event 1", data=self.events[1][1])

    def test_given_a_proof_when_it_is_of_something_else_then_tampered(self):
        self.check(self.proof(), 2, "event 1: its data", data=self.events[1][1][:-1] + b"x")
        self.check(self.proof(), 2, "event 1: 1 bytes of data", data=b"x")
        self.check(self.proof(header=self.events[2][0]), 2, "does not lead")
        self.check(self.proof(index="0"), 2, "does not lead")
        self.check(self.proof(index="3"), 2, "does not lead")
        self.check(self.proof(path=self.path[:1]), 2, "does not lead")
        self.check(self.proof(path=[*self.path, bytes(32)]), 2, "does not lead")
        self.check(self.proof(path=self.path[::-1]), 2, "does not lead")

    def test_given_a_proof_when_its_checkpoint_is_not_trusted_then_untrusted(self):
        self.check(self.proof(note=checkpoint(self.events, (STRANGER,))), 4, "no log key")
        self.check(self.proof(), 4, "0 witnesses", policy=f"{POLICY}witness {WITNESSES[0].key}\nquorum 1")

    def test_given_a_proof_when_it_is_not_as_specified_then_malformed(self):
        right = self.proof()
        for wrong in (
            b"",
            right.replace(b"@v1", b"@v2"),
            right.replace(b"extra ", b"extra  "),
            right.replace(b"extra ", b"Extra "),
            b"\n".join(line for line in right.split(b"\n") if not line.startswith(b"extra")),
            right.replace(b"index 1", b"index 01"),
            right.replace(b"index 1", b"index  1"),
            right.replace(b"index 1", b"index 1\r"),
            right.replace(b"index 1\n", b""),
            self.proof(path=[bytes(31)]),
            self.proof(path=[bytes(32)] * 65),
            self.proof(header=b"{}"),
            right.replace(b"\n\n", b"\n", 1),
            right[:-1],
        ):
            self.assertNotEqual(wrong, right)
            self.check(wrong, 5, "")


class Command(unittest.TestCase):
    def run_with(self, *arguments, **files):
        with tempfile.TemporaryDirectory() as work:
            for name, content in files.items():
                pathlib.Path(work, name).write_bytes(content)
            named = [str(pathlib.Path(work, word[1:])) if word.startswith("@") else word for word in arguments]
            output = io.StringIO()
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                try:
                    code = verify.main(named)
                except SystemExit as exit:
                    code = exit.code
            return code, output.getvalue()

    def test_given_files_then_the_code_is_what_is_found_and_the_reason_one_line(self):
        events = log(3)
        good = ustar(members(events))
        files = {"policy": POLICY.encode(), "good": good, "since": checkpoint(events[:2]), "bad": good[:-1]}
        code, output = self.run_with("bundle", "@good", "--policy", "@policy", "--since", "@since", **files)
        self.assertEqual((code, output.split("\n")[0]), (0, "ok"))
        code, output = self.run_with("bundle", "@bad", "--policy", "@policy", **files)
        self.assertEqual((code, output), (5, "malformed: the archive has no end\n"))
        files["since"] = checkpoint(events, size=4)
        code, output = self.run_with("bundle", "@good", "--policy", "@policy", "--since", "@since", **files)
        self.assertEqual((code, output), (3, "forked: the kept checkpoint has 4 events, the bundle 3\n"))

    def test_given_names_of_several_lines_then_the_reason_is_one(self):
        archive = ustar([("manifest.json", manifest(0)), ("checkpoint", checkpoint([], origin="a\x85b\u2028c"))])
        code, output = self.run_with("bundle", "@bundle", "--policy", "@policy", bundle=archive, policy=POLICY.encode())
        self.assertEqual((code, output.count("\n")), (5, 1))

    def test_given_a_policy_that_is_none_then_it_does_not_look_malformed(self):
        files = {"policy": b"trust me", "good": ustar(members(log(3)))}
        code, output = self.run_with("bundle", "@good", "--policy", "@policy", **files)
        self.assertEqual(code, 1)
        self.assertIn("line 1 of the policy is not a statement", output)

    def test_given_wrong_arguments_then_it_does_not_look_tampered(self):
        for arguments in ((), ("bundle",), ("bundle", "@missing", "--policy", "@policy"), ("other",)):
            code, _ = self.run_with(*arguments, policy=POLICY.encode())
            self.assertEqual(code, 1)


if __name__ == "__main__":
    unittest.main()
