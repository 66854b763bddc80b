"""Hostile edits: random edits of C files, and scenes in which an edit that looks harmless is not."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import random
import re
from collections.abc import Callable, Sequence

from tests.evidence.functional import edits

_CODE = re.compile(r"(?m)^[^#\n]*\n")
_NUMBER = re.compile(r"(?<![\w.\"])(0x[0-9a-fA-F]+|[1-9]\d*)(?![\w.\"])")
_DECLARATION = re.compile(
    r"(?m)^\t+(?:(?:const|unsigned|static|volatile) )*(?:struct |union |enum )?\w+(?: \**| )\w+(?:, \**\w+)*(?: = [^;\n]*)?;\n"
)
_INCLUDE = re.compile(r"(?m)^#include [<\"].*\n")
_DEFINE = re.compile(r"(?m)^#define \w+.*(?:\\\n.*)*\n")
_ONE_STATEMENT = re.compile(r"(?m)^(\t+)((?:if|while|for) \([^\n;{}]*\)|else) \{\n(\t+[^\n{}]*;\n)\1\}\n")
_UNBRACED = re.compile(r"(?m)^(\t+)((?:if|while|for) \([^\n;{}]*\))\n(\t+[^\n{}]*;\n)(?!\t*else)")
_FUNCTION = re.compile(r"(?m)^static (?!inline)(?=[^;=\n]*\()")
_HEAD = re.compile(r"(?m)^(static (?:struct )?\w+ \**\w+\([^;{}]*\))\n\{\n")
_PROTOTYPE = re.compile(r"(?m)^static [^;{}=\n]*\([^;{}]*\);\n")
_STRING = re.compile(r'"(?:[^"\\\n%]){3,}"')
_METADATA = re.compile(r'(?m)^MODULE_(?:AUTHOR|DESCRIPTION)\("[^"\n]*"\);\n')
_INT = re.compile(r"(?m)^\tint (\w+);$")
_MIN = re.compile(r"\bmin\((?=\w+, \w+\))")
_STATIC = re.compile(r"(?m)^(static (?:int|bool|unsigned int|u32|u8|long|struct \w+ \*) ?\w+)( = (?:0|NULL|false))?;$")
_RETURN = re.compile(r"\breturn (-?\w+|\w+\([\w, ]*\));")
_RETURN_IN_PARENTHESES = re.compile(r"\breturn \(([^();]*)\);")
_STATEMENT = re.compile(r"(?m)^(\t+)[^\s#/*{}][^;{}\n]*;\n")
_LOG = re.compile(
    r"(?m)^(\t+)((?:pr|dev|netdev|netif|hid|drm|pci)_(?:err|warn|info|dbg|notice|debug)|printk|DRM_\w+|dbg|DBG)"
    r'\(((?:[^";()]*, ?)?)("(?:[^"\\\n]|\\.)*")((?:, ?[^;"]*)?)\);\n'
)
_TRACE = re.compile(r"(?m)^\t+trace_\w+\([^;{}]*\);\n")
_OPERAND = re.compile(r"\b[a-z_]\w*(?:(?:->|\.)\w+)*(?:\[\w+\])?(?![\w(\[])|\b[A-Z][A-Z_0-9]{2,}\b(?!\()|\b\w+\([\w, >.&-]*\)")
_WORD = re.compile(r"\b[A-Za-z_]\w{2,}\b")
_GAP = re.compile(r"(?<=[\w)]) ?([+*/<>=&|?:,-]{1,2}) ?(?=[\w(])")
_SPACE = re.compile(r"(?<=[^\s\\]) (?=[^\s\\])")
_ANNOTATIONS = ("__maybe_unused ", "__init ", "__must_check ", "noinline ", "__cold ", "__always_inline ", "notrace ", "__always_unused ")
_LEVELS = ("err", "warn", "info", "dbg", "notice", "err_ratelimited", "info_once", "dbg_ratelimited", "warn_once")
_FORMS = ("%d", "%u", "%lu", "%llu", "%s", "%p", "%x", "%zu", "%pM", "%c", "%.4s", "%*ph")
Maker = Callable[[str, random.Random], str | None]
Scene = Callable[[str, random.Random], tuple[str, str] | None]


@dataclasses.dataclass(frozen=True)
class Edit:
    """A new version of some lines of a text: which lines, and what stands there instead, from top to bottom."""

    hunks: tuple[tuple[int, int, str], ...]

    @property
    def span(self) -> tuple[int, int]:
        return self.hunks[0][0], self.hunks[-1][1]

    def meets(self, other: Edit) -> bool:
        """Whether two edits touch, or one stands between the hunks of the other."""
        return self.span[0] <= other.span[1] and other.span[0] <= self.span[1]


def between(old: str, new: str) -> Edit | None:
    """The edit that makes one text of another; None where nothing differs."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    start = next((at for at, (was, now) in enumerate(zip(before, after, strict=False)) if was != now), min(len(before), len(after)))
    most = min(len(before), len(after)) - start
    end = next((at for at in range(most) if before[-1 - at] != after[-1 - at]), most)
    middle = before[start : len(before) - end], after[start : len(after) - end]
    hunks = [
        (start + a, start + b, "".join(middle[1][c:d]))
        for operation, a, b, c, d in difflib.SequenceMatcher(None, *middle, autojunk=False).get_opcodes()
        if operation != "equal"
    ]
    return Edit(tuple(hunks)) if hunks else None


