"""The trajectory page: one HTML file without requests to the network.

All text in it is somebody else's: a patch's, a model's, a tree's. It is escaped where it is put in, control and bidi characters are made
visible, and the page's Content-Security-Policy lets nothing run but our own script, by its hash. The page is read without the script, too.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import pathlib
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from hook import lazy_re
from hook.report import charts, path_drawing, steps
from hook.report.citations import Sources
from hook.report.exports import OPTION
from hook.report.text import BIDI
from hook.trajectory import Span, totals
from hook.verdict import Fact, Place

if typing.TYPE_CHECKING:
    import jinja2

_TEMPLATES = pathlib.Path(__file__).parent / "templates"
_MOST_NESTING = 5  # steps to the right that are drawn
_VISIBLE = (
    {code: 0x2400 + code for code in range(32) if code not in (9, 10)}  # Unicode's own pictures of them
    | {0x7F: 0x2421}
    | dict.fromkeys([*range(0x80, 0xA0), *range(0xD800, 0xE000), *map(ord, BIDI), 0xFFFE, 0xFFFF], 0xFFFD)
)
_ODD = lazy_re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff" + "".join(sorted(BIDI)) + "]")
_DIFF_FILE = lazy_re.compile(r"^diff --git ", re.MULTILINE)
_DIFF_NAMES = lazy_re.compile(r"diff --git (?:a/(.*) b/\1|.* b/(.*))$")


class ShownFact(msgspec.Struct, frozen=True):
    """A fact of the verdict with the name of the excerpt that shows it, empty where there is none."""

    claim: str
    where: str
    anchor: str


class FileDiff(msgspec.Struct, frozen=True):
    """One file of the diff: its path, what was proved of it, and runs of lines of one kind."""

    path: str
    claims: tuple[str, ...]
    runs: tuple[tuple[str, str], ...]  # (add, del, hunk or plain; text)


class StepRow(msgspec.Struct, frozen=True):
    """A step, as the table shows it."""

    seq: int
    nesting: int
    type: str
    name: str
    when: str
    took: str
    gist: str
    error: bool
    parts: tuple[tuple[str, str], ...]  # (title, text), those that hold something


class Total(msgspec.Struct, frozen=True):
    """The sum of the calls of one model or tool."""

    name: str
    calls: int
    tokens: int
    seconds: float


def render(title: str, verdict: Mapping[str, Any], spans: Sequence[Span], diff: str, sources: Sources) -> str:
    """The page. `verdict` is a document of SchemaVersion 1, or the fewer fields of another program's; empty where there is none."""
    reasoning = list(sources.linked(str(verdict.get("Reasoning", ""))))
    kmsan = list(sources.linked(str(verdict.get("KMSANReasoning", ""))))
    proofs = [_fact(fact) for fact in _list(verdict.get("Evidence")) if isinstance(fact, dict)]
    facts = [_shown_fact(fact, sources) for fact in proofs]
    return written(
        "page.html",
        script="page.js",
        title=title,
        verdict=verdict,
        headline=headline(verdict),
        worth=worth(verdict),
        lists=list(_lists(verdict)),
        options=list(_options(verdict)),
        answers=list(_answers(verdict)),
        reasoning=reasoning,
        kmsan=kmsan,
        facts=facts,
        paths=list(path_drawing.drawings(proofs, sources)),
        copies=copies(_list(verdict.get("FocusSymbols")), _list(verdict.get("EnableConfigs")), _list(verdict.get("DisableConfigs"))),
        excerpts=sources.excerpts,
        files=list(files(diff, verdict)),
        rows=[_row(span) for span in spans],
        models=_totals(spans, "llm"),
        tools=_totals(spans, "tool"),
        durations=charts.durations(spans),
        tokens=charts.tokens(spans),
        spent=sum(span.input_tokens + span.output_tokens + span.output_thoughts_tokens for span in spans),
    )


def visible(text: str) -> str:
    """`text` with control, bidi and unpaired surrogate characters shown as signs that do nothing."""
    return text.translate(_VISIBLE) if _ODD.search(text) else text


def written(template: str, *, script: str = "", **values: object) -> str:
    """A page of ours: with its style and `script` inside, and a policy that lets these through and nothing else."""
    style, code = ((_TEMPLATES / name).read_text("utf-8").strip() if name else "" for name in ("page.css", script))
    scripts = f"script-src '{_allowed(code)}'; " if code else ""
    policy = f"default-src 'none'; style-src '{_allowed(style)}'; {scripts}base-uri 'none'; form-action 'none'"
    return _environment().get_template(template).render(policy=policy, style=style, script=code, **values)


@functools.cache
def _environment() -> jinja2.Environment:
    """Jinja2 for our pages: everything is escaped, and a name that is not defined is an error."""
    import jinja2

    made = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    made.filters["shown"] = _shown
    return made


def _finalized(value: Any) -> Any:
    """What goes into the page by any way is visible text; only what is ours and marked so is taken as it is."""
    return visible(value) if type(value) is str else value


def _shown(text: str) -> Any:
    """For text between tags, where only these two characters mean anything; code is full of the others that are escaped elsewhere."""
    from markupsafe import Markup

    return Markup(visible(text).replace("&", "&amp;").replace("<", "&lt;"))


