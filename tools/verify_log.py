#!/usr/bin/env python3
"""Checks a copy of Belfry's log of uses. Needs Python 3 and the openssl command; shares no code with Belfry.

  verify_log.py DIR --key LOG_KEY [--witness-key KEY]... [--from OLD_CHECKPOINT] [--details FILE] [--now MICROSECONDS]

DIR is a mirror of the log's public folder: checkpoint, tile/... (c2sp.org/tlog-tiles). LOG_KEY and KEY are texts
NAME+ID+BASE64, or files that hold one: get them from a person, once. OLD_CHECKPOINT is the one that you kept last; FILE
an export of details. Exit code: 0 all holds, 1 something does not (the place is named), 2 it could not be checked.
"""
import argparse, base64, hashlib, json, os, re, subprocess, sys, tempfile

LEAF = re.compile(r"belfry/1 (open|renew|close|refuse|use|change|session|batch|erase|gap|system) (0|-?[1-9][0-9]*) "
                  r"(-|dec_[0-9a-f]{32}) (-|0|[1-9][0-9]*) ([0-9a-f]{64})")
BACK_US = 10_000_000  # leaves of different threads may stand in another order by so much
DAY_US, LATE_US = 86_400_000_000, 7_200_000_000  # a sweep may come so late after a hold; after the end of a term

class Fault(Exception): pass

def need(holds, where, what):
    if not holds:
        raise Fault(f"{where}: {what}")

def sha(data):
    return hashlib.sha256(data).digest()

def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()

def raw64(text, where):
    raw = base64.b64decode(text)
    need(base64.b64encode(raw).decode() == text, where, "not base64 in its one form")
    return raw

class Key:
    """A public key of signed notes: type 1 signs notes, type 4 cosigns checkpoints."""
    def __init__(self, text):
        text = read(text).decode() if os.path.exists(text) else text
        self.name, given, key = text.strip().split("+", 2)
        raw = base64.b64decode(key)
        self.kind, self.public = raw[0], raw[1:]
        self.id = sha(self.name.encode() + b"\n" + raw)[:4]
        if self.kind not in (1, 4) or len(self.public) != 32 or self.id.hex() != given:
            raise ValueError("not an Ed25519 key in the form NAME+ID+BASE64")

    def verifies(self, message, signature):
        with tempfile.TemporaryDirectory() as folder:
            der = bytes.fromhex("302a300506032b6570032100") + self.public
            for name, data in (("key", der), ("message", message), ("signature", signature)):
                with open(os.path.join(folder, name), "wb") as file:
                    file.write(data)
            command = "openssl pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in message -sigfile signature"
            return subprocess.run(command.split(), cwd=folder, capture_output=True, check=False).returncode == 0
    def signed(self, body, lines, where):
        for name, raw in lines:
            if name == self.name and raw[:4] == self.id:
                stamp = b"cosignature/v1\ntime %d\n" % int.from_bytes(raw[4:12], "big")
                message, signature = (stamp + body, raw[12:]) if self.kind == 4 else (body, raw[4:])
                good = len(signature) == 64 and self.verifies(message, signature)
                return need(good, where, f"the signature of {name} is wrong")
        raise Fault(f"{where}: no signature of {self.name}")

def checkpoint(path, key, witnesses, where):
    body, gap, tail = read(path).decode().rpartition("\n\n")
    need(gap and tail.endswith("\n"), where, "no signed note")
    lines = []
    for line in tail[:-1].split("\n"):
        match = re.fullmatch(r"— (\S+) (\S+)", line)
        need(match, where, "a signature line is malformed")
        lines.append((match[1], raw64(match[2], where)))
    body += "\n"
    key.signed(body.encode(), lines, where)
    for witness in witnesses:
        witness.signed(body.encode(), lines, where)
    parts = body.split("\n")
    need(len(parts) == 4 and parts[0] == key.name, where, "not a checkpoint of this log")
    need(re.fullmatch(r"0|[1-9][0-9]{0,15}", parts[1]), where, "no tree size")
    root = raw64(parts[2], where)
    need(len(root) == 32, where, "no root")
    return int(parts[1]), root

