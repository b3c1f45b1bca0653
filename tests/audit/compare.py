"""Judges proofs that another verifier judged before, and fails where the two differ.

Reads from standard input what `cargo run -p eventlog --example mutated_proofs` writes.
"""

import collections
import struct
import sys

import verify


def take(length):
    data = sys.stdin.buffer.read(length)
    if len(data) != length:
        raise EOFError("the proofs end in the middle of one")
    return data


def framed():
    return take(struct.unpack(">I", take(4))[0])


def judge(proof, policy):
    try:
        verify.verify_proof(proof, policy)
    except verify.Refused as refused:
        return refused.code
    return 0


def main():
    policy = verify.Policy.parse(framed())
    judged, differ = collections.Counter(), 0
    while code := sys.stdin.buffer.read(1):
        theirs, proof = code[0], framed()
        ours = judge(proof, policy)
        judged[ours] += 1
        if ours != theirs:
            differ += 1
            if differ <= 5:
                print(f"{ours} here, {theirs} there: {proof!r}")
    total = sum(judged.values())
    verdicts = ", ".join(f"{count} with {code}" for code, count in sorted(judged.items()))
    print(f"{total} proofs: {verdicts}; {differ} judged otherwise")
    # Proofs that all end alike would compare nothing.
    return 1 if differ or len(judged) < 4 else 0


if __name__ == "__main__":
    sys.exit(main())
