"""b4's own review of a mailed series, without its terminal pages: b4 applies and tracks the series, and runs the check commands on it.

python b4_review.py MBOX BASE      (in the tree; prints what b4 makes of the checks, as JSON)
"""

from __future__ import annotations

import email.policy
import json
import mailbox
import os
import pathlib
import sys

import b4
import b4.review
from b4.review import checks


def main() -> None:
    mbox, base = sys.argv[1:]
    b4.setup_config(type("Options", (), {"config": {}})())
    top = b4.git_get_toplevel()
    assert top is not None
    messages = [email.message_from_bytes(one.as_bytes(), policy=email.policy.EmailPolicy(utf8=True)) for one in mailbox.mbox(mbox)]
    gathered = b4.LoreMailbox()
    for message in messages:
        gathered.add_message(message)
    series = gathered.get_series(sloppytrailers=True)
    assert series is not None
    b4.git_fetch_am_into_repo(
        top, ambytes=pathlib.Path(mbox).read_bytes() if not series.has_cover else plain(series), at_base=base, origin="a test"
    )
    b4.review.create_review_branch(top, "b4/review/a-test", base, series, "https://example.org/x", "https://example.org/%s")
    _, tracking = b4.review.load_tracking(top, "b4/review/a-test")
    tracked = pathlib.Path(mbox).with_name("tracking.json")
    tracked.write_text(json.dumps(tracking))
    more = {"B4_TRACKING_FILE": str(tracked)} if not os.environ.get("WITHOUT_TRACKING") else {}
    perpatch, whole = checks.load_check_cmds()
    letters = [(one["Message-ID"].strip("<>"), one) for one in messages]
    patches = letters[1:] if series.has_cover else letters
    found = {
        "patches": list(checks.run_perpatch_checks(patches, perpatch, top, extra_env=more).values()),
        "series": checks.run_series_checks(letters[0], whole, top, extra_env=more),
    }
    print("\n" + json.dumps(found))


def plain(series: b4.LoreSeries) -> bytes:
    """The patches without their cover letter, as `git am` takes them."""
    import io

    out = io.BytesIO()
    b4.save_git_am_mbox([one.get_am_message() for one in series.patches[1:] if one is not None], out)
    return out.getvalue()


main()