def _allowed(text: str) -> str:
    """The source expression by which a Content-Security-Policy lets an inline style or script through."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def worth(verdict: Mapping[str, Any]) -> str:
    """`yes`, `no`, `open` or `none`: the colour of a verdict."""
    if "WorthFuzzing" not in verdict:
        return "none"
    if verdict.get("DecidedBy") == "default":
        return "open"
    return "yes" if verdict["WorthFuzzing"] is True else "no"


def headline(verdict: Mapping[str, Any]) -> str:
    """The verdict in a few words."""
    return {
        "none": "no verdict",
        "open": "worth fuzzing (not proved)",
        "yes": "worth fuzzing",
        "no": "not worth fuzzing",
    }[worth(verdict)]


def _lists(verdict: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    for title, name in (
        ("Focus symbols", "FocusSymbols"),
        ("Callers on the call path", "Via"),
        ("Changed functions", "ChangedFunctions"),
        ("Devices", "Devices"),
        ("Change classes", "ChangeClasses"),
        ("Assumed", "Assumptions"),
        ("Disputed by the model", "Disputes"),
        ("Corrected in the model's answer", "Corrections"),
    ):
        if names := [str(entry) for entry in _list(verdict.get(name))]:
            yield title, names


def _options(verdict: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Kernel options as (NAME=value, why)."""
    reasons = verdict.get("ConfigReasons")
    for name, value in (("EnableConfigs", "y"), ("DisableConfigs", "n")):
        for option in _list(verdict.get(name)):
            reason = reasons.get(option) if isinstance(reasons, dict) and isinstance(option, str) else None
            why = str(reason.get("Why", "")) if isinstance(reason, dict) else ""
            yield f"{option}={value}", why


def _answers(verdict: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    tokens = verdict.get("Tokens")
    spent = sum(count for count in tokens.values() if type(count) is int) if isinstance(tokens, dict) else 0
    needs = verdict.get("NeedsKMSAN")
    for title, value in (
        ("Functional", verdict.get("Functional")),
        ("Reachable", verdict.get("Reachable")),
        ("Decided by", verdict.get("DecidedBy")),
        ("State", verdict.get("State")),
        ("Needs KMSAN", "" if needs is None else "yes" if needs is True else "no"),
        ("Model", verdict.get("Model")),
        ("Tokens", f"{spent:,}" if spent else ""),
        ("Commit", verdict.get("Commit")),
        ("Base", verdict.get("Base")),
        ("ChangeId", verdict.get("ChangeId")),
    ):
        if value:
            yield title, str(value)


def copies(symbols: Sequence[Any], enable: Sequence[Any], disable: Sequence[Any] = ()) -> list[tuple[str, str]]:
    """What a person takes from the page: the functions to aim at, and a fragment for merge_config.sh."""
    options = [f"CONFIG_{name}=y" for name in enable if isinstance(name, str) and OPTION.match(name)]
    options += [f"# CONFIG_{name} is not set" for name in disable if isinstance(name, str) and OPTION.match(name)]
    texts = {"Focus symbols": [str(name) for name in symbols], "Configuration fragment": options}
    return [(title, "\n".join(lines)) for title, lines in texts.items() if lines]


def _fact(fact: Mapping[str, Any]) -> Fact:
    line = fact.get("Line")
    claim, path, blob, text = (str(fact.get(name, "")) for name in ("Claim", "Path", "Blob", "Text"))
    return Fact(claim, Place(path, line if type(line) is int else 0, blob), text)


def _shown_fact(fact: Fact, sources: Sources) -> ShownFact:
    path, line = fact.place.path, fact.place.line
    excerpt = sources.excerpt(path, line, fact.place.blob, fact.text) if line else None
    return ShownFact(fact.claim, f"{path}:{line}" if line else path, excerpt.anchor if excerpt else "")


def files(diff: str, verdict: Mapping[str, Any]) -> Iterator[FileDiff]:
    """The diff, file by file; what stands before the first file (a commit message) is left out."""
    claims: dict[str, list[str]] = {}
    for fact in _list(verdict.get("Evidence")):
        if isinstance(fact, dict):
            claims.setdefault(str(fact.get("Path", "")), []).append(str(fact.get("Claim", "")))
    starts = [match.start() for match in _DIFF_FILE.finditer(diff)]
    for start, end in itertools.pairwise([*starts, len(diff)] if starts else []):
        section = diff[start:end]
        head, _, rest = section.partition("\n")
        names = _DIFF_NAMES.match(head)
        path = (names[1] or names[2] or "") if names else head.removeprefix("diff --git ")
        yield FileDiff(path, tuple(dict.fromkeys(claims.get(path, ()))), tuple(_runs(rest)))


def _runs(text: str) -> Iterator[tuple[str, str]]:
    in_hunk = False
    run, lines = "", list[str]()
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        in_hunk = in_hunk or line.startswith("@@")
        kind = "hunk" if line.startswith("@@") else {"+": "add", "-": "del"}.get(line[:1], "plain") if in_hunk else "plain"
        if lines and kind != run:
            yield run, "".join(lines)
            lines = []
        run = kind
        lines.append(line)
    if lines:
        yield run, "".join(lines)


def _row(span: Span) -> StepRow:
    took = f"{span.seconds:.2f} s" if span.finished and span.started else "not over" if span.started else ""
    return StepRow(
        span.seq,
        min(max(span.nesting, 0), _MOST_NESTING),
        span.type,
        span.name,
        span.started[:19].replace("T", " "),
        took,
        steps.gist(span),
        bool(span.error),
        tuple(steps.parts(span)),
    )


def _totals(spans: Sequence[Span], kind: str) -> list[Total]:
    return [Total(name, *values) for name, values in sorted(totals(spans, kind).items())]


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()
