"""The pages in a real Chromium: `make browser`. Not part of the default tests, which need nothing but Python, git and make."""

from __future__ import annotations

import json
import pathlib
import shutil
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from hook.report import page, series_report
from hook.report.citations import Sources
from tests.report import runs
from tests.small_kernel import Kernel

AXE = next((pathlib.Path(__file__).parent.parent.parent / ".browser").glob("axe_*/axe.min.js"))
PICTURES = pathlib.Path(__file__).parent.parent.parent / "docs/pictures"
DESKTOP, PHONE = (1280, 900), (360, 740)


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    binary, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    assert binary and driver, "Chromium and its driver are needed: apt install chromium chromium-driver"
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for one in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--force-device-scale-factor=1",
    ):
        options.add_argument(one)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(driver))
    made.set_script_timeout(60)
    yield made
    made.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pathlib.Path]:
    base = tmp_path_factory.mktemp("pages")
    kernel = Kernel.create(base / "linux", base / "home")
    made = {}
    for name, documents in (("golden", list(runs.documents())), ("hostile", runs.hostile()), ("large", runs.large())):
        file = runs.write(base / f"{name}.jsonl", documents)
        made[name] = base / f"{name}.html"
        kernel.triage("report", "--trajectory", str(file), "-o", str(made[name]))
    kernel.replace("mm/pool.c", "count >= POOL_MAX", "count > POOL_MAX - 2")
    kernel.git("commit", "-qam", "mm/pool: keep one slot free")
    made["commit"] = base / "commit.html"
    kernel.triage("report", "HEAD", "-o", str(made["commit"]))
    kernel.commit("Documentation/mm/pool.rst", "Pool\n", "docs: pool")
    made["review"] = base / "review.html"
    kernel.triage("review", "HEAD~2..HEAD", "--html", str(made["review"]))
    made["path"] = base / "path.html"
    hops = ("system call mbind", "__x64_sys_mbind() calls kernel_mbind()", f"kernel_mbind() calls {'x' * 80}()")
    evidence = [{"Claim": hop, "Path": f"mm/{'m' * 80}.c", "Line": number, "Text": hop} for number, hop in enumerate(hops, 1)]
    verdict = {"WorthFuzzing": True, "Evidence": evidence, "FocusSymbols": ["x" * 80], "EnableConfigs": ["NUMA_" * 20]}
    made["path"].write_text(page.render("mm: a path", verdict, [], "", Sources(lambda path, blob: {})), "utf-8")
    for name, judged in (("hostile-series", runs.hostile_series()), ("large-series", runs.large_series())):
        made[name] = base / f"{name}.html"
        made[name].write_text(series_report.render(f"review {runs.HOSTILE[0]}", judged, {}), "utf-8")
    return made