def applied(text: str, chosen: Sequence[Edit]) -> str:
    """A text with edits that do not meet."""
    lines = text.splitlines(keepends=True)
    for begin, end, new in sorted((hunk for edit in chosen for hunk in edit.hunks), reverse=True):
        lines[begin:end] = [new]
    return "".join(lines)


def _at_random(pattern: re.Pattern[str], new: Callable[[re.Match[str], random.Random], str]) -> Maker:
    """One match of a pattern, written another way."""

    def edit(text: str, rng: random.Random) -> str | None:
        found = list(pattern.finditer(text))
        if not found:
            return None
        match = rng.choice(found)
        return text[: match.start()] + new(match, rng) + text[match.end() :]

    return edit


def _spelled(match: re.Match[str], rng: random.Random) -> str:
    value = int(match[1], 0)
    return (str(value) if match[1].startswith("0x") else hex(value)) + rng.choice(["", "", "", "U", "L"])


def _token_lost(text: str, rng: random.Random) -> str | None:
    lines = [match for match in _CODE.finditer(text) if re.search(r"\w", match[0])]
    if not lines:
        return None
    line = rng.choice(lines)
    words = list(re.finditer(r"\w+|[^\w\s]", line[0]))
    word = rng.choice(words)
    other = rng.choice(["", rng.choice(words)[0], f"{word[0]} {word[0]}"])
    return text[: line.start() + word.start()] + other + text[line.start() + word.end() :]


def _includes_swapped(text: str, rng: random.Random) -> str | None:
    found = list(_INCLUDE.finditer(text))
    pairs = [(one, two) for one, two in itertools.pairwise(found) if one.end() == two.start()]
    if not pairs:
        return None
    one, two = rng.choice(pairs)
    return text[: one.start()] + two[0] + one[0] + text[two.end() :]


def _declarations_swapped(text: str, rng: random.Random) -> str | None:
    """Two declarations of a block, or of a structure, change places; what stands between them is neither read nor kept apart."""
    found = list(_DECLARATION.finditer(text))
    pairs = [
        (found[at], found[at + far])
        for far in (1, 1, 2)
        for at in range(len(found) - far)
        if found[at + far].start() - found[at].end() < 80
    ]
    if not pairs:
        return None
    one, two = rng.choice(pairs)
    return text[: one.start()] + two[0] + text[one.end() : two.start()] + one[0] + text[two.end() :]


def _harmless(text: str, rng: random.Random) -> str | None:
    made = edits.harmless(text, rng)
    return made[0] if made else None


def _by(match: re.Match[str], rng: random.Random) -> str:
    return match[0].replace('("', rng.choice(['("By ', '("By \\"', '("By\\0alias=', '("By " "']))


def _around(text: str, at: int) -> str:
    """The function around a place, roughly."""
    return text[max(0, text.rfind("\n}\n", 0, at)) : text.find("\n}\n", at) + 1]


