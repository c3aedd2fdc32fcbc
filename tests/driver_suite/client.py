"""A stand-in for `clickhouse-client`: the driver's tests look at their data with it.

It asks the embedded store over HTTP, so what the tests compare went in by the native protocol
and came out by another way. `run.py` puts the address into KUBELEDGER_SUITE_HTTP.
"""

import os
import sys
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

_OWN = ("database", "host", "port", "query")


def main(words: list[str]) -> int:
    given = dict(zip((w.removeprefix("--") for w in words[::2]), words[1::2], strict=True))
    settings = {name: value for name, value in given.items() if name not in _OWN}
    if settings.pop("use_client_time_zone", "0") == "1":
        settings["session_timezone"] = os.environ["TZ"]
    address = urlsplit(os.environ["KUBELEDGER_SUITE_HTTP"])
    connection = HTTPConnection(address.hostname or "", address.port, timeout=60)
    words_of_url = urlencode({"database": given["database"], **settings})
    connection.request("POST", f"/?{words_of_url}", body=given["query"].encode())
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    (sys.stdout if answer.status == 200 else sys.stderr).buffer.write(body)
    return int(answer.status != 200)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
