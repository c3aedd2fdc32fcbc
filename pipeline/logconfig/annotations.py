"""`kubeledger.io/*` annotations of a pod.

  kubeledger.io/exclude    true, false, stdout, stderr
  kubeledger.io/multiline  java, python, go, dotnet, auto, off, or start:RE2
  kubeledger.io/parser     json, logfmt, klog, nginx, none, or regex:RE2
  kubeledger.io/rate       a share (10%), or bytes a second (64KiB/s, 1.5MB/s)
  kubeledger.io/redact     presets, separated by commas
  kubeledger.io/retention  short, standard, long

With `.CONTAINER` behind it an annotation is for that container, and outranks the one without.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any

from pipeline.contract.wishes import OWN
from pipeline.logconfig.claims import Claim, Problem, Rank, Wishes
from pipeline.logconfig.complaints import BadSettings
from pipeline.logconfig.reading import settings

_NAMES = ("exclude", "multiline", "parser", "rate", "redact", "retention")
_SHARE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")
_RATE = re.compile(r"\s*(\d{1,15}(?:\.\d+)?)\s*(k|K|M|G|)(i?)B/s\s*")
_POWERS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3}
_EXCLUDE = {"true": "all", "false": "none", "stdout": "stdout", "stderr": "stderr"}


def annotated(annotations: Mapping[str, str], container: str) -> Wishes:
    """Claims of a container's pod, and what is wrong with its annotations."""
    found = Wishes()
    for name in sorted(annotations):
        if not name.startswith(OWN):
            continue
        key, dot, whose = name.removeprefix(OWN).partition(".")
        if dot and whose != container:
            continue
        rank = Rank.CONTAINER_ANNOTATION if dot else Rank.POD_ANNOTATION
        origin = f"annotation {name}"
        try:
            wished = settings(**_setting(key, annotations[name].strip()))
        except BadSettings as error:
            found += Wishes(problems=[Problem(origin, text) for _, text in error.complaints])
        except ValueError as error:
            found += Wishes(problems=[Problem(origin, str(error))])
        else:
            found += Wishes([Claim(rank, origin, wished)])
    return found


def _setting(key: str, text: str) -> dict[str, Any]:
    match key:
        case "exclude":
            if text.lower() not in _EXCLUDE:
                raise ValueError(f"{text!r} is not one of true, false, stdout, stderr")
            return {"exclude": _EXCLUDE[text.lower()]}
        case "multiline":
            start = text.startswith("start:")
            return {"multiline": {"start": text[6:]} if start else {"trace": text}}
        case "parser":
            regex = text.startswith("regex:")
            parse = {"format": "regex", "pattern": text[6:]} if regex else {"format": text}
            return {"parse": parse}
        case "rate":
            return _rate(text)
        case "redact":
            return {"redact": {"presets": [word.strip() for word in text.split(",")]}}
        case "retention":
            return {"retention": text}
    near = difflib.get_close_matches(key, _NAMES, n=1)
    hint = f"did you mean {OWN}{near[0]}?" if near else f"known are {', '.join(_NAMES)}"
    raise ValueError(f"unknown annotation; {hint}")


def _rate(text: str) -> dict[str, Any]:
    if share := _SHARE.fullmatch(text):
        return {"sample": {"rate": float(share[1]) / 100}}
    if rate := _RATE.fullmatch(text):
        unit = (1024 if rate[3] else 1000) ** _POWERS[rate[2]]
        return {"limit": {"bytesPerSecond": round(float(rate[1]) * unit)}}
    raise ValueError(f"{text!r} is neither a share like 10% nor bytes a second like 64KiB/s")