def entries_of(data, where):
    entries, at = [], 0
    while at < len(data):
        start, at = at + 2, at + 2 + int.from_bytes(data[at:at + 2], "big")
        need(at <= len(data), where, "cut short")
        entries.append(data[start:at])
    return entries

def read_entries(folder, size):
    entries = []
    for number in range((size + 255) // 256):
        width = min(256, size - 256 * number)
        path = "/".join("x" + group.zfill(3) for group in f"{number:,}".split(","))
        path = f"tile/entries/{path[:-4]}{path[-3:]}"
        where = f"{path}.p/{width}"
        if not os.path.exists(os.path.join(folder, where)):  # a log that went on may have the whole one instead
            where = path
        need(os.path.exists(os.path.join(folder, where)), where, "missing")
        found = entries_of(read(folder, where), where)
        need(len(found) >= width, where, "too few entries")
        entries += found[:width]
    return entries

def rows_of(hashes):
    rows = [hashes]
    while len(rows[-1]) > 1:
        low = rows[-1]
        rows.append([hashlib.sha256(b"\1" + low[i] + low[i + 1]).digest() for i in range(0, len(low) - 1, 2)])
    return rows

def root_of(rows, size):
    root, at = None, size
    for level, row in enumerate(rows):
        if size >> level & 1:
            at -= 1 << level
            root = row[at >> level] if root is None else sha(b"\1" + row[at >> level] + root)
    return root or sha(b"")

def check_files(folder, entries, rows):
    """Every tile and bundle in the folder, those of earlier sizes too, says what the entries say."""
    for base, _, names in os.walk(os.path.join(folder, "tile")):
        for name in (name for name in names if not name.endswith(".tmp")):
            path = os.path.relpath(os.path.join(base, name), folder)
            match = re.fullmatch(r"tile/(entries|[0-6])((?:/x[0-9]{3})*/[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", path)
            need(match, path, "no file of a log")
            number, width = int(re.sub("[/x]", "", match[2])), int(match[3] or 256)
            data = read(base, name)
            if match[1] == "entries":
                found, known = entries_of(data, path), entries[256 * number:256 * number + width]
            else:
                need(len(data) % 32 == 0, path, "a wrong length")
                row = 8 * int(match[1])
                known = rows[row][256 * number:256 * number + width] if row < len(rows) else []
                found = [data[i:i + 32] for i in range(0, len(data), 32)]
            need(len(found) == width, path, f"not {width} wide")
            need(found[:len(known)] == known, path, "does not fit the entries")

def check_leaves(entries):
    leaves, closed, high = [], set(), -1 << 63
    for index, entry in enumerate(entries):
        match = LEAF.fullmatch(entry.decode("ascii", "replace"))
        need(match, f"leaf {index}", "malformed")
        kind, at, decision, refers = match[1], int(match[2]), match[3], match[4]
        goes_back = at < high - BACK_US
        need(not goes_back or kind == "system", f"leaf {index}", "time goes back and no clock step is noted")
        high = at if goes_back else max(high, at)
        if kind in ("renew", "close"):
            opened = int(refers) if refers != "-" else index
            need(opened < index and leaves[opened][0] == "open" and leaves[opened][2] == decision,
                 f"leaf {index}", "refers to no opening of its decision")
            need(opened not in closed, f"leaf {index}", f"the use of leaf {opened} was over")
            if kind == "close":
                closed.add(opened)
        else:
            need(refers == "-", f"leaf {index}", "refers to another leaf")
        leaves.append((kind, at, decision, match[5]))
    return leaves

def check_details(path, leaves):
    """Line by line: every leaf opens, or another leaf says that its details were forgotten."""
    opened, forgotten = {}, {}
    with open(path, encoding="utf-8") as file:
        for index, line in zip(range(len(leaves)), file):
            row = json.loads(line)
            need(row["i"] == index, f"leaf {index}", "its details are missing")
            if row.get("forgotten") is not None:
                forgotten[index] = row["forgotten"]
                continue
            salt = bytes.fromhex(row["s"])
            commitment = sha(b"belfry detail v1\n" + salt + row["d"].encode()).hex()
            need(len(salt) == 32 and commitment == leaves[index][3], f"leaf {index}", "its details were changed")
            opened[index] = json.loads(row["d"])
    need(len(opened) + len(forgotten) == len(leaves), "details", "the last ones are missing")
    for index, by in forgotten.items():
        word = opened.get(by, {})
        need(word.get("operation") == "details_forgotten" and index in word["details"]["leaves"], f"leaf {index}",
             "no leaf says that its details were forgotten")
    return opened

def check_footage(leaves, opened, now):
    """Every segment has exactly one erasure in time, or a hold that names its camera and span."""
    due, erased, holds = {}, {}, {}
    for index, said in sorted(opened.items()):
        word, more = said.get("operation"), said.get("details") or {}
        if leaves[index][0] == "batch" and word == "segments":
            lines = [f"{row['segment']} {row['digest']}".encode() for row in more["segments"]]
            root = root_of(rows_of([sha(b"\0" + line) for line in lines]), len(lines))
            need(root.hex() == more["root"], f"leaf {index}", "its segments do not give its root")
            for row in more["segments"]:
                need(row["segment"] not in due, f"leaf {index}", f"segment {row['segment']} for the second time")
                due[row["segment"]] = row
        elif leaves[index][0] == "erase" and word == "segments_erased":
            for row in more["segments"]:
                need(row["segment"] not in erased, f"leaf {index}", f"segment {row['segment']} erased a second time")
                erased[row["segment"]] = row["erased_us"]
        elif word and word.startswith("hold_") and "hold" in more and "from_us" in more:
            until = leaves[index][1] if more["state"] == "released" else None
            holds[more["hold"]] = {**more, "until": holds.get(more["hold"], {}).get("until") or until}
    for name, row in due.items():
        end = row["delete_by_us"]
        gone = erased.get(name, now)
        for hold in holds.values():
            if hold["camera"] == row.get("camera") and hold["from_us"] < row["to_us"] and hold["to_us"] > row["from_us"]:
                end = max(end, now if hold["until"] is None else hold["until"] + DAY_US)
        need(gone <= end + LATE_US, f"segment {name}", "not erased in time, and no hold names it")
    return len(due), len(erased)

def verify(*what):
    try:
        return check(*what)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise Fault(f"something is malformed: {error!r}") from None

def check(folder, key, witnesses, old=None, details=None, now=None):
    newest = os.path.join(folder, "checkpoint.cosigned")
    name = "checkpoint.cosigned" if witnesses and os.path.exists(newest) else "checkpoint"
    size, root = checkpoint(os.path.join(folder, name), key, witnesses, name)
    entries = read_entries(folder, size)
    rows = rows_of([hashlib.sha256(b"\0" + entry).digest() for entry in entries])
    need(root_of(rows, size) == root, "checkpoint", "its root is not that of the entries")
    if old:
        old_size, old_root = checkpoint(old, key, [], "old checkpoint")
        need(old_size <= size, "checkpoint", f"it has {size} leaves, the one that you kept had {old_size}: rolled back")
        need(root_of(rows, old_size) == old_root, "checkpoint", f"its first {old_size} leaves are not those you knew")
    check_files(folder, entries, rows)
    leaves = check_leaves(entries)
    if not details:
        return f"{size} leaves"
    opened = check_details(details, leaves)
    recorded, erased = check_footage(leaves, opened, now or max((leaf[1] for leaf in leaves), default=0))
    return f"{size} leaves; {len(opened)} open, {size - len(opened)} forgotten; {recorded} segments, {erased} erased"

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, more in (("dir", {}), ("--key", {"required": True, "type": Key}), ("--now", {"type": int}), ("--details", {}),
                       ("--from", {"dest": "old"}), ("--witness-key", {"action": "append", "default": [], "type": Key})):
        parser.add_argument(name, **more)
    args = parser.parse_args()
    try:
        print("HOLDS:", verify(args.dir, args.key, args.witness_key, args.old, args.details, args.now))
    except Fault as fault:
        print("DOES NOT HOLD:", fault)
        sys.exit(1)
    except OSError as error:
        print("NOT CHECKED:", error)
        sys.exit(2)

if __name__ == "__main__":
    main()