def _logged(text: str, at: int, rng: random.Random) -> str:
    """A log call with operands from the function that it is put into."""
    body = _around(text, at)
    operands = [
        match[0] for match in _OPERAND.finditer(body) if not re.match(r"(?:if|while|for|switch|return|sizeof|goto|else)\b", match[0])
    ]
    devices = re.findall(r'\bdev_\w+\(([^",;()]+), "', body)
    count = rng.choice([0, 1, 1, 1, 2])
    given = [rng.choice(operands or ["0"]) for _ in range(count)]
    given = [rng.choice(["{}", "{}", "{}", "{} * 2", "(u8){}", "!{}", "&{}", "*{}", "{}++", "{} ? 1 : 2"]).format(one) for one in given]
    form = "".join(" " + rng.choice(["%d", "%u", *_FORMS]) for _ in given)
    name = rng.choice(["pr_info", "pr_debug", "pr_err", "printk"])
    if devices and rng.random() < 0.5:
        return f"dev_{rng.choice(_LEVELS)}({', '.join([rng.choice(devices), chr(34) + 'zq' + form + chr(92) + 'n' + chr(34), *given])});\n"
    return f"{name}({', '.join([chr(34) + 'zq' + form + chr(92) + 'n' + chr(34), *given])});\n"


def _log_call_added(text: str, rng: random.Random) -> str | None:
    places = list(_STATEMENT.finditer(text))
    if not places:
        return None
    place = rng.choice(places)
    return text[: place.end()] + place[1] + _logged(text, place.end(), rng) + text[place.end() :]


def _relevelled(match: re.Match[str], rng: random.Random) -> str:
    family = match[2].partition("_")[0] if "_" in match[2] else "pr"
    return match[0].replace(match[2] + "(", f"{family}_{rng.choice(_LEVELS)}(", 1)


def _logged_otherwise(match: re.Match[str], rng: random.Random) -> str:
    arguments = match[5].split(",")
    if len(arguments) > 2 and rng.random() < 0.5:
        arguments[1], arguments[2] = arguments[2], arguments[1]
    elif len(arguments) > 1:
        one = rng.randrange(1, len(arguments))
        arguments[one] = rng.choice([" ({})", " (int){}", " {} + 1", " !{}"]).format(arguments[one].strip())
    text = rng.choice(
        [match[4], match[4][:-1] + '."', match[4].replace("%d", "%u", 1), match[4].replace("%s", "%p", 1), '"' + "x" + match[4][1:]]
    )
    return f"{match[1]}{match[2]}({match[3]}{text}{','.join(arguments)});\n"


def _prototype_added(text: str, rng: random.Random) -> str | None:
    heads = list(_HEAD.finditer(text))
    return _after_includes(text, rng.choice(heads)[1] + ";\n") if heads else None


def _renamed_to_a_word(text: str, rng: random.Random) -> str | None:
    locals_ = list(re.finditer(r"(?m)^\t(?:int|u32|bool|long|unsigned int|size_t|u8|struct \w+ \*) ?(\w+)(?: = [^,;\n]*)?;$", text))
    if not locals_:
        return None
    local = rng.choice(locals_)
    body = _around(text, local.start())
    begin = text.index(body)
    words = _WORD.findall(text)
    name = rng.choice([rng.choice(words) + rng.choice(["", "2", "_new"]), "current", "zqn", "ret2", "status2"])
    return text[:begin] + re.sub(rf"(?<![.>\w]){local[1]}\b", name, body) + text[begin + len(body) :]


def _defined(text: str, rng: random.Random) -> str | None:
    words = _WORD.findall(text)
    name = rng.choice(words) + rng.choice(["_ZQ", "", "2"])
    return _after_includes(text, f"#define {name} {rng.choice(['1', '', rng.choice(words)])}\n")


def _included(text: str, rng: random.Random) -> str | None:
    header = rng.choice(["kernel", "types", "slab", "module", "list", "mutex", "device", "io", "errno", "bug", "err", "compiler", "printk"])
    found = list(_INCLUDE.finditer(text))
    if not found:
        return None
    at = rng.choice(found).end()
    return text[:at] + f"#include <linux/{header}.h>\n" + text[at:]


