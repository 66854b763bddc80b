"""The trajectory page, as an HTML parser reads it: what it holds, and that no text of others becomes a part of it."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import pathlib
import re
from collections.abc import Callable

import pytest

from hook.report import page as pages
from hook.report import series_report
from hook.report.citations import Sources
from tests.agent.conftest import make_httpserver, scripted  # noqa: F401
from tests.agent.model import Model, call, kmsan, results, says
from tests.report import runs
from tests.small_kernel import Kernel

POOL = "mm/pool.c"
OURS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "header",
    "h1",
    "nav",
    "a",
    "main",
    "section",
    "h2",
    "span",
    "div",
    "p",
    "dl",
    "dt",
    "dd",
    "code",
    "h3",
    "ul",
    "li",
    "strong",
    "figure",
    "figcaption",
    "pre",
    "mark",
    "b",
    "ins",
    "del",
    "details",
    "summary",
    "form",
    "label",
    "input",
    "button",
    "output",
    "time",
    "i",
    "svg",
    "rect",
    "text",
    "path",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "footer",
    "script",
}
EMPTY = {"meta", "input"}


class Page(html.parser.HTMLParser):
    """A page read whole: its elements, its texts by element, and whether every element was closed where it belongs."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self._pieces: dict[str, list[list[str]]] = {}
        self.wrong: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.wrong += self._open
        self.texts = {tag: ["".join(pieces) for pieces in texts] for tag, texts in self._pieces.items()}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in EMPTY:
            self._open.append(tag)
            self._pieces.setdefault(tag, []).append([])

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.wrong.append(tag)

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"<!--{data[:20]}")

    def unknown_decl(self, data: str) -> None:
        self.wrong.append(f"<![{data[:20]}")

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self._pieces[tag][-1].append(data)

    def values(self, name: str) -> list[str]:
        return [value for _, one, value in self.attributes if one == name]


