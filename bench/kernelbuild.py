"""A copy of a kernel tree that may be built in, and what its own Kbuild and Kconfig say of a configuration.

The programs are the tree's own, asked without what makes `make` slow. The code of scripts/kconfig/conf reads Kconfig, and asks the compiler
for all its options, once; then it does for each configuration what `make olddefconfig` does (the same .config to the byte, 30 times as
fast). scripts/Makefile.build is asked for one directory at a time what it would make (`make -n`), with the variables that the top makefile
exports, a hundred times as fast as `make DIRECTORY/`. Only for benchmarks: what the tool itself says of a tree never comes from running it.
"""

from __future__ import annotations

import os
import pathlib
import posixpath
import re
import subprocess
import tempfile

_DUMP = "include Makefile\n.PHONY: dump-environment\ndump-environment:\n\t@env -0 > $(DUMP)\n"
# what conf.c does for --olddefconfig, and for --syncconfig after it, time after time
_CONF = """
#include <stdbool.h>
#include <stdio.h>
#include "lkc.h"
int main(int argc, char **argv)
{
	char line[16];
	conf_set_message_callback(NULL);
	conf_parse(argv[1]);
	while (fgets(line, sizeof(line), stdin)) {
		conf_read(NULL);
		if (conf_write(NULL) || (line[0] == 's' && conf_write_autoconf(1)))
			return 1;
		puts("done");
		fflush(stdout);
	}
	return 0;
}
"""
_BUILD = ("make", "-rR", "--no-print-directory", "-f", "scripts/Makefile.build")
_MADE = re.compile(r"-o (\S+\.o)[\s;]")
_DESCENDS = re.compile(r"(?m)^: -f \S*scripts/Makefile\.build obj=(\S+)")