def _comment_between_tokens(text: str, rng: random.Random) -> str | None:
    return _at_random(_SPACE, lambda match, rng: rng.choice([" /* zq */ ", "\n", "  ", "/**/", " \\\n", "\\\n", " // zq\n"]))(text, rng)


_BRACES_OFF = _at_random(_ONE_STATEMENT, lambda match, rng: f"{match[1]}{match[2]}\n{match[3]}")
_BRACES_ON = _at_random(_UNBRACED, lambda match, rng: f"{match[1]}{match[2]} {{\n{match[3]}{match[1]}}}\n")
_LOG_CALL_OFF = _at_random(_LOG, lambda match, rng: "")
_ANNOTATED = _at_random(_FUNCTION, lambda match, rng: match[0] + rng.choice(_ANNOTATIONS))
EDITS: Sequence[Maker] = (
    *(_harmless,) * 12,
    edits.effective,
    *(_token_lost,) * 2,
    *(_comment_between_tokens,) * 3,
    *(_log_call_added,) * 8,
    *(_LOG_CALL_OFF,) * 3,
    *(_at_random(_LOG, _relevelled),) * 3,
    *(_at_random(_LOG, _logged_otherwise),) * 4,
    _at_random(_TRACE, lambda match, rng: ""),
    *(_at_random(_GAP, lambda match, rng: rng.choice(["", " "]) + match[1] + rng.choice(["", " "])),) * 2,
    *(_at_random(_NUMBER, _spelled),) * 3,
    *(_includes_swapped,) * 6,
    *(_declarations_swapped,) * 6,
    _included,
    _at_random(_INCLUDE, lambda match, rng: rng.choice(["", match[0] * 2])),
    *(_at_random(_DEFINE, lambda match, rng: ""),) * 3,
    *(_defined,) * 3,
    *(_BRACES_OFF, _BRACES_ON, _BRACES_ON, _ANNOTATED, _ANNOTATED, *(_prototype_added,) * 3),
    _at_random(_PROTOTYPE, lambda match, rng: ""),
    *(_renamed_to_a_word,) * 4,
    _at_random(_STATIC, lambda match, rng: match[1] + ("" if match[2] else rng.choice([" = 0", " = NULL", " = 1", " = false"])) + ";"),
    *(_at_random(_RETURN, lambda match, rng: f"return ({match[1]});"),) * 2,
    _at_random(_RETURN_IN_PARENTHESES, lambda match, rng: f"return {match[1]};"),
    _at_random(_STRING, lambda match, rng: match[0][:2] + "q" + match[0][2:]),
    *(_at_random(_STRING, lambda match, rng: match[0][:2] + '" "' + match[0][2:]),) * 2,
    _at_random(re.compile(r"(?m)^\t+fallthrough;\n"), lambda match, rng: rng.choice(["", "\t\tbreak;\n"])),
    _at_random(re.compile(r" __(?:iomem|force|user|rcu|maybe_unused|must_check|percpu)\b"), lambda match, rng: ""),
    _at_random(_METADATA, _by),
)


def _after_includes(text: str, more: str) -> str:
    last = end_of_includes(text)
    return text[:last] + more + text[last:]


def end_of_includes(text: str) -> int:
    """Where the last include ends that stands under no condition, before the first function."""
    function = re.search(r"(?m)^\{", text)
    last = depth = 0
    for line in re.finditer(
        r"(?m)^[ \t]*#[ \t]*(if|ifdef|ifndef|endif|include)\b.*(?:\\\n.*)*\n", text[: function.start() if function else None]
    ):
        depth += line[1].startswith("if") - (line[1] == "endif")
        last = line.end() if line[1] == "include" and depth == 0 else last
    return last


def _planted(before: str, after: str, scene: str) -> Scene:
    """A scene that holds `before`, edited to `after`; in all three `@` stands for a name that the file has not."""

    def plant(text: str, rng: random.Random) -> tuple[str, str] | None:
        name = f"zq{rng.randrange(10_000)}"
        old, new = (text + scene.replace("BEFORE", side).replace("@", name) for side in (before, after))
        return old, new

    return plant


