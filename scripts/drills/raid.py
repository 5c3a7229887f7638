#!/usr/bin/env python3
"""The raid (D2): somebody has every byte that was seized and knows our formats. Which segments can be read?

Usage: raid.py FOLDER…      prints one JSON object; the folders hold files of any age and name, also raw images of disks.

Shares no code with Belfry: the formats are read from their description (crates/keys/src/frame.rs, keyfile.rs, wraps.rs, secret.rs;
crates/recorder/src/format). Whatever looks like a root, a journal, a file of wraps or a segment is taken from any place in any file. Every key that
is found is tried on everything that it could open, in whatever generation; nothing is left out because a record says that it is destroyed.
"""

import json
import os
import sys

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError:
    sys.exit("missing: python3-cryptography")

WRAP, CHECK = 60, 16


def places(data, magic):
    at = data.find(magic)
    while at >= 0:
        yield at
        at = data.find(magic, at + 1)


def u(data, at, size):
    return int.from_bytes(data[at : at + size], "big")


def opens(key, nonce, sealed, aad):
    try:
        return AESGCM(key).decrypt(nonce, sealed, aad)
    except (InvalidTag, ValueError):
        return None


def unwrap(key, wrap, context):
    return opens(key, wrap[:12], wrap[12:], context)


class Raid:
    def __init__(self):
        self.tops = {}  # (kind, number, store) -> keys of the top
        self.journals = []
        self.rows = set()  # (segment, epoch, wrap)
        self.held = set()  # (hold, segment, epoch, wrap)
        self.hour_wraps = set()  # (store, context without the top, wrap)
        self.hold_wraps = set()
        self.segments = {}  # id -> (epoch, hour, digest of head, first sealed records)
        self.stores = set()
        self.counts = {"files": 0, "bytes": 0, "roots": 0, "protected": 0, "journals": 0, "wraps": 0}

    def take(self, data):
        self.counts["files"] += 1
        self.counts["bytes"] += len(data)
        for at in places(data, b"BELFROOT"):
            self.root(data[at : at + 116])
        for at in places(data, b"BELFKEY1"):
            self.journal(data, at)
        for at in places(data, b"BELFWRP1"):
            self.wraps(data, at)
        for at in places(data, b"BELFSEG1"):
            self.segment(data, at)

    def root(self, raw):
        if len(raw) < 116:
            return
        kind, number, store, protection = raw[10], u(raw, 11, 4), raw[15:31], raw[39]
        self.stores.add(store)
        if protection == 0 and any(raw[40:72]):
            self.counts["roots"] += 1
            self.tops.setdefault((kind, number, store), set()).add(raw[40:72])
        else:
            self.counts["protected"] += 1

    def journal(self, data, start):
        self.counts["journals"] += 1
        store = data[start + 15 : start + 31]
        self.stores.add(store)
        end = data.find(b"BELFKEY1", start + 8)
        whole = data[start : end if end > 0 else len(data)]
        # Frames wherever they are: what follows a damaged one is looked at too.
        for at in places(whole, b"BLFK"):
            count, length = u(whole, at + 6, 2), u(whole, at + 8, 4)
            plain = whole[at + 36 : at + 36 + length]
            base = at + 36 + length
            if len(plain) == length and len(whole) >= base + count * WRAP:
                wraps = [whole[base + n * WRAP : base + (n + 1) * WRAP] for n in range(count)]
                self.entries(store, plain, wraps)

    def entries(self, store, plain, wraps):
        at, used = 0, 0
        while at < len(plain):
            kind, at = plain[at], at + 1
            begin = at
            if kind == 1:
                at += 8
                scope = plain[at]
                at += 17 if scope == 1 else 2 + plain[at + 1]
                at += 1 + plain[at] + 4
                name = plain[begin:at]
                at += 8 + CHECK
                self.hour_wraps.add((store, name, wraps[used]))
                used += 1
            elif kind == 2:
                at += 17
            elif kind == 3:
                self.hold_wraps.add((store, plain[at : at + 16], wraps[used]))
                at += 24 + CHECK
                used += 1
            elif kind == 4:
                hold, segment, epoch = plain[at : at + 16], plain[at + 16 : at + 32], u(plain, at + 32, 8)
                self.held.add((store, hold, segment, epoch, wraps[used]))
                at += 40 + CHECK
                used += 1
            elif kind == 5:
                at += 24
            else:
                return

    def wraps(self, data, start):
        self.counts["wraps"] += 1
        store = data[start + 14 : start + 30]
        self.stores.add(store)
        at = start + 46
        while at + 100 <= len(data) and data[at : at + 4] != b"BELF":
            self.rows.add((store, data[at : at + 16], u(data, at + 16, 8), data[at + 24 : at + 84]))
            at += 100

    def segment(self, data, start):
        length = u(data, start + 10, 2)
        head = data[start : start + length]
        if len(head) < length or length < 174:
            return
        identity, epoch, wall = head[12:28], u(head, 60, 8), u(head, 68, 8)
        records, at = [], start + length
        while data[at : at + 4] == b"BLFR" and len(records) < 3:
            size = u(data, at + 8, 4)
            body = data[at + 16 : at + 16 + size]
            if data[at + 6] == 1 and len(body) == size:
                records.append((data[at : at + 16], body))
            at += 16 + size + 32
        if records:
            self.segments.setdefault(identity, (epoch, wall // 3_600_000_000, head[-32:], records))

    def keys(self):
        """Opens everything that anything opens; gives the segment keys by segment."""
        hours, holds, opened = {}, {}, {}
        for (kind, number, store), tops in self.tops.items():
            top = bytes([kind]) + number.to_bytes(4, "big")
            front = b"belfry key wrap v1" + store
            for key in tops:
                for of, name, wrap in self.hour_wraps:
                    plain = unwrap(key, wrap, front + b"\x01" + top + name) if of == store else None
                    if plain:
                        hours.setdefault(u(name, 0, 8), set()).add(plain)
                for of, hold, wrap in self.hold_wraps:
                    plain = unwrap(key, wrap, front + b"\x02" + top + hold) if of == store else None
                    if plain:
                        holds.setdefault(hold, set()).add(plain)
        for store, segment, epoch, wrap in self.rows:
            context = b"belfry key wrap v1" + store + b"\x03" + epoch.to_bytes(8, "big") + segment
            for key in hours.get(epoch, ()):
                plain = unwrap(key, wrap, context)
                if plain:
                    opened.setdefault(segment, set()).add(plain)
        for store, hold, segment, epoch, wrap in self.held:
            context = b"belfry key wrap v1" + store + b"\x04" + hold + epoch.to_bytes(8, "big") + segment
            for key in holds.get(hold, ()):
                plain = unwrap(key, wrap, context)
                if plain:
                    opened.setdefault(segment, set()).add(plain)
        self.counts["hour_keys"] = sum(map(len, hours.values()))
        self.counts["hold_keys"] = sum(map(len, holds.values()))
        return hours, opened

    def run(self):
        hours, opened = self.keys()
        found, every = [], set().union(*opened.values(), *hours.values(), *self.tops.values(), set())
        for identity, (epoch, hour, digest, records) in self.segments.items():
            front, body = records[0]
            nonce, aad = bytes(8) + front[12:16], front + digest
            # Its own keys, then every other key that was found anywhere.
            if any(opens(key, nonce, body, aad) is not None for key in [*opened.get(identity, ()), *every]):
                found.append(identity.hex())
        self.counts |= {"segments": len(self.segments), "segment_keys": len(opened)}
        return {"counts": self.counts, "opened": sorted(found)}


def main():
    raid = Raid()
    for folder in sys.argv[1:]:
        for path, _, names in os.walk(folder):
            for name in names:
                with open(os.path.join(path, name), "rb") as file:
                    raid.take(file.read())
    json.dump(raid.run(), sys.stdout)


main()
