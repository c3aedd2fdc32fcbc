#!/usr/bin/env python3
"""As much of `journalctl -o json` as the collector uses, over a file of JSON objects: one entry
per line, appended while this runs. Entries that are cut off at the front are vacuumed.

Besides the file FAKE_JOURNAL there may be FAKE_JOURNAL.fail: its text goes to stderr, exit 1. Each
start adds a line with its arguments to FAKE_JOURNAL.calls."""

import json
import os
import sys
import time

PATH = os.environ["FAKE_JOURNAL"]


def options(arguments):
    found = {"matches": []}
    for argument in arguments:
        if argument.startswith("--"):
            name, _, value = argument[2:].partition("=")
            found[name] = value
        elif argument != "+":
            found["matches"].append(argument.split("=", 1))
    return found


def number(cursor):
    return int(cursor.split(";")[1][2:], 16)


def wanted(entry, given, start):
    if not isinstance(entry, dict) or "__CURSOR" not in entry:
        return True  # nothing that a journalctl would print: what does the reader make of it?
    if start is not None and number(entry["__CURSOR"]) < start:
        return False
    matches = given["matches"]
    return not matches or any(entry.get(key) == value for key, value in matches)


def main():
    with open(PATH + ".calls", "a") as calls:
        calls.write(" ".join(sys.argv[1:]) + "\n")
    if os.path.exists(PATH + ".fail"):
        with open(PATH + ".fail") as why:
            sys.stderr.write(why.read())
        return 1
    given = options(sys.argv[1:])
    start = number(given["cursor"]) if "cursor" in given else None
    limit = int(given["lines"]) if "lines" in given else None
    with open(PATH) as file:
        rest = ""
        while True:
            *lines, rest = (rest + file.read()).split("\n")  # the last may be half written
            entries = [json.loads(line) for line in lines]
            entries = [entry for entry in entries if wanted(entry, given, start)]
            if limit is not None:
                entries = entries[:limit] if start is not None else entries[-limit:]
                limit = None
            for entry in entries:
                print(json.dumps(entry), flush=True)
            if "follow" not in given:
                return 0
            time.sleep(0.01)


sys.exit(main())
