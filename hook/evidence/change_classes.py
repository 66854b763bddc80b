"""Change classes: what kind of edit a piece of a patch is. docs/evidence.md has what each means and what proves it harmless."""

from __future__ import annotations

import enum


class ChangeClass(enum.StrEnum):
    """The values are what people and programs read in ChangeClasses."""

    # by the path of the file
    DOCUMENTATION = "documentation"
    PROJECT_RECORD = "project record"
    GIT_SETTINGS = "git and editor settings"
    USER_TOOL = "user-space tool"
    KERNEL_TEST = "test of the kernel"
    DEVELOPER_SCRIPT = "developer's script"
    DEVICE_TREE = "device tree"
    # a file as a whole
    FILE_MODE = "file mode"
    FILE_ADDED = "file added"
    FILE_REMOVED = "file removed"
    FILE_RENAMED = "file renamed"
    # proved by equal tokens
    WHITE_SPACE = "white space"
    COMMENT = "comment"
    DOC_COMMENT = "documentation comment"
    HELP_TEXT = "help text"
    PROMPT_TEXT = "prompt text"
    # proved by a rule
    MODULE_METADATA = "module metadata"
    INCLUDE_ORDER = "include order"
    UNUSED_MACRO = "unused macro"
    SPELLING = "spelling"
    LOG_TEXT = "log text"
    LOCAL_RENAME = "local rename"
    # proved by a rule, or only described
    INCLUDE = "include"
    DECLARATION = "declaration"
    ANNOTATION = "annotation"
    LOG_CALL = "log call"
    TRACEPOINT_CALL = "tracepoint call"
    # only described
    CODE = "code"
    CONSTANT = "constant"
    ASSERTION = "assertion"
    MOVED_CODE = "moved code"
    PREPROCESSOR_CONDITION = "preprocessor condition"
    MACRO_BODY = "macro body"
    TYPE_LAYOUT = "type layout"
    DATA = "data"
    DATA_TABLE = "data table"
    FUNCTION_ADDED = "function added"
    FUNCTION_REMOVED = "function removed"


# of statements, that count as functional unless they are proved harmless
FUNCTIONAL = frozenset((ChangeClass.ASSERTION, ChangeClass.CODE, ChangeClass.CONSTANT))
# of statements, which run only if the function runs
OF_STATEMENTS = FUNCTIONAL | {ChangeClass.LOG_CALL, ChangeClass.TRACEPOINT_CALL}
# of edits that only add functions, and what comes with them
OF_ADDITIONS = frozenset(
    (ChangeClass.FUNCTION_ADDED, ChangeClass.DECLARATION, ChangeClass.COMMENT, ChangeClass.DOC_COMMENT, ChangeClass.WHITE_SPACE)
)