def show(browser: webdriver.Chrome, page: pathlib.Path, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> float:
    """Open a page; the seconds until it is there."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
    )
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    started = time.perf_counter()
    browser.get(page.as_uri())
    return time.perf_counter() - started


def complaints(browser: webdriver.Chrome) -> list[str]:
    """What the console says, which holds violations of the policy, and every request but that for the page."""
    said = [one["message"] for one in browser.get_log("browser")]
    for entry in browser.get_log("performance"):
        event = json.loads(entry["message"])["message"]
        if event["method"] == "Network.requestWillBeSent" and not event["params"]["request"]["url"].startswith(("file:", "data:,")):
            said.append(event["params"]["request"]["url"])
    return said


def violations(browser: webdriver.Chrome) -> list[tuple[str, str]]:
    """What axe-core finds at fault."""
    browser.execute_script(AXE.read_text())
    found: dict[str, Any] = browser.execute_async_script("axe.run(document, {resultTypes: ['violations']}).then(arguments[0])")
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]]


def spans(browser: webdriver.Chrome) -> list[Any]:
    return browser.find_elements(By.CSS_SELECTOR, "details.span")


def test_rows_open_and_close_by_mouse_and_by_keyboard(browser: webdriver.Chrome, pages: dict[str, pathlib.Path]) -> None:
    show(browser, pages["golden"])
    row = spans(browser)[6]
    summary, body = row.find_element(By.TAG_NAME, "summary"), row.find_element(By.TAG_NAME, "pre")
    assert not body.is_displayed()
    summary.click()
    assert body.is_displayed()
    summary.send_keys(Keys.ENTER)
    assert not body.is_displayed()
    for button, is_open in (("open-all", True), ("close-all", False)):
        browser.find_element(By.ID, button).click()
        assert {one.get_attribute("open") is not None for one in spans(browser)} == {is_open}
    assert complaints(browser) == []


def test_search_shows_the_steps_that_hold_a_text(browser: webdriver.Chrome, pages: dict[str, pathlib.Path]) -> None:
    show(browser, pages["golden"])
    browser.find_element(By.TAG_NAME, "body").send_keys("/")
    box = browser.switch_to.active_element
    assert box.get_attribute("id") == "search"
    box.send_keys("mpol_COND_put")
    time.sleep(0.4)
    seen = [one for one in spans(browser) if one.is_displayed()]
    assert (
        0 < len(seen) < len(spans(browser)) and browser.find_element(By.ID, "count").text == f"{len(seen)} of {len(spans(browser))} steps"
    )
    assert all("mpol_cond_put" in (one.get_attribute("textContent") or "") for one in seen)
    seen[0].find_element(By.TAG_NAME, "summary").click()
    time.sleep(0.2)
    assert browser.execute_script("return CSS.highlights.get('found').size") > 0
    box.send_keys(Keys.ESCAPE)
    assert all(one.is_displayed() for one in spans(browser))
    assert complaints(browser) == []


def test_the_charts_have_bars_and_citations_lead_to_their_line(browser: webdriver.Chrome, pages: dict[str, pathlib.Path]) -> None:
    show(browser, pages["golden"])
    charts = browser.find_elements(By.CSS_SELECTOR, "figure.chart svg")
    assert len(charts) == 2 and all(len(one.find_elements(By.TAG_NAME, "rect")) >= 20 for one in charts)
    assert all(rect.size["height"] > 0 and rect.size["width"] > 0 for one in charts for rect in one.find_elements(By.TAG_NAME, "rect")[:5])
    link = browser.find_element(By.CSS_SELECTOR, "p.said a")
    target = browser.find_element(By.ID, (link.get_attribute("href") or "").partition("#")[2])
    assert "bool vma_policy_mof" in target.find_element(By.TAG_NAME, "mark").text
    assert complaints(browser) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
@pytest.mark.parametrize("name", ["golden", "commit", "review", "path"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    browser: webdriver.Chrome, pages: dict[str, pathlib.Path], name: str, size: tuple[int, int], scheme: str
) -> None:
    show(browser, pages[name], size, scheme)
    for row in browser.find_elements(By.CSS_SELECTOR, "details.span, details.patch")[:8]:
        row.find_element(By.TAG_NAME, "summary").click()
    assert violations(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0]
    assert complaints(browser) == []


def picture(browser: webdriver.Chrome, file: pathlib.Path, size: tuple[int, int], shown: str) -> None:
    """Take a picture: it is of that size, and the element of the id `shown` starts in it."""
    browser.execute_script("document.getElementById(arguments[0]).scrollIntoView()", shown)
    top = browser.execute_script("return document.getElementById(arguments[0]).getBoundingClientRect().top", shown)
    assert 0 <= top < size[1]
    assert browser.save_screenshot(str(file))
    assert struct.unpack(">II", file.read_bytes()[16:24]) == size  # of a PNG


def test_the_pictures_of_the_documents(
    browser: webdriver.Chrome, pages: dict[str, pathlib.Path], request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> None:
    """With --remake-golden they are kept."""
    kept = PICTURES if request.config.getoption("--remake-golden") else tmp_path
    for name, size, scheme, place in (
        ("desktop", DESKTOP, "light", "verdict"),
        ("steps", DESKTOP, "light", "steps"),
        ("phone", PHONE, "dark", "verdict"),
    ):
        show(browser, pages["golden"], size, scheme)
        picture(browser, kept / f"page-{name}.png", size, place)
    for name, size, scheme in (("desktop", (1280, 620), "light"), ("phone", PHONE, "dark")):
        show(browser, pages["review"], size, scheme)
        browser.execute_script("document.querySelector('details.patch').open = true")
        picture(browser, kept / f"series-{name}.png", size, "open")


def test_a_box_of_a_call_path_leads_to_its_line(browser: webdriver.Chrome, pages: dict[str, pathlib.Path]) -> None:
    show(browser, pages["path"], PHONE)
    boxes = browser.find_elements(By.CSS_SELECTOR, ".path a")
    assert [box.find_elements(By.TAG_NAME, "text")[0].text for box in boxes[:3]] == ["system call mbind", "__x64_sys_mbind", "kernel_mbind"]
    drawing = browser.find_element(By.CSS_SELECTOR, ".path svg").rect
    for text in browser.find_elements(By.CSS_SELECTOR, ".path text"):
        assert text.rect["x"] + text.rect["width"] <= drawing["x"] + drawing["width"]
    boxes[1].click()
    assert browser.execute_script("return document.querySelector(':target mark').textContent").strip().endswith("kernel_mbind()")
    assert complaints(browser) == []


def test_hostile_texts_leave_the_page_as_it_is(browser: webdriver.Chrome, pages: dict[str, pathlib.Path]) -> None:
    show(browser, pages["hostile"])
    assert len(spans(browser)) == len(runs.HOSTILE) + 3
    assert "broken" not in browser.title.partition(" ")[0] and browser.title.startswith("patch triage of")
    shape = browser.execute_script(
        "return [document.scripts.length, document.styleSheets.length, document.querySelectorAll('img,iframe,link,base,object,embed,textarea,plaintext').length,"
        " document.body.lastElementChild.tagName, [...document.querySelectorAll('*')].filter(one => [...one.attributes].some(a => a.name.startsWith('on'))).length,"
        " [...document.links].filter(one => !one.getAttribute('href').startsWith('#')).length]"
    )
    assert shape == [1, 1, 0, "SCRIPT", 0, 0]
    for row in spans(browser)[1:-3]:
        row.find_element(By.TAG_NAME, "summary").click()
    assert complaints(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= DESKTOP[0]


def test_hostile_texts_leave_the_page_of_a_series_as_it_is(browser: webdriver.Chrome, pages: dict[str, pathlib.Path]) -> None:
    show(browser, pages["hostile-series"])
    rows = browser.find_elements(By.CSS_SELECTOR, "details.patch")
    assert len(rows) == len(runs.HOSTILE) and browser.title.startswith("review <script>")
    for row in rows[:-1]:
        row.find_element(By.TAG_NAME, "summary").click()
    shape = browser.execute_script(
        "return [document.scripts.length, document.styleSheets.length, document.querySelectorAll('img,iframe,link,base,object,embed,textarea,plaintext').length,"
        " document.body.lastElementChild.tagName, [...document.links].filter(one => !one.getAttribute('href').startsWith('#')).length]"
    )
    assert shape == [0, 1, 0, "FOOTER", 0]
    assert complaints(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= DESKTOP[0]


def test_what_broke_in_would_be_seen(browser: webdriver.Chrome, pages: dict[str, pathlib.Path]) -> None:
    broken = pages["golden"].with_name("broken.html")
    evil = "<script>document.title='broken'</script><img src='https://evil.invalid/x.png' onerror=\"document.title='broken'\"><style>p{color:red}</style>"
    broken.write_text(pages["golden"].read_text().replace("<footer>", f"{evil}<footer>"))
    show(browser, broken)
    assert browser.title != "broken" and len(complaints(browser)) >= 3


def test_a_page_without_its_script_still_reads(browser: webdriver.Chrome, pages: dict[str, pathlib.Path]) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(browser, pages["golden"])
        assert not browser.find_element(By.CSS_SELECTOR, "form.tools").is_displayed()
        row = spans(browser)[3]
        row.find_element(By.TAG_NAME, "summary").click()
        assert row.find_element(By.TAG_NAME, "pre").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_large_run_opens_in_a_second(browser: webdriver.Chrome, pages: dict[str, pathlib.Path]) -> None:
    took = min(show(browser, pages["large"]) for _ in range(3))
    print(f"{pages['large'].stat().st_size:,} bytes opened in {took:.2f} s")
    assert len(spans(browser)) == 500 and took < 1.0
    browser.find_element(By.ID, "search").send_keys("no such words")
    time.sleep(2)
    assert browser.find_element(By.ID, "count").text == "0 of 500 steps"
    assert complaints(browser) == []


def test_a_series_of_200_patches_opens_in_a_second(browser: webdriver.Chrome, pages: dict[str, pathlib.Path]) -> None:
    took = min(show(browser, pages["large-series"]) for _ in range(3))
    print(f"{pages['large-series'].stat().st_size:,} bytes opened in {took:.2f} s")
    assert len(browser.find_elements(By.CSS_SELECTOR, "details.patch")) == 200 and took < 1.0
    assert complaints(browser) == []


@pytest.mark.parametrize("name", ["large", "large-series"])
def test_it_scrolls_smoothly(browser: webdriver.Chrome, pages: dict[str, pathlib.Path], name: str) -> None:
    """With everything open: the frames while the page is scrolled from top to end, in 120 steps."""
    show(browser, pages[name])
    browser.execute_script("for (const one of document.querySelectorAll('details')) one.open = true; document.body.offsetHeight")
    frames = browser.execute_async_script("""
        const done = arguments[0], times = [], far = document.documentElement.scrollHeight - innerHeight;
        let at = 0, before = performance.now();
        const step = now => { times.push(now - before); before = now; scrollTo(0, far * ++at / 120); at < 120 ? requestAnimationFrame(step) : done(times.slice(2)); };
        requestAnimationFrame(step);
    """)
    frames.sort()
    print(f"{name}: half of the frames in {frames[len(frames) // 2]:.0f} ms, 19 of 20 in {frames[len(frames) * 19 // 20]:.0f} ms")
    assert frames[len(frames) // 2] < 34  # 30 a second: a busy machine without a graphics card


def test_it_prints(browser: webdriver.Chrome, pages: dict[str, pathlib.Path]) -> None:
    show(browser, pages["golden"])
    printed = browser.print_page()
    assert len(printed) > 10_000
