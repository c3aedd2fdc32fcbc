"""The agent's input options and processors -> settings. Both families of names: the Go plug-ins
(`processor_regex`) and the native ones (`processor_parse_regex_native`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.logconfig.paths import DEEPEST

Object = Mapping[str, Any]

_ANY = ("content", "", None)  # the line itself


@dataclass
class Steps:
    """What was gathered so far. `notes`: what is left out, and why."""

    notes: list[str] = field(default_factory=list)
    _values: dict[str, Any] = field(default_factory=dict)
    _include: list[str] = field(default_factory=list)
    _exclude: list[str] = field(default_factory=list)
    _secrets: list[dict[str, str]] = field(default_factory=list)
    _attributes: dict[str, str] = field(default_factory=dict)

    def settings(self, attributes: dict[str, str]) -> dict[str, Any]:
        """Keys of a LogConfigSpec."""
        values = dict(self._values)
        if self._include:
            values["includeLines"] = self._include
        if self._exclude:
            values["excludeLines"] = self._exclude
        if self._secrets:
            values["redact"] = {"patterns": self._secrets}
        if attributes or self._attributes:
            values["attributes"] = {**attributes, **self._attributes}
        return values

    def read_output(self, detail: Object) -> None:
        """Options of an input of standard output."""
        out = detail.get("Stdout", not detail.get("IgnoringStdout", False)) is not False
        err = detail.get("Stderr", not detail.get("IgnoringStderr", False)) is not False
        if not (out and err):
            self._values["exclude"] = "stderr" if out else "stdout" if err else "all"
        self._input(detail)

    def read_files(self, detail: Object) -> None:
        """Options of an input of files; the older form says in them how a line is parsed, too."""
        self._input(detail)
        kind = detail.get("logType")
        if kind == "json_log":
            self._parse(kind, {"format": "json"})
        elif kind == "common_reg_log" and detail.get("key", ["content"]) != ["content"]:
            self._regex(kind, {"Regex": detail.get("regex", ""), "Keys": detail["key"]})
        elif kind not in (None, "common_reg_log"):
            self.notes.append(f"logType {kind!r}: no counterpart, lines stay whole")
        self._file_filters(detail)
        depth = detail.get("maxDepth") or detail.get("MaxDirSearchDepth")
        if isinstance(depth, int) and depth > DEEPEST:
            self.notes.append(f"directories are searched {DEEPEST} deep, not {depth}")

    def _file_filters(self, detail: Object) -> None:
        """The older form's own processors."""
        keys, patterns = detail.get("filterKey"), detail.get("filterRegex")
        if isinstance(keys, list) and isinstance(patterns, list):
            wanted = {str(key): text for key, text in zip(keys, patterns, strict=False)}
            self._filter("filterKey", {"Include": wanted})
        secrets = detail.get("sensitive_keys")
        for one in secrets if isinstance(secrets, list) else ():
            if isinstance(one, Mapping):
                names = {_SENSITIVE[name]: text for name, text in one.items() if name in _SENSITIVE}
                self._of_line("sensitive_keys", names, self._secret)

    def _input(self, detail: Object) -> None:
        multiline = detail.get("Multiline")
        begins = detail.get("BeginLineRegex", detail.get("logBeginRegex"))
        if isinstance(multiline, Mapping):
            begins = multiline.get("StartPattern", begins)
            for name in ("ContinuePattern", "EndPattern"):
                if multiline.get(name):
                    self.notes.append(f"Multiline.{name}: only StartPattern has a counterpart")
        if begins and begins != ".*":  # any line begins a record
            self._values["multiline"] = {"start": str(begins)}
        for name in ("ExternalK8sLabelTag", "ExternalEnvTag"):
            if detail.get(name):
                self.notes.append(f"{name}: pods' labels are in table `pods`, not in each line")

    def read(self, kind: str, options: Object) -> None:
        """One processor."""
        step = getattr(self, f"_{_STEPS.get(kind, '')}", None)
        if step is None:
            self.notes.append(f"{kind}: no counterpart, left out")
        else:
            self._of_line(kind, options, step)

    def _of_line(self, kind: str, options: Object, step: Callable[[str, Object], None]) -> None:
        if options.get("SourceKey") not in _ANY:
            self.notes.append(f"{kind} on {options['SourceKey']!r}: only whole lines, left out")
        else:
            step(kind, options)

    def _json(self, kind: str, options: Object) -> None:
        self._parse(kind, {"format": "json"})

    def _regex(self, kind: str, options: Object) -> None:
        wanted = options.get("Keys")
        keys = [str(key) for key in wanted] if isinstance(wanted, list) else []
        named = _named(str(options.get("Regex", "")), keys)
        if named is None:
            self.notes.append(f"{kind}: {len(keys)} keys do not fit the groups of the expression")
        else:
            self._parse(kind, {"format": "regex", "pattern": named})

    def _parse(self, kind: str, value: dict[str, str]) -> None:
        if "parse" in self._values:
            self.notes.append(f"{kind}: a line is parsed once, left out")
        else:
            self._values["parse"] = value

    def _filter(self, kind: str, options: Object) -> None:
        for name, patterns in (("Include", self._include), ("Exclude", self._exclude)):
            found = options.get(name)
            for key, pattern in (found if isinstance(found, Mapping) else {}).items():
                if key in _ANY:
                    patterns.append(str(pattern))
                else:
                    self.notes.append(f"{kind} on {key!r}: only whole lines, left out")

    def _secret(self, kind: str, options: Object) -> None:
        before = options.get("RegexBegin", options.get("ContentPatternBeforeReplacedString", ""))
        content = options.get("RegexContent", options.get("ReplacedContentPattern", ""))
        if options.get("Match") == "full" or not content:
            self.notes.append(f"{kind}: replaces whole fields, left out")
            return
        text = "******"
        if options.get("Method", "const") == "const":
            text = str(options.get("ReplaceString", options.get("ReplacingString", text)))
        else:
            self.notes.append(f"{kind}: replaced by {text} instead of a hash")
        text = text.replace("\\", "\\\\")
        number = len(self._secrets) + 1
        self._secrets.append(
            {
                "name": f"secret-{number}",
                "pattern": f"({before})(?:{content})",
                "replacement": f"\\g<1>{text}",
            }
        )

    def _fields(self, kind: str, options: Object) -> None:
        added = options.get("Fields")
        for name, value in (added if isinstance(added, Mapping) else {}).items():
            self._attributes[str(name)] = str(value)

    def _begins(self, kind: str, options: Object) -> None:
        begins = options.get("SplitRegex", options.get("StartPattern"))
        if begins:
            self._values["multiline"] = {"start": str(begins)}


