"""Outside users: the kernel files that include, build or read a file outside of the kernel's directories.

By their paths, files in Documentation/, tools/ or another architecture are not part of the kernel; a line elsewhere can make one a part.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hook import lazy_re
from hook.kernel.no_kernel_code import NO_KERNEL_CODE, in_kernel
from hook.source.grep import grep, holding
from hook.source.tree import Source
from hook.source.words import is_number

_MOST_FILES = 300  # that hold all words of a name, and are read
_MOST_CHANGED = 2000  # files that the index has not read: every one of them would be a candidate
_INCLUDABLE = lazy_re.compile(r"\.(?:[chSs]|inc|def|tbl|rs)\Z")
_PROSE = [r"[.](rst|txt|md|json|ya?ml)", "README"]  # searched for once for all such files of a change
_PROSE_NAME = lazy_re.compile(r"\.(?:rst|txt|md|json|ya?ml)\Z|README[^/]*\Z")
_MOST_UNREAD = 64  # files that the index has not read, among which a file that embeds another one is searched
_MAKEFILE = lazy_re.compile(r"(?:Makefile|Kbuild|Kconfig)[^/]*\Z|[^/]+\.mk\Z")
_SOURCED = lazy_re.compile(rb"(?m)^[ \t]*o?r?source[ \t]+[^\n]*+")  # the lines of a Kconfig file that name another file
_INCLUDING = rb"(?m)^[^\n]*\b(?:include|include_next|import|embed|incbin|__FILE__)\b[^\n]*?(?<![\w.-])"
_EMBEDS = (b"incbin", b"embed", b"include_str", b"include_bytes")
_COMMENT_LINE = lazy_re.compile(rb"(?m)^[ \t]*+#[^\n]*+")


def outside_users(source: Source, path: str, srcarch: str) -> list[str] | None:
    """The files of a kernel for `srcarch` that include a file or hand it to an assembler, and the makefiles that name it.

    Such a line names the place (`Documentation`, `arch/arm`) and the file. If a makefile adds a directory of the place to the include path
    (-I), it is a user of all headers there. None if there is no index and the tree is not small, or if too many files hold both names;
    for a file that no compiler reads, such as prose, the makefiles and the assembly are searched then.
    """
    parts = path.split("/")
    place = "/".join(parts[:2] if parts[0] == "arch" else parts[:1]) + "/" if len(parts) > 1 else ""
    if parts[0] != "arch" and not path.startswith(NO_KERNEL_CODE):
        if parts[-1].startswith("."):
            return []  # settings of git and of editors; a makefile names such a file only to exclude it
        place = ""  # a README beside code: any file may include it by its name alone
    stem = parts[-1].rpartition(".")[0] or parts[-1]
    if place and parts[-1].endswith(".h") and (adding := _adding(source, place, path)):
        return adding
    candidates = _holding(source, place, stem)
    is_prose = _INCLUDABLE.search(path) is None
    if candidates is None and is_prose:
        candidates = _makefiles_with(source, _PROSE if _PROSE_NAME.search(path) else [re.sub(r"[^\w-]", ".", parts[-1])], "*.S")
    if candidates is None:
        return None
    files = [
        file for file in candidates if file != path and not (place and file.startswith(place)) and in_kernel(file, srcarch, NO_KERNEL_CODE)
    ]
    if len(files) > _MOST_FILES and is_prose:
        files = [file for file in files if file.endswith(".S") or _MAKEFILE.match(file.rpartition("/")[2])]
    if len(files) > _MOST_FILES:
        return None
    name, directory, place_pattern = (
        re.escape(part.encode("utf-8", "surrogateescape")) for part in (parts[-1], "/".join(parts[-2:-1]), place)
    )
    # the include must name the place: `<asm/io.h>` means no other architecture. A name in quotes may be included through a macro
    quoted = rb"[\"<][^\"<>\n]*" + place_pattern + rb"(?:[^\"<>\n]*/)?" + name + rb"\\?[\">]"
    includes = re.compile(quoted if place else _INCLUDING + name + rb"(?![\w-])")
    built = name if _MAKEFILE.match(parts[-1]) else rb"(?:" + name + rb"|" + re.escape(stem.encode("utf-8", "surrogateescape")) + rb"\.o)"
    # a makefile in another directory names the directory of the file too
    line = rb"(?m)^[ \t-]*s?include\b[^\n]*" if _MAKEFILE.match(parts[-1]) else rb""
    named_beside = re.compile(line + rb"(?<![\w.-])" + built + rb"(?![\w-])")
    named_elsewhere = re.compile(line + rb"(?<![\w.-])" + directory + rb"/" + built + rb"(?![\w-])")
    users = []
    for user, blob in zip(files, source.files(files), strict=True):
        text = blob.data if blob is not None else None
        if text is None:
            return None
        text = text.replace(b"\\\n", b" ")
        if _MAKEFILE.match(user.rpartition("/")[2]):
            names = named_beside if user.rpartition("/")[0] == path.rpartition("/")[0] else named_elsewhere
            if user.rpartition("/")[2].startswith("Kconfig"):
                text = b"\n".join(_SOURCED.findall(text))
            is_user = names.search(_COMMENT_LINE.sub(b"", text)) is not None
        else:
            is_user = includes.search(text) is not None
        if is_user:
            users.append(user)
    return users


def _adding(source: Source, place: str, path: str) -> list[str]:
    """The makefiles of the kernel that add the directory of a header, or one above it, to the include path."""
    makefiles = [
        file
        for file in _holding(source, place, "") or ()
        if _MAKEFILE.match(file.rpartition("/")[2]) and not file.startswith((place, *NO_KERNEL_CODE))
    ]
    added = re.compile(rb"-I[ \t]*(?:\$[({]\w+[)}]/)?(" + re.escape(place.encode("utf-8", "surrogateescape")) + rb"[^\s)]*)")
    return [
        makefile
        for makefile, blob in zip(makefiles, source.files(makefiles), strict=True)
        if blob is None  # it exists, and cannot be read
        or blob.data is None
        or any(path.encode("utf-8", "surrogateescape").startswith(directory) for directory in added.findall(blob.data))
    ]


def readers_of_text(source: Source, path: str) -> list[str]:
    """The files that may read a file of code as text, with its comments: makefiles that name it (sed, awk, perl), and files that embed it.

    These are the makefiles of its own directory; for a header, all makefiles. In a large tree without an index, or far from it, that is so
    of a header in include/ or arch/*/include/ alone, and embedding files are searched in the directory of the file.
    """
    directory, _, name = path.rpartition("/")
    files = [f"{directory}/{makefile}" for makefile in ("Makefile", "Kbuild") if source.oid(f"{directory}/{makefile}")]
    files_with_name = _holding(source, "", name.rpartition(".")[0]) if name.endswith(".h") else None
    if files_with_name is not None or (name.endswith(".h") and re.match(r"include/|arch/[^/]+/include/", path)):
        files = (
            _makefiles_with(source, [re.sub(r"[^\w-]", ".", name)])
            if files_with_name is None
            else [file for file in files_with_name if _MAKEFILE.match(file.rpartition("/")[2])]
        )
    spelled = re.escape(name.encode("utf-8", "surrogateescape"))
    is_common = re.match(r"include/|arch/[^/]+/include/", path) is not None
    last = re.escape(directory.rpartition("/")[2].encode("utf-8", "surrogateescape"))
    beside, elsewhere = (
        re.compile(above + rb"(?<![\w.-])" + spelled + rb"(?![\w-])") for above in (b"", b"" if is_common else last + b"/")
    )
    users = []
    for user, blob in zip(files, source.files(files), strict=True):
        named = beside if user.rpartition("/")[0] == directory else elsewhere
        if blob is None or blob.data is None or named.search(_COMMENT_LINE.sub(b"", blob.data)):
            users.append(user)
    embedding_files = [file for file in _embedding(source, path) if file != path]
    embeds = re.compile(rb"\b(?:" + b"|".join(_EMBEDS) + rb")\b[^\n]*(?<![\w.-])" + spelled + rb"(?![\w-])")
    blobs = zip(embedding_files, source.files(embedding_files), strict=True)
    return users + [user for user, blob in blobs if blob is None or blob.data is None or embeds.search(blob.data.replace(b"\\\n", b" "))]


def _embedding(source: Source, path: str) -> list[str]:
    """The files that may embed another one unchanged: by .incbin of an assembler, #embed, or a macro of Rust."""
    directory, _, name = path.rpartition("/")
    words = [word for word in re.findall(r"\w+", name.rpartition(".")[0] or name) if not is_number(word) and word.isascii()]
    if not _is_far_from_its_index(source, _MOST_UNREAD) and (source.index is not None or source.is_small):
        by_directive = [holding(source, *words, directive.decode()) for directive in _EMBEDS]
        if None not in by_directive:
            return sorted({file for files in by_directive for file in files or () if not file.startswith(NO_KERNEL_CODE)})
    return [f"{directory}/{entry.name}" for entry in source.names(directory) or () if entry.name.endswith(".S")]


def _makefiles_with(source: Source, names: Sequence[str], *others: str) -> list[str]:
    """The makefiles, and files that a glob of `others` matches, with a match of one of `names`, in a large tree without an index.

    Git searches only these, and once for each expression. Raises GitError.
    """
    expression = "|".join(names)
    if expression not in source.searched:
        globs = ("*Makefile*", "*Kbuild*", "*.mk", *others)
        makefiles, cut = grep(
            source, expression, options=("--files-with-matches",), globs=globs, limit_bytes=1 << 20, seconds=source.repo.seconds
        )
        changed = [
            path for path, blob in source.changes.items() if blob and (path.endswith(".S") or _MAKEFILE.match(path.rpartition("/")[2]))
        ]
        source.searched[expression] = [*makefiles, *changed, *(["a makefile that was not searched"] if cut else [])]
    return source.searched[expression]


def _is_far_from_its_index(source: Source, most: int) -> bool:
    if source.index is None:
        return len(source.changes) > most
    from hook.source.index import NoIndex

    try:
        return source.changed_files() > most
    except NoIndex as wrong:
        source.index_failed(str(wrong))
        return True


def _holding(source: Source, place: str, stem: str) -> list[str] | None:
    """The files with the words of a place and of a name; None if that is not known, or if a change has very many files."""
    if _is_far_from_its_index(source, _MOST_CHANGED):
        return None
    words = [word for word in re.findall(r"[A-Za-z0-9_]+", f"{place} {stem}") if not is_number(word)]
    source.rests_on_all = True
    return holding(source, *words) if words and stem.isascii() else None