def sound(text: str, scripts: int = 1) -> Page:
    """The page, if it is one of ours and nothing else."""
    page = Page(text)
    assert page.wrong == [] and set(page.tags) <= OURS
    assert page.tags.count("style") == page.tags.count("title") - page.tags.count("rect") == 1 and page.tags.count("script") == scripts
    assert not any(name.startswith("on") or name == "style" for _, name, _ in page.attributes)
    assert all(value.startswith("#") for value in page.values("href")) and page.values("src") == []
    ids = page.values("id")
    assert len(ids) == len(set(ids)) and {value[1:] for value in page.values("href")} <= set(ids)
    policy = next(value for value in page.values("content") if "default-src" in value)
    for kind in ("script", "style")[1 - scripts :]:
        digest = base64.b64encode(hashlib.sha256(page.texts[kind][0].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "http" not in policy
    return page


def of_spans(kernel: Kernel, tmp_path: pathlib.Path, spans: list[dict]) -> str:
    file = runs.write(tmp_path / "run.jsonl", spans)
    kernel.triage("report", "--trajectory", str(file), "-o", str(tmp_path / "run.html"))
    return (tmp_path / "run.html").read_text()


def test_the_farms_run_has_every_step_with_every_field(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    spans = list(runs.documents())
    page = sound(of_spans(kernel, tmp_path, spans))
    summaries = [text for text in page.texts["summary"] if "/" in text.split("2026")[0] and "2026" in text]
    assert len(summaries) == len(spans)
    for span, summary in zip(spans, summaries, strict=True):
        assert (
            summary.startswith(f"{span['Seq']}/{span['Nesting']}2026-06-29 17:")
            and span["Name"] in summary
            and summary.rstrip().endswith(" s")
        )
    titles = set(page.texts["h3"])
    assert {"Model", "Args", "Results", "Instruction", "Prompt", "Tokens", "Thoughts", "Error"} <= titles
    shown = "\n".join(page.texts["pre"])
    for span in spans:
        for field in ("Instruction", "Prompt", "Thoughts", "Error"):
            assert span[field] in shown
    assert "input 2,060, output 33, thoughts 164" in shown
    assert page.tags.count("svg") == 2 and page.tags.count("rect") > 60
    rows = [" ".join(text.split()) for text in page.texts["tr"]]
    assert any(re.match(r"scripted ?22 ?238,168 ?10,825", row) for row in rows) and any(row.startswith("grepper11") for row in rows)
    assert "worth fuzzing" in page.texts["h2"][0] and "NUMA_BALANCING=y" in page.texts["code"]
    cited = next(at for at, text in enumerate(page.texts["a"]) if text == "mm/mempolicy.c:2057")
    assert page.values("href")[cited].startswith("#source-") and any("bool vma_policy_mof" in text for text in page.texts["mark"])
    assert any("-\tif (own(vma))" in text for text in page.texts["del"])


def test_hostile_texts_stay_texts(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    assert len(runs.HOSTILE) == 30
    text = of_spans(kernel, tmp_path, runs.hostile())
    page = sound(text)
    assert page.tags.count("details") >= len(runs.HOSTILE) + 3 and page.texts["title"][0].startswith("patch triage of")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]", text)
    shown = "".join(page.texts["pre"])
    for evil in runs.HOSTILE:
        if evil.isprintable():
            assert evil in shown
    assert "a\u2400b" in shown and "\u241b[31m" in shown and "\ufffdeht\ufffd" in shown


def test_hostile_texts_stay_texts_in_a_series_too() -> None:
    text = series_report.render(runs.HOSTILE[0], runs.hostile_series(), {})
    page = sound(text, scripts=0)
    assert page.tags.count("details") == len(runs.HOSTILE) and runs.HOSTILE[0] in page.texts["title"][0]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]", text)
    assert all(evil in page.texts["summary"][number] for number, evil in enumerate(runs.HOSTILE) if evil.isprintable())


def test_a_long_series_makes_a_file_hardly_larger() -> None:
    long = runs.large_series()
    text = series_report.render("review", long, {})
    page = sound(text, scripts=0)
    assert page.tags.count("details") == 200 and len(text) <= 1.3 * len(page.texts["body"][0])


def test_a_commit_without_a_model_shows_its_evidence_beside_the_source(kernel: Kernel) -> None:
    kernel.replace(POOL, "count >= POOL_MAX", "count > POOL_MAX - 2")
    kernel.git("commit", "-qam", "mm/pool: keep one slot free </title><script>")
    out = kernel.triage("report", "HEAD")
    name = f"patch-triage-{kernel.head()[:12]}.html"
    assert out.startswith(f"{name}: ")
    page = sound(kernel.read(name))
    assert page.texts["h1"][0].endswith("keep one slot free </title><script>")
    assert list(page.texts["mark"]) == ["    32  \tif (pool->count > POOL_MAX - 2)"]
    assert "-\tif (pool->count >= POOL_MAX)\n" in page.texts["del"] and "+\tif (pool->count > POOL_MAX - 2)\n" in page.texts["ins"]
    assert any(text.startswith(f"{POOL} code changed") for text in page.texts["summary"])
    assert {"pool_put", "CONFIG_POOL=y"} <= set(page.texts["pre"])  # to copy
    assert "No model was asked" in " ".join(page.texts["p"])
    assert kernel.triage("report", "-o", "-").startswith("<!DOCTYPE html>")


def test_a_call_path_is_drawn_and_each_box_leads_to_its_place() -> None:
    hops = ("system call mbind", "__x64_sys_mbind() calls kernel_mbind()", f"kernel_mbind() calls {'x' * 80}()")
    evidence = [{"Claim": hop, "Path": "mm/mempolicy.c", "Line": number, "Blob": "", "Text": hop} for number, hop in enumerate(hops, 1)]
    lines = {1: "SYSCALL_DEFINE6(mbind)", 2: "return kernel_mbind();"}
    text = pages.render("t", {"Evidence": evidence}, [], "", Sources(lambda path, blob: lines))
    page = sound(text)
    drawn = text[text.index("<svg") : text.index("</svg>")]
    boxes = re.findall(
        r'<a href="#(source-\d+)"><rect[^>]*><title>[^<]*</title></rect><text [^>]*>([^<]*)</text><text [^>]*>([^<]*)</text></a>', drawn
    )
    assert [name for _, name, _ in boxes] == ["system call mbind", "__x64_sys_mbind", "kernel_mbind", f"{'x' * 45}…"]
    assert [place for _, _, place in boxes] == [f"mm/mempolicy.c:{number}" for number in (1, 2, 2, 3)]
    assert drawn.count("<path") == 3 and {anchor for anchor, _, _ in boxes} <= set(page.values("id"))


def test_a_commit_that_a_model_was_asked_about_shows_the_run(kernel: Kernel, scripted: Callable[..., Model]) -> None:  # noqa: F811
    kernel.replace(POOL, "count >= POOL_MAX", "count > POOL_MAX - 2")
    kernel.git("commit", "-qam", "mm/pool: keep one slot free")
    why = "mm/pool.c:31 keeps a slot; see init/main.c:3 and mm/none.c:4."
    model = scripted(
        says(call("read-file", File=POOL, FirstLine=20, LineCount=10), thoughts="let me look"),
        says(results(True, ["pool_put"], ["POOL"], "mm/pool.c:31 keeps a slot; see init/main.c:3.")),
        says(kmsan()),
    )
    kernel.triage("check", "HEAD", "--agent", "always", "--record", **model.environment)
    note = kernel.note().replace("mm/pool.c:31 keeps a slot; see init/main.c:3.", why)
    kernel.git("notes", "--ref=patch-triage", "add", "-f", "-F", "-", data=note)
    kernel.triage("report", "HEAD", "-o", "page.html")
    page = sound(kernel.read("page.html"))
    assert "let me look" in "".join(page.texts["pre"]) and page.tags.count("rect") >= 3
    assert [text for text in page.texts["a"] if ":" in text][:2] == ["mm/pool.c:31", "init/main.c:3"] and "mm/none.c:4" in page.texts["p"][
        0
    ]
    assert "sk-planted-key" not in kernel.read("page.html")


def test_secrets_in_a_trajectory_do_not_reach_the_page(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    key = "ghp_" + "a1B2" * 9
    spans = [
        {"Seq": 0, "Type": "flow", "Name": "x", "Nesting": 0, "Results": {"Reasoning": key, "WorthFuzzing": True}, "Prompt": f"use {key}"},
        {
            "Seq": 1,
            "Type": "action",
            "Name": "read-patch-diff",
            "Nesting": 1,
            "Results": {"PatchDiff": f"diff --git a/x b/x\n@@ -1 +1 @@\n+{key}\n"},
        },
    ]
    text = of_spans(kernel, tmp_path, spans)
    sound(text)
    assert key not in text and text.count("[redacted]") >= 3


def test_the_fewer_fields_of_another_programs_run_are_enough(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    spans = [
        {
            "Seq": 0,
            "Type": "flow",
            "Name": "patch-triage",
            "Nesting": 0,
            "Results": {"WorthFuzzing": False, "FocusSymbols": None, "Reasoning": ""},
        }
    ]
    page = sound(of_spans(kernel, tmp_path, spans))
    assert "not worth fuzzing" in page.texts["h2"][0]
    page = sound(of_spans(kernel, tmp_path, [{"Seq": 0, "Type": "llm", "Name": "x", "Nesting": 0}]))
    assert "no verdict" in page.texts["h2"][0]


def test_a_trajectory_names_a_commit_by_its_id_and_not_by_a_branch(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    kernel.commit(POOL, "int private;\n", "embargoed")
    for name, seen in (("HEAD", False), ("main", False), (kernel.head(), True)):
        text = of_spans(
            kernel, tmp_path, [{"Seq": 0, "Type": "flow", "Name": "x", "Nesting": 0, "Results": {"Commit": name, "WorthFuzzing": True}}]
        )
        sound(text)
        assert ("embargoed" in text) is seen


def test_a_large_run_makes_a_file_hardly_larger(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    spans = runs.large()
    text = of_spans(kernel, tmp_path, spans)
    shown = sum(len(span["Thoughts"]) + len((span["Results"] or {}).get("Contents", "")) for span in spans)
    assert shown > 4_500_000 and len(text) <= 1.3 * shown


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nonsense"], 3, "nonsense names no commit in this repository"),
        (["HEAD", "--trajectory", "x"], 2, "report takes a COMMIT or --trajectory FILE"),
        (["--trajectory", "/nowhere"], 3, "/nowhere: No such file or directory"),
        (["--trajectory", "MAINTAINERS"], 3, "holds no spans"),
        (["HEAD", "-o", "/nowhere/x.html"], 3, "/nowhere/x.html: No such file or directory"),
    ],
)
def test_wrong_use_ends_in_one_sentence(kernel: Kernel, arguments: list[str], code: int, sentence: str) -> None:
    out, error = kernel.triage_both("report", *arguments, ok=code)
    lines = error.splitlines()
    assert out == "" and sentence in lines[-1] and (len(lines) == 1 or lines[0].startswith("usage: patch-triage report "))


def test_an_empty_commit_has_nothing_to_report(kernel: Kernel) -> None:
    kernel.git("commit", "-q", "--allow-empty", "-m", "empty")
    assert "is an empty commit" in kernel.triage_both("report", ok=3)[1]


def test_a_trajectory_outside_of_any_repository(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    file = runs.write(tmp_path / "elsewhere/run.jsonl", list(runs.documents()))
    out = kernel.beside(tmp_path / "elsewhere").triage("report", "--trajectory", str(file))
    assert out.startswith("patch-triage-run.html") and json.loads(file.read_text().splitlines()[0])["Seq"] == 0
    sound((tmp_path / "elsewhere/patch-triage-run.html").read_text())