_SENSITIVE = {
    "key": "SourceKey", "type": "Method", "const": "ReplaceString",
    "regex_begin": "RegexBegin", "regex_content": "RegexContent",
}  # fmt: skip
_STEPS = {
    "processor_json": "json",
    "processor_parse_json_native": "json",
    "processor_regex": "regex",
    "processor_parse_regex_native": "regex",
    "processor_filter_regex": "filter",
    "processor_filter_regex_native": "filter",
    "processor_desensitize": "secret",
    "processor_desensitize_native": "secret",
    "processor_add_fields": "fields",
    "processor_split_log_regex": "begins",
    "processor_split_multiline_log_string_native": "begins",
}


def _named(pattern: str, keys: list[str]) -> str | None:
    """The expression with its groups named by these keys, in order."""
    made, place, depth_class, left = [], 0, False, list(keys)
    while place < len(pattern):
        char = pattern[place]
        if char == "\\":
            made.append(pattern[place : place + 2])
            place += 2
            continue
        if char in "[]":
            depth_class = char == "["
        if char == "(" and not depth_class and pattern[place + 1 : place + 2] != "?":
            if not left or not left[0].isidentifier():
                return None
            made.append(f"(?P<{left.pop(0)}>")
        else:
            made.append(char)
        place += 1
    return None if left or not keys else "".join(made)
