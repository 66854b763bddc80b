"""Outside users: the kernel files that include, build or read a file outside of the kernel's directories.

By their paths, files in Documentation/, tools/ or another architecture are not part of the kernel; a line elsewhere can make one a part.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence

from hook import lazy_re
from hook.kernel.no_kernel_code import NO_KERNEL_CODE, OtherCode, in_kernel, left_out
from hook.source.git import GitError
from hook.source.grep import grep, holding
from hook.source.tree import Source
from hook.source.words import words_of

_MOST_FILES = 300  # that hold all words of a name, and are read
_MOST_CHANGED = 2000  # files that the index has not read
_MOST_SEARCHES = 40  # of all makefiles for one name, where there is no index
_TEST_PROGRAM = "lib/raid6/test/"  # runs in user space
_PLACES = (*NO_KERNEL_CODE, "LICENSES/", "Next/")
# of these no line counts; what scripts/ and usr/ make goes into the kernel
_PROGRAMS = left_out(OtherCode.PROGRAM, OtherCode.SAMPLE, OtherCode.DOCUMENTATION)
_SCRIPT = lazy_re.compile(r"scripts/.*(?<!\.[chS])\Z")
_INCLUDABLE = lazy_re.compile(r"\.(?:[chSs]|inc|def|tbl|rs)\Z")
_PROSE = [r"[.](rst|txt|md|json|ya?ml)", "README"]  # searched for once for all such files of a change
_PROSE_NAME = lazy_re.compile(r"\.(?:rst|txt|md|json|ya?ml)\Z|README[^/]*\Z")
_MAKEFILE = lazy_re.compile(r"(?:Makefile|Kbuild|Kconfig)[^/]*\Z|[^/]+\.mk\Z")
# the lines of a Kconfig file that name another file, or run a command
_SOURCED = lazy_re.compile(rb"(?m)^[ \t]*o?r?source[ \t]+[^\n]*+|^[^\n]*\$\([^\n]*+")
_INCLUDING = rb"(?m)^[^\n]*\b(?:include|include_next|import|embed|incbin|define|__FILE__)\b[^\n]*?(?<![\w.-])"
_EMBEDS = ("incbin", "embed", "include_str", "include_bytes")
_PROGRAM = "stdio"  # a word of the C programs that the build runs, and of no kernel code
_GOALS = lazy_re.compile(rb"(?m)^[ \t]*(?:obj|core|libs?|drivers|net|virt|head|init|subdir)-[^\n=]*=([^\n]*)")
# a rule that compiles, and does nothing else
_COMPILING = lazy_re.compile(
    rb"(?m)^[^\n:\t]*\.o[ \t]*:(?![^\n]*\$\((?:shell|file)\b)[^\n;]*+"
    rb"(?:\n\t[ \t]*\$\(call if_changed\w*,(?:cc|as)_\w+\)[ \t]*+)*+(?=\n(?!\t)|\Z)"
)
_COMMENT_LINE = lazy_re.compile(rb"(?m)^[ \t]*+#[^\n]*+")


def outside_users(source: Source, path: str, srcarch: str) -> list[str] | None:
    """The files of a kernel for `srcarch` that include a file or hand it to an assembler, and the makefiles that name it.

    Such a line names the place (`Documentation`, `arm` of arch/arm) and the file. A makefile that takes all of a directory of the place, by
    the include path (-I), by a pattern or as a goal, is a user of all code there. None if there is no index and the tree is not small, or
    if too many files hold both names. For a file of such a place that no compiler reads, the makefiles and the assembly are searched then.
    """
    *directories, name = path.split("/")
    # of the target's own architecture only device trees are none of the kernel's
    depth = 1 if directories[:1] != ["arch"] else 2 if directories[1:2] != [srcarch] else 4
    place = "/".join(directories[:depth]) + "/" if directories else ""
    if directories[:1] != ["arch"] and not path.startswith(_PLACES):
        if name.startswith("."):
            return []  # settings of git and of editors; a makefile names such a file only to exclude it
        place = ""  # a README beside code: any file may include it by its name alone
    stem = name.rpartition(".")[0] or name
    is_prose = _INCLUDABLE.search(name) is None
    if place and not is_prose and (takers := _taking_all(source, place, path)):
        return takers
    candidates = _holding(source, place, name if is_prose else stem)
    if candidates is not None and directories[:1] == ["arch"] and directories[1:]:  # from arch/x86 it may be ../arm
        candidates += [file for file in _holding(source, directories[1], stem) or () if file.startswith("arch/") and file not in candidates]
    if candidates is None and is_prose and (place or not _PROSE_NAME.search(name)):
        candidates = _makefiles_with(source, _PROSE if _PROSE_NAME.search(name) else [_any_spelling(name)], "*.S")
    files = [file for file in candidates or () if file != path and _may_use(file, place, srcarch)]
    if candidates is None or len(files) > _MOST_FILES:
        return None
    if not files:  # as of most files of documentation: no pattern is compiled for them
        return []
    spelled, spelled_stem = (re.escape(part.encode("utf-8", "surrogateescape")) for part in (name, stem))
    includes = _including(place.removeprefix("arch/"), spelled)
    is_makefile = _MAKEFILE.match(name) is not None
    built = spelled if is_makefile else rb"(?:" + spelled + rb"|" + spelled_stem + rb"\.o|[^\s/]*[%*][^\s/]*)"
    line = rb"(?m)^[ \t-]*s?include\b[^\n]*" if is_makefile else rb""
    # a makefile in another directory names the directory of the file too
    beside, elsewhere = (_naming(built if above else spelled, above, line) for above in ("", "/".join(directories[-1:])))
    from_top = re.compile(rb"(?<![\w.-])" + re.escape(path.encode("utf-8", "surrogateescape")) + rb"(?![\w-])")
    users = []
    for user, blob in zip(files, source.files(files), strict=True):
        text = blob.data if blob is not None else None
        if text is None:
            return None
        form, shown = includes, name
        if _MAKEFILE.match(user.rpartition("/")[2]):
            form, shown = beside if user.rpartition("/")[0] == path.rpartition("/")[0] else elsewhere, stem
        if place and user.rpartition("/")[2].startswith("Kconfig"):
            form = from_top
        if shown.encode("utf-8", "surrogateescape") in text and form.search(_rules(user, text)):
            users.append(user)
    return users


def _may_use(file: str, place: str, srcarch: str) -> bool:
    """Whether a file may make one of another place a part of the kernel."""
    is_makefile = _MAKEFILE.match(file.rpartition("/")[2]) is not None
    return in_kernel(file, srcarch, (*_PROGRAMS, *([place] if place else []))) and (is_makefile or not _SCRIPT.match(file))


def _including(place: str, name: bytes) -> re.Pattern[bytes]:
    """A line that includes a file of a place by its path. A name in quotes may be included through a macro, and so may one without.

    The place must be named: `<asm/io.h>` means no other architecture.
    """
    if not place:
        return re.compile(_INCLUDING + name + rb"(?![\w-])")
    behind = re.escape(place.encode("utf-8", "surrogateescape")) + rb"(?:[^\"<>\n]*/)?" + name
    return re.compile(
        rb"[\"<](?:[^\"<>\n]*/)?" + behind + rb"\\?[\">]|(?m:^)[ \t]*#[ \t]*(?:include|define)\b[^\n\"<]*(?<![\w.-])" + name + rb"(?![\w-])"
    )


def _taking_all(source: Source, place: str, path: str) -> list[str]:
    """The makefiles of the kernel that take all of the directory of a file, or of one above it: by -I, by a pattern, or as a goal."""
    if place not in source.searched:
        source.searched[place] = [f"{makefile}\n{directory}" for makefile, directory in _taken(source, place)]
    below = path.removeprefix("arch/")
    taken = (entry.split("\n") for entry in source.searched[place])
    return list(dict.fromkeys(makefile for makefile, directory in taken if below.startswith(directory)))


def _taken(source: Source, place: str) -> Iterator[tuple[str, str]]:
    """The directories of a place that makefiles of the kernel take as a whole; all of it, where one cannot be read."""
    shown = place.removeprefix("arch/")
    holders = (file for file in _holding(source, shown, "") or () if not file.startswith((place, *_PROGRAMS, _TEST_PROGRAM)))
    makefiles = [file for file in holders if _MAKEFILE.match(name := file.rpartition("/")[2]) and not name.startswith("Kconfig")]
    # sound/arm/ is no architecture, and drivers/tools/ is no place
    before = rb"(?:(?<=arch/)|(?<=\.\./))" if place != shown else rb"(?:(?<=\.\./)|(?<=[)}]/)|(?<![\w./)}-]))"
    spelled = before + rb"(" + re.escape(shown.encode("utf-8", "surrogateescape")).replace(b"%", b"%%") + rb"%b)"
    forms = (
        re.compile(rb"-I[ \t]*[^\s]*?" + spelled % rb"[^\s)]*"),
        re.compile(rb"(?m:(?<!^))" + spelled % rb"(?:[^\s()/]+/)*" + rb"[^\s()/]*[*%]"),
        re.compile(spelled % rb"(?:[^\s()/]+/)*" + rb"(?=\s|\Z)"),
    )
    for makefile, blob in zip(makefiles, source.files(makefiles), strict=True):
        if blob is None or blob.data is None:
            yield makefile, shown  # it exists, and cannot be read
            continue
        rules = _rules(makefile, blob.data)
        goals = b"\n".join(_GOALS.findall(rules))
        for form, text in zip(forms, (rules, rules, goals), strict=True):
            yield from ((makefile, directory.decode("utf-8", "replace")) for directory in form.findall(text))


def readers_of_text(source: Source, path: str) -> list[str] | None:
    """The files that may read a file of code as text, with its comments: makefiles that name it (sed, awk, perl), files that embed it
    (.incbin of an assembler, #embed, a macro of Rust), and programs of the build that have its name in a string.

    In a large tree without an index, or far from it, the makefiles, all of assembly and Rust, and C of its own directory are searched. None
    if a file cannot be read, or if too many hold its name.
    """
    directory, _, name = path.rpartition("/")
    is_common = re.match(r"include/|arch/[^/]+/include/", path) is not None
    last = directory.rpartition("/")[2]
    holders = embedding = _holding(source, "" if is_common else last, name)
    if source.index is not None and holders is not None:
        embedding = source.files_holding([*([word.lower()] for word in words_of(name)), (*_EMBEDS, _PROGRAM)])
    if holders is None or embedding is None:
        holders = embedding = searched_for(source, path)
    if holders is None or embedding is None:
        return None
    beside = [f"{directory}/{makefile}".lstrip("/") for makefile in ("Makefile", "Kbuild", "Kconfig")]
    beside = [makefile for makefile in beside if source.oid(makefile)]
    users = [user for user in holders if _MAKEFILE.match(user.rpartition("/")[2]) and user not in beside]
    # other makefiles name the root of a crate, for rustc and rustdoc
    users = [*beside, *([] if name.endswith(".rs") else users)]
    users += [user for user in embedding if user != path and not user.startswith(_PROGRAMS) and user not in users]
    if len(users) > _MOST_FILES:
        return None
    spelled = re.escape(name.encode())
    embeds = re.compile(rb"\b(?:" + "|".join(_EMBEDS).encode() + rb")\b[^\n]*(?<![\w.-])" + spelled + rb"(?![\w-])")
    opened = re.compile(rb'(?m)^(?![ \t]*#)[^\n]*"(?:[^"\n]*/)?' + spelled + rb'"')
    readers = []
    for user, blob in zip(users, source.files(users), strict=True):
        text = blob.data if blob is not None else None
        form = embeds
        if _MAKEFILE.match(user.rpartition("/")[2]):
            is_beside = is_common or user.rpartition("/")[0] == directory
            form = _naming(spelled, "" if is_beside else last)
        forms = [form, *([opened] if text is not None and user.endswith((".c", ".h")) and _PROGRAM.encode() in text else [])]
        if text is None or (name.encode() in text and any(one.search(_COMPILING.sub(b"", _rules(user, text))) for one in forms)):
            readers.append(user)
    return readers


def searched_for(source: Source, path: str) -> list[str] | None:
    """The makefiles, all of assembly and Rust, and C of its own directory that name a file or its object; None if that is not known.

    For a large tree without an index.
    """
    directory, _, name = path.rpartition("/")
    stem, dot, ending = name.rpartition(".")
    spelled = f"{_any_spelling(stem)}[.](o|{ending})" if dot else _any_spelling(name)
    try:
        return _makefiles_with(source, [spelled], "*Kconfig*", "*.S", "*.rs", *(f"{directory}/*.{code}" for code in "ch"))
    except GitError:
        return None


def _naming(name: bytes, directory: str, before: bytes = b"") -> re.Pattern[bytes]:
    """A line of a makefile that names a file; behind a directory, or behind a variable that may stand for one, unless that is empty."""
    last = re.escape(directory.encode("utf-8", "surrogateescape"))
    variable = rb"" if _MAKEFILE.match(name.decode("utf-8", "replace")) else rb"|\$[({](?!(?:src|obj|srctree|objtree)[)}])\w+[)}]"
    place = rb"(?:(?<![\w.-])" + last + variable + rb")/" if directory else rb"(?<![\w.-])"
    return re.compile(before + place + name + rb"(?![\w-])")


def _rules(path: str, text: bytes) -> bytes:
    """The joined lines of a file that may use another one: of a makefile without comments, of a Kconfig file those that name a file."""
    joined, name = text.replace(b"\\\n", b" "), path.rpartition("/")[2]
    if name.startswith("Kconfig"):
        return b"\n".join(_SOURCED.findall(joined))
    return _COMMENT_LINE.sub(b"", joined) if _MAKEFILE.match(name) else joined


def _any_spelling(name: str) -> str:
    return re.sub(r"[^\w-]", ".", name)


def _makefiles_with(source: Source, names: Sequence[str], *others: str) -> list[str] | None:
    """The makefiles, and files that a glob of `others` matches, with a match of one of `names`, in a large tree without an index.

    Git searches only these, once for each expression, and for few expressions; None beyond. Raises GitError.
    """
    expression = "|".join(names)
    globs = ("*Makefile*", "*Kbuild*", "*.mk", *others)
    key = "\n".join((expression, *globs))
    if key not in source.searched:
        if len(source.searched) >= _MOST_SEARCHES:
            return None
        makefiles, cut = grep(
            source, expression, options=("--files-with-matches",), globs=globs, limit_bytes=1 << 20, seconds=source.repo.seconds
        )
        changed = [path for path, blob in source.changes.items() if blob and any(fnmatch.fnmatchcase(path, form) for form in globs)]
        source.searched[key] = [*makefiles, *changed, *(["a makefile that was not searched"] if cut else [])]
    return source.searched[key]


def _is_far_from_its_index(source: Source) -> bool:
    """Whether the index has not read very many files: every one of them would be a candidate."""
    if source.index is None:
        return len(source.changes) > _MOST_CHANGED
    from hook.source.index import NoIndex

    try:
        return source.changed_files() > _MOST_CHANGED
    except NoIndex as wrong:
        source.index_failed(str(wrong))
        return True


def _holding(source: Source, place: str, name: str) -> list[str] | None:
    """The files with the words of a place and of a name; None if that is not known, or if a change has very many files."""
    words = words_of(f"{place} {name}")
    source.rests_on_all = True
    return holding(source, *words) if words and name.isascii() and not _is_far_from_its_index(source) else None
