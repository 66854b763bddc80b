"""Random edits of kernel-shaped files: harmless ones are proved so, effective ones never. bench/edits.py does the same on a real tree."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook.evidence.functional import file_edits
from hook.source import git
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.verdict import Answer
from tests.evidence.functional import edits
from tests.small_kernel import TREE, Kernel

FILES = sorted(path for path in TREE.rglob("*.c"))
LARGER = """#include <linux/module.h>

/* The "largest" of two: not a word more. */
static int larger(int one, int two)
{
	int best = one;

	if (one < two && two != 7)
		best = two;
	pr_debug("larger of two\\n");
	return best;
}

int spread(struct range *r, const int *from, int count)
{
	u32 at;
	long sum = 0;

	for (at = 0; at < count; at++) {
		// a remark
		sum = larger(sum + 3, from[at]);
		if (sum > r->limit || !from[at]) {
			dev_warn(r->dev, "past the limit\\n");
			return -EINVAL;
		}
	}
	r->sum = sum;
	return 0;
}
"""


@pytest.fixture(scope="module")
def source(first_kernel: Kernel) -> Source:
    return Source(Objects(git.find(first_kernel.path), 1 << 20), "HEAD")


@given(st.sampled_from([LARGER, *(path.read_text() for path in FILES)]), st.randoms(use_true_random=False))
def test_random_edits(source: Source, text: str, rng: random.Random) -> None:
    edit = edits.harmless(text, rng)
    if edit is not None:
        found = file_edits.compare("c", "mm/some.c", text.encode(), edit[0].encode(), source)
        assert found.functional is Answer.NO and found.classes, (edit[1], found.why)
        if edit[1] in ("log text", "local rename"):
            assert found.classes == (edit[1],)
    changed = edits.effective(text, rng)
    if changed is not None:
        assert file_edits.compare("c", "mm/some.c", text.encode(), changed.encode(), source).functional is not Answer.NO
        both = edits.harmless(changed, rng)
        if both is not None:
            assert file_edits.compare("c", "mm/some.c", text.encode(), both[0].encode(), source).functional is not Answer.NO


def test_the_edits_are_of_every_kind() -> None:
    rng = random.Random(3)
    kinds = {edit[1] for _ in range(200) if (edit := edits.harmless(LARGER, rng))}
    assert kinds == {"comment", "white space", "log text", "local rename"}
    assert len({edits.effective(LARGER, rng) for _ in range(200)}) > 5
