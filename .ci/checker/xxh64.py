"""XXH64 in plain Python, from its specification. Manifests contain this digest of each file and of
themselves.
"""
import struct

MASK = 2**64 - 1
P1, P2, P3, P4, P5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)


def rotate(value, bits):
    return ((value << bits) | (value >> (64 - bits))) & MASK


def step(state, lane):
    return rotate((state + lane * P2) & MASK, 31) * P1 & MASK


def xxh64(data):
    """Returns the digest of some bytes with seed 0 in the form that manifests use."""
    at, size = 0, len(data)
    if size >= 32:
        a, b, c, d = P1 + P2 & MASK, P2, 0, -P1 & MASK
        for w, x, y, z in struct.iter_unpack("<4Q", data[:size - size % 32]):
            a, b, c, d = step(a, w), step(b, x), step(c, y), step(d, z)
        at = size - size % 32
        state = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18) & MASK
        for lane in (a, b, c, d):
            state = ((state ^ step(0, lane)) * P1 + P4) & MASK
    else:
        state = P5
    state = state + size & MASK
    while at + 8 <= size:
        state = (rotate(state ^ step(0, struct.unpack_from("<Q", data, at)[0]), 27) * P1 + P4) & MASK
        at += 8
    if at + 4 <= size:
        state = (rotate(state ^ struct.unpack_from("<I", data, at)[0] * P1 & MASK, 23) * P2 + P3) & MASK
        at += 4
    for byte in data[at:]:
        state = rotate(state ^ byte * P5 & MASK, 11) * P1 & MASK
    for shift, prime in ((33, P2), (29, P3), (32, 1)):
        state = (state ^ state >> shift) * prime & MASK
    return f"xxh64:{state:016x}"
