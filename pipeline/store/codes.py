"""What ClickHouse's error codes mean for the caller: one table.

For an INSERT every code is one of three things: try the same again, the data is refused (bisect
it), or a person must act. A code that is not listed is for a person: guessing "the data" would
make dead letters of good rows, guessing "again" would hang for ever.
"""

from pipeline.base.errors import Fatal, KubeledgerError, Rejected, Unavailable, UsageError

AGAIN = {
    159: "TIMEOUT_EXCEEDED",
    201: "QUOTA_EXCEEDED",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    203: "NO_FREE_CONNECTION",
    209: "SOCKET_TIMEOUT",
    210: "NETWORK_ERROR",
    225: "NO_ZOOKEEPER",
    236: "ABORTED",
    241: "MEMORY_LIMIT_EXCEEDED",
    242: "TABLE_IS_READ_ONLY",  # a replica without its Keeper session
    243: "NOT_ENOUGH_SPACE",
    252: "TOO_MANY_PARTS",
    254: "NO_ACTIVE_REPLICAS",
    279: "ALL_CONNECTION_TRIES_FAILED",
    285: "TOO_FEW_LIVE_REPLICAS",
    286: "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE",
    289: "REPLICA_IS_NOT_IN_QUORUM",
    319: "UNKNOWN_STATUS_OF_INSERT",
    394: "QUERY_WAS_CANCELLED",
    415: "ALL_REPLICAS_LOST",
    425: "SYSTEM_ERROR",
    439: "CANNOT_SCHEDULE_TASK",
    473: "DEADLOCK_AVOIDED",
    608: "CANNOT_ADVANCE_TIMESTAMP",
    740: "POTENTIALLY_BROKEN_DATA_PART",
    745: "SERVER_OVERLOADED",
    999: "KEEPER_EXCEPTION",
}
DATA = {
    6: "CANNOT_PARSE_TEXT",
    26: "CANNOT_PARSE_QUOTED_STRING",
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
    33: "CANNOT_READ_ALL_DATA",
    38: "CANNOT_PARSE_DATE",
    41: "CANNOT_PARSE_DATETIME",
    69: "ARGUMENT_OUT_OF_BOUND",
    70: "CANNOT_CONVERT_TYPE",
    72: "CANNOT_PARSE_NUMBER",
    117: "INCORRECT_DATA",
    131: "TOO_LARGE_STRING_SIZE",
    248: "INVALID_PARTITION_VALUE",
    321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
    395: "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO",
    407: "DECIMAL_OVERFLOW",
    469: "VIOLATED_CONSTRAINT",
    691: "UNKNOWN_ELEMENT_OF_ENUM",
}
LOGIN = {192: "UNKNOWN_USER", 193: "WRONG_PASSWORD", 194: "REQUIRED_PASSWORD",
         516: "AUTHENTICATION_FAILED"}  # fmt: skip
SCHEMA = {
    16: "NO_SUCH_COLUMN_IN_TABLE",
    47: "UNKNOWN_IDENTIFIER",
    60: "UNKNOWN_TABLE",
    81: "UNKNOWN_DATABASE",
}
UNKNOWN_DATABASE = 81
_TOO_MANY_PARTITIONS = "Too many partitions for single INSERT block"


def insert_error(where: str, code: int, text: str) -> KubeledgerError:
    message = f"{where}: {text} (code {code})"
    if code in LOGIN:
        return UsageError(f"{message}; check `user` and `password_file`")
    if code in DATA or _TOO_MANY_PARTITIONS in text:  # the latter shares TOO_MANY_PARTS' code
        return Rejected(message)
    if code in AGAIN:
        return Unavailable(message)
    if code in SCHEMA:
        return Fatal(f"{message}; run `kubeledger migrate`")
    return Fatal(message)


def query_error(where: str, code: int, text: str) -> KubeledgerError:
    message = f"{where}: {text} (code {code})"
    if code in LOGIN:
        return UsageError(f"{message}; check `user` and `password_file`")
    if code in AGAIN:
        return Unavailable(message)
    return UsageError(message)