def _redefined(pattern: re.Pattern[str], macro: str, scene: str, new: Callable[[re.Match[str], random.Random], str]) -> Scene:
    """A macro that the file uses, defined anew by the file itself, and an edit of one of its uses."""
    edit = _at_random(pattern, new)

    def plant(text: str, rng: random.Random) -> tuple[str, str] | None:
        old = _after_includes(text, f"#undef {macro}\n{scene}\n")
        made = edit(old, rng)
        return (old, made) if made is not None and made != old else None

    return plant


_TEXT = "#define @_text(x) #x\nconst char *@_is(void);\nconst char *@_is(void)\n{\n\treturn @_text(BEFORE);\n}\n"
_PASTED = """#define @_n BEFORE
#define @_two(a, b) a##b
#define @_name(a, b) @_two(a, b)
int @_f1(void);
int @_f0x1(void);
int @_g(void);
int @_g(void)
{
	return @_name(@_f, @_n)();
}
"""
_PREFIX = """BEFORE#define @_get(n) (@_p_##n)
extern int @_p_x;
int @_v(void);
int @_v(void)
{
	return @_get(x);
}
"""
_CAPTURED = """#define @_now() (n)
int m, n;
int @_f(int);
int @_f(int k)
{
	BEFORE = k;

	return @_now();
}
"""
_TWO_STATEMENTS = """#define @_two @_a(); @_a()
void @_a(void);
void @_f(int);
void @_f(int x)
{
	if (x)
		BEFORE
}
"""
_FORCED = """#undef __force
#define __force *(volatile int *)&
int @_f(int);
int @_f(int x)
{
	return BEFORE x + BEFORE x;
}
"""
# a macro in lower case with the name of a local, in a log call
_SHADOWED = """int @_count(void);
int @_f(int);
#define @_x @_count()
int @_f(int n)
{
	int k = n;

	BEFORE
	return k;
}
"""
_STRUCTURE = """struct @_s { int a; volatile int b; int *c; };
int @_f(struct @_s *);
int @_f(struct @_s *s)
{
	struct @_s copy = *s;
	volatile int seen = 1;
	int unset;

	BEFORE
	if (!s)
		return 0;
	return copy.a + seen;
}
"""
_OWN_SECTION = '#define __maybe_unused __attribute__((section(".zq")))'
SCENES: Sequence[Scene] = (
    _planted("a+b", "a + b", _TEXT),
    _planted("16", "0x10", _TEXT),
    _planted("a", "/* b */ a", _TEXT.replace("@_text(x) #x", "@_more(x) #x\n#define @_text(x) @_more(x)")),
    _planted("1", "0x1", _PASTED),
    _planted("#define @_p_x 5\n", "", _PREFIX),
    _planted("int n", "int m", _CAPTURED),
    _planted("{ @_two; }", "@_two;", _TWO_STATEMENTS),
    _planted("__force", "", _FORCED),
    *(_planted("", f'pr_info("%d\\n", {one});', _SHADOWED) for one in ("@_x", "k + @_x", "@_count()", "k++", "({ k = 2; })", "(k, n++)")),
    *(_planted("", f'pr_info("%d\\n", {one});', _STRUCTURE) for one in ("copy.b", "seen", "s->b", "copy.a", "s->a++", "(copy.a = 3)")),
    _redefined(_METADATA, "MODULE_AUTHOR", "#define MODULE_AUTHOR(x) const char zq_author[] __attribute__((used)) = x", _by),
    _redefined(_FUNCTION, "__maybe_unused", _OWN_SECTION, lambda match, rng: match[0] + "__maybe_unused "),
    _redefined(_INT, "__maybe_unused", "#define __maybe_unused = 0, zq_other = 1", lambda match, rng: match[0][:-1] + " __maybe_unused;"),
    _redefined(_MIN, "min", "#define min(a, b) (a ## _t)", lambda match, rng: match[0] + " "),
    _redefined(_LOG, "pr_err", "extern int zq_count;\n#define pr_err(f, ...) (zq_count++)", lambda match, rng: ""),
    _redefined(_RETURN, "EINVAL", "extern int zq_error;\n#define EINVAL (zq_error++)", lambda match, rng: f"return ({match[1]});"),
)
