"""A file of under a megabyte that was written to be slow is judged like any other: no rule looks at all of it for each of its parts.

A time limit is only there to end the test: what grows with the square of these sizes takes hours.
"""

from __future__ import annotations

import pytest

from tests.small_kernel import Kernel

POOL, MAKEFILE = "mm/pool.c", "mm/Makefile"
BODY = "int f(int a)\n{\n\treturn 0;\n}\n"


def within(text: str) -> str:
    return BODY.replace("\treturn", f"{text}\n\treturn")


FILES = {
    "if in if": within("\tif (IS_ENABLED(CONFIG_X))\n" * 35_000),
    "if after if": within("\tif (IS_ENABLED(CONFIG_X))\n\t\tg();\n" * 25_000),
    "if without its end": within("\tif (IS_ENABLED(CONFIG_X) && (\n" * 30_000),
    "elif": "#if 0\n" + "".join(f"#elif defined(CONFIG_X{number})\n" for number in range(30_000)) + "#endif\n" + BODY,
    "ifdef in ifdef": "".join(f"#ifdef CONFIG_X{number}\n" for number in range(25_000)) + BODY + "#endif\n" * 25_000,
    "struct": "struct a " * 80_000 + BODY,
    "enum": "enum a {" + "".join(f"A{number},\n" for number in range(90_000)) + "};\n" + BODY,
    "tables": "".join(f"struct file_operations o{number} = {{ .open = f }};\n" for number in range(15_000)) + BODY,
}  # fmt: skip


@pytest.mark.parametrize("shape", FILES)
def test_a_file_that_was_written_to_be_slow(kernel: Kernel, shape: str) -> None:
    text = FILES[shape]
    assert len(text) < 1_000_000
    kernel.commit(POOL, text)
    kernel.stage(POOL, text.replace("return 0", "return 1"))
    assert kernel.triage("check", "--staged", "--offline").startswith("worth fuzzing")


MAKEFILES = {
    "ifdef in ifdef": "".join(f"ifdef CONFIG_X{number}\n" for number in range(20_000)) + "endif\n" * 20_000,
    "else ifdef": "ifdef CONFIG_X\n" + "".join(f"else ifdef CONFIG_X{number}\n" for number in range(20_000)) + "endif\n",
    "objects": "".join(f"obj-y += c{number}.o\nc{number}-y := pool.o\n" for number in range(20_000)),
}


@pytest.mark.parametrize("shape", MAKEFILES)
def test_a_makefile_that_was_written_to_be_slow(kernel: Kernel, shape: str) -> None:
    kernel.commit(MAKEFILE, kernel.read(MAKEFILE) + MAKEFILES[shape])
    kernel.stage(POOL, kernel.read(POOL).replace("--pool->count", "--pool->count & 7"))
    assert kernel.triage("check", "--staged", "--offline").startswith("worth fuzzing")


LONG = "9" * 20_000


@pytest.mark.parametrize(
    "text",
    [
        "#if 0777u\nint a;\n#elif 089\nint b;\n#elif " + LONG + "\nint c;\n#endif\n" + BODY,
        within(f"\tx = {LONG};\n\ty = 089 + 0777u;"),
        within(f'\tint b[{LONG}], c[089];\n\tpr_info("%{LONG}d", 1);'),
        f"struct a {{ char b[{LONG}]; int c : {LONG}; char d[089]; }};\n"
        + within("\tstruct a x;\n\n\tif (copy_to_user(p, &x, sizeof(x)))\n\t\treturn -1;"),
    ],
)
def test_numbers_that_are_too_long_or_none(kernel: Kernel, text: str) -> None:
    kernel.commit(POOL, text)
    kernel.stage(POOL, text.replace("return 0", "return 1").replace(LONG, "8" + LONG))
    assert kernel.triage("check", "--staged", "--offline").startswith("worth fuzzing")


@pytest.mark.parametrize(("name", "value"), [("PUSH_MAX_COMMITS", LONG), ("PUSH_MAX_COMMITS", "²"), ("AGENT_MAX_SECONDS", LONG)])
def test_a_setting_of_very_many_digits(kernel: Kernel, name: str, value: str) -> None:
    _, error = kernel.triage_both("check", "HEAD", ok=2, **{f"PATCH_TRIAGE_{name}": value})
    assert "number" in error and "digits" not in error