class Build:
    """A tree that may be built in, with one configuration at a time."""

    def __init__(self, tree: pathlib.Path, arch: str = "x86_64", compiler: str = "gcc") -> None:
        self.tree = tree
        self._variables = [f"ARCH={arch}", f"CC={compiler}"]
        self._asked: dict[str, str] = {}
        base = tree / ".base-config"
        if not base.exists():
            self.make("defconfig", "kvm_guest.config")
            self.make("prepare")
            base.write_text((tree / ".config").read_text())
        self.base = base.read_text()
        (tree / ".config").write_text(self.base)
        self._environment = self._exported()
        self._conf = self._started()

    def make(self, *args: str) -> subprocess.CompletedProcess[str]:
        """The top makefile, as a person calls it."""
        argv = ["make", "-s", "-C", str(self.tree), *self._variables, "WERROR=0", *args]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def configure(self, settings: dict[str, str], *, base: str = "") -> dict[str, str]:
        """The .config that comes of the base with `settings` (NAME -> y or n) over it; options without a line in it are n."""
        self._asked.clear()
        lines = [f"CONFIG_{name}=y\n" if value == "y" else f"# CONFIG_{name} is not set\n" for name, value in settings.items()]
        (self.tree / ".config").write_text((base or self.base) + "".join(lines))
        self._ask_conf("olddefconfig")
        config = (self.tree / ".config").read_text()
        # of what syncconfig writes, all that makefiles read
        (self.tree / "include/config/auto.conf").write_text("".join(re.findall(r"(?m)^CONFIG_\w+=.*\n", config)))
        return dict(re.findall(r"(?m)^CONFIG_(\w+)=(.*)$", config))

    def folder_of(self, path: str, also: tuple[str, ...] = ()) -> str:
        """The directory whose makefile names the object of a source file as built in, with Kbuild going down to that one from the top;
        empty where there is none. Asked are the directories above the file, and `also`.
        """
        wanted = _object(path)
        above = ["arch/x86/kvm"] if path.startswith("virt/kvm/") else []  # $(KVM)/eventfd.o there
        above.append(posixpath.dirname(path))
        while above[-1].count("/"):
            above.append(posixpath.dirname(above[-1]))
        return next((one for one in dict.fromkeys((*above, *also)) if wanted in self._made(one) and self._descended(one)), "")

    def compiled(self, path: str, folder: str) -> str:
        """Why a source file, as configured and named in `folder`, cannot be compiled; empty where it is."""
        found = self.symbols(path, folder)
        return found if isinstance(found, str) else ""

    def symbols(self, path: str, folder: str) -> frozenset[str] | str:
        """The names in the symbol table of what is made of a source file, as configured and named in `folder`; or why nothing is."""
        self._synchronised()
        wanted = _object(path)
        (self.tree / wanted).unlink(missing_ok=True)
        (self.tree / wanted).parent.mkdir(exist_ok=True)
        done = self._build(folder, wanted)
        if not (self.tree / wanted).exists():
            return (done.stderr.strip() or "nothing was made")[-300:]
        listed = self._run(["nm", "--format=just-symbols", wanted]).stdout
        (self.tree / wanted).unlink()
        return frozenset(listed.split())

    def lines_left(self, unit: str, folder: str, path: str) -> set[int]:
        """The lines of `path` that are left of it when `unit`, named in `folder`, has gone through the preprocessor."""
        self._synchronised()
        wanted = posixpath.splitext(unit)[0] + ".i"
        (self.tree / wanted).unlink(missing_ok=True)
        self._build(folder, wanted)
        if not (self.tree / wanted).exists():
            return set()
        here, number, left = "", 0, set()
        for line in (self.tree / wanted).read_text(errors="replace").splitlines():
            marker = re.match(r'# (\d+) "([^"]*)"', line)
            if marker:
                number, here = int(marker[1]), posixpath.normpath(marker[2])
                continue
            if here == path and line.strip():
                left.add(number)
            number += 1
        (self.tree / wanted).unlink()
        return left

    def walked(self, folders: tuple[str, ...], *, modules: bool = False) -> set[str]:
        """All objects that Kbuild makes below some directories, as it goes down from the top."""
        environment = {"KBUILD_MODULES": "1"} if modules else {}
        waiting = [one for one in _DESCENDS.findall(self._would(".", environment)) if one.split("/")[0] in folders]
        found: set[str] = set()
        seen: set[str] = set()
        while waiting:
            folder = posixpath.normpath(waiting.pop())
            if folder in seen:
                continue
            seen.add(folder)
            output = self._would(folder, environment)
            found |= _objects(output)
            waiting += _DESCENDS.findall(output)
        return found

    def _made(self, folder: str) -> set[str]:
        return _objects(self._output(folder))

    def _descended(self, folder: str) -> bool:
        """Whether Kbuild goes down to a directory from the top, by what the makefiles above it say: one may go past the next one."""
        parent = folder
        while parent:
            parent = posixpath.dirname(parent)
            below = map(posixpath.normpath, _DESCENDS.findall(self._output(parent or ".")))
            if folder in below and (not parent or self._descended(parent)):
                return True
        return False

    def _output(self, folder: str) -> str:
        if folder not in self._asked:
            self._asked[folder] = self._would(folder, {})
        return self._asked[folder]

    def _would(self, folder: str, environment: dict[str, str]) -> str:
        """What Kbuild would run in a directory; it is not gone down from there."""
        if folder != "." and not any((self.tree / folder / name).exists() for name in ("Kbuild", "Makefile")):
            return ""
        argv = [*_BUILD, f"obj={folder}", "-n", "-k", "need-builtin=1", "MAKE=:"]
        if environment.get("KBUILD_MODULES"):
            argv.append("need-modorder=1")
        return self._run(argv, environment).stdout

    def _build(self, folder: str, wanted: str) -> subprocess.CompletedProcess[str]:
        # a makefile names what lies beside its directory from there (amdgpu: ../display/…)
        return self._run([*_BUILD, "-s", f"obj={folder}", f"{folder}/{posixpath.relpath(wanted, folder)}"])

    def _synchronised(self) -> None:
        """The headers that the compiler reads, of the present configuration, and the flags that go with it."""
        if "" in self._asked:
            return
        self._ask_conf("syncconfig")
        self._environment = self._exported()
        self._run([*_BUILD, "-s", "obj=.", "prepare"])
        self._asked[""] = ""

    def _started(self) -> subprocess.Popen[str]:
        folder = self.tree / "scripts/kconfig"
        (folder / ".again.c").write_text(_CONF)
        objects = [str(one) for one in folder.glob("*.o") if one.name != "conf.o"]
        place = folder / ".again"
        argv = ["gcc", "-I", str(folder), "-I", str(self.tree / "scripts/include"), "-o", str(place), str(folder / ".again.c"), *objects]
        subprocess.run(argv, check=True)
        pipe, env = subprocess.PIPE, {**os.environ, **self._environment}
        again = [str(place), "Kconfig"]
        return subprocess.Popen(again, cwd=self.tree, env=env, text=True, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)

    def _ask_conf(self, what: str) -> None:
        assert self._conf.stdin is not None and self._conf.stdout is not None
        print(what[0], file=self._conf.stdin, flush=True)
        if self._conf.stdout.readline() != "done\n":
            raise OSError(f"conf ended at {what}")

    def _exported(self) -> dict[str, str]:
        with tempfile.TemporaryDirectory() as place:
            extra, dump = pathlib.Path(place, "dump.mk"), pathlib.Path(place, "dump")
            extra.write_text(_DUMP)
            # a patch of a series may leave a prototype to the next one, which x86's defconfig (WERROR) makes an error of
            argv = ["make", "-s", "-rR", "--no-print-directory", "-f", str(extra), *self._variables, "KCFLAGS=-Wno-error"]
            subprocess.run([*argv, f"DUMP={dump}", "dump-environment"], cwd=self.tree, capture_output=True, check=True)
            found = dict(one.split("=", 1) for one in dump.read_text().split("\0") if "=" in one)
        compiler = re.search(r'(?m)^CONFIG_CC_VERSION_TEXT="(.*)"$', self.base)
        return {**found, "MAKEFLAGS": "", "CC_VERSION_TEXT": compiler[1] if compiler else ""}

    def _run(self, argv: list[str], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, **self._environment, **(environment or {})}
        return subprocess.run(argv, cwd=self.tree, env=env, capture_output=True, text=True, check=False)


def _object(path: str) -> str:
    return posixpath.splitext(path)[0] + ".o"


def _objects(output: str) -> set[str]:
    """The objects that the commands of `make -n` would write."""
    return {posixpath.normpath(name) for name in _MADE.findall(output)}
