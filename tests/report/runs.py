"""Trajectories for tests of the page: the golden run with times, one as large as they get, and one that wants to break out."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

from hook.report.series_report import JudgedPatch, JudgedSeries
from hook.verdict import Answer, DecidedBy, Fact, Place, Tokens, Verdict

GOLDEN = pathlib.Path(__file__).parent.parent / "agent/golden"
FIELDS = ("Name", "Model", "Error", "Instruction", "Prompt", "Reply", "Thoughts")

HOSTILE = (
    "<script>document.title='broken'</script>",
    "</script><script>document.title='broken'</script>",
    "</pre><img src=x onerror=\"document.title='broken'\">",
    "<svg onload=\"document.title='broken'\">",
    "</title><script>document.title='broken'</script>",
    "</style><script>document.title='broken'</script>",
    "\"><script>document.title='broken'</script>",
    "' onmouseover='document.title=1' x='",
    "javascript:document.title='broken'",
    "<!-- ",
    "-->",
    "--!>",
    "]]>",
    "<![CDATA[",
    "<plaintext>",
    "<textarea>",
    "</details></section></main>",
    "<base href='//evil.example'>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<iframe src='//evil.example'></iframe>",
    "<link rel=stylesheet href='//evil.example/x.css'>",
    "{{ 7*7 }}{% raw %}",
    "&lt;b&gt; &amp; &#60;",
    "a\0b",
    "\x1b[31mred\x1b]0;t\x07",
    "\u202eeht\u202c \u2066x\u2069",
    "\ud800 lone \udfff",
    "\ufeff\u200b\u2028\u2029",
    "\r\n\v\f\x85",
    "x" * 1_000_000,
)


def documents(name: str = "recorded-default.jsonl") -> Iterator[dict[str, Any]]:
    """The spans of a golden run; each llm span takes two seconds, each tool a tenth of one."""
    text, at, clock = (GOLDEN / name).read_text(), 0, 0.0
    decoder = json.JSONDecoder()
    while at < len(text):
        one, at = decoder.raw_decode(text, at)
        at += len(text[at:]) - len(text[at:].lstrip())
        took = {"llm": 2.0, "tool": 0.1}.get(one["Type"], 0.0) * (1 + one["Seq"] % 3)
        one["Started"], one["Finished"] = _time(clock), _time(clock + (took or 90.0 * (one["Type"] in ("flow", "agent"))))
        clock += took
        yield one


def write(path: pathlib.Path, spans: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> pathlib.Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in spans))
    return path


def hostile() -> list[dict[str, Any]]:
    """Every hostile text in every field of a span, and in every field of the verdict."""
    spans = []
    for number, evil in enumerate(HOSTILE):
        fields = dict.fromkeys(FIELDS, evil)
        spans.append(
            {
                "Seq": number + 1,
                "Nesting": 1,
                "Type": "tool" if number % 2 else "llm",
                "Started": evil[:50],
                "Finished": evil[:50],
                "Args": {evil: evil, "File": evil},
                "Results": {evil: [evil], "Contents": f"   7:\t{evil}"},
                "InputTokens": number,
                "OutputTokens": 1,
                "OutputThoughtsTokens": 1,
                **fields,
            }
        )
    short = [evil for evil in HOSTILE if len(evil) < 1000]
    fact = [{"Claim": evil, "Path": evil, "Line": 7, "Blob": evil, "Text": evil} for evil in short]
    verdict = {
        name: list(short)
        for name in (
            "FocusSymbols",
            "EnableConfigs",
            "Via",
            "ChangedFunctions",
            "ChangeClasses",
            "Assumptions",
            "Disputes",
            "Devices",
            "DisableConfigs",
        )
    }
    verdict |= {
        name: " ".join(short)
        for name in ("Reasoning", "KMSANReasoning", "Model", "Commit", "Base", "ChangeId", "Functional", "Reachable", "State", "DecidedBy")
    }
    verdict |= {
        "WorthFuzzing": True,
        "NeedsKMSAN": True,
        "Evidence": fact,
        "ConfigReasons": {evil: {"Why": evil} for evil in short},
        "Tokens": {"Input": "x"},
    }
    diff = "".join(f"diff --git a/{evil} b/{evil}\n@@ -1 +1 @@\n-{evil}\n+{evil}\n" for evil in short)
    flow = {"Seq": 0, "Nesting": 0, "Type": "flow", "Name": "patch-triage", "Results": verdict}
    spans.append({"Seq": len(HOSTILE) + 1, "Nesting": 1, "Type": "action", "Name": "read-patch-diff", "Results": {"PatchDiff": diff}})
    spans.append({"Seq": len(HOSTILE) + 2, "Nesting": 9, "Type": "</span>", "Name": "odd", "Results": None})
    return [flow, *spans]


def large(count: int = 500, size: int = 5_000_000) -> list[dict[str, Any]]:
    """As many steps as a run has at most, with text as kernel code is."""
    line = '\tif (unlikely(pool->count >= POOL_MAX && !(flags & GFP_ATOMIC)))\n\t\treturn "full";\n'
    text = line * (size // count // len(line))
    return [
        {
            "Seq": number,
            "Nesting": min(number, 2),
            "Type": "tool" if number % 2 else "llm",
            "Name": "read-file" if number % 2 else "patch-evaluator",
            "Model": "some-model",
            "Started": _time(number),
            "Finished": _time(number + 0.5),
            "Args": {"File": "mm/pool.c"} if number % 2 else None,
            "Results": {"Contents": text} if number % 2 else None,
            "Thoughts": "" if number % 2 else text,
            "InputTokens": number * 20 if number % 2 == 0 else 0,
        }
        for number in range(count)
    ]


def hostile_series() -> JudgedSeries:
    """Every hostile text as every field of a patch of a series."""
    return JudgedSeries(
        tuple(_outcome(evil, evil, (evil,), Fact(evil, Place(evil, 7, evil), evil)) for evil in HOSTILE),
        _outcome("the series", " ".join(HOSTILE[:-1]), HOSTILE[:-1]),
    )


def large_series(count: int = 200) -> JudgedSeries:
    """A long series of patches as they are: ten facts each, some functions and options."""
    patches = []
    for number in range(count):
        names = tuple(f"pool_{number}_{one}" for one in range(8))
        facts = [
            Fact(f"code changed in {name}()", Place(f"drivers/net/pool_{number}.c", 100 + at, ""), f"\tif (pool->count >= limit_{at})")
            for at, name in enumerate(names)
        ]
        patches.append(
            _outcome(
                f"{number:012x} mm/pool: the patch of number {number}",
                "drivers/net/pool.c changed. Not proved harmless.",
                names,
                *facts,
            )
        )
    return JudgedSeries(tuple(patches), _outcome("the series", "everything changes.", ("pool_put",)))


def _outcome(label: str, why: str, names: tuple[str, ...], *facts: Fact) -> JudgedPatch:
    verdict = Verdict(
        worth_fuzzing=True,
        decided_by=DecidedBy.DEFAULT,
        functional=Answer.UNKNOWN,
        reachable=Answer.UNKNOWN,
        reasoning=why,
        change_id="",
        focus_symbols=names,
        enable_configs=names,
        via=names,
        change_classes=names,
        devices=names,
        evidence=facts,
        model=why[:40],
        tokens=Tokens(1000, 10, 5),
    )
    return JudgedPatch(label, verdict, why="", seconds=0.25)


def _time(seconds: float) -> str:
    minutes, left = divmod(seconds, 60)
    return f"2026-06-29T17:{13 + int(minutes):02}:{left:06.3f}+00:00"
