#!/usr/bin/env python3
"""Opens every page of `coordinator ui` in Chromium.

    pages.py COORDINATOR        prints one line per check; exit 1 if one fails, 77 without a browser

The lake is made from data/ and models/, with names and records that try to run as scripts. A page
fails if it logs an error, opens a dialog, asks another host for anything, scrolls sideways, shows an
error, or has a serious violation of the rules of axe. Run it in the root of the repository.
"""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import sync_playwright

HOSTILE = ['<img src=x onerror="alert(1)">', '"><script>alert(2)</script>', "\u202e\u2066javascript:alert(3)", "</pre><style>*{display:none}"]
# Settings of the caller are not for this lake.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("LAKEWRIGHT__")}
# Screens: name, width, colours.
SCREENS = [("wide", 1280, "light"), ("dark", 1280, "dark"), ("narrow", 360, "light")]
READY = """() => document.querySelector("main")?.getAttribute("aria-busy") === "false"
  && !document.querySelector('main [aria-busy="true"]')"""


def browser_path():
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def run(coordinator, folder, *arguments):
    done = subprocess.run([coordinator, *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"coordinator {' '.join(arguments)}: exit {done.returncode}\n{done.stderr}")


def make_lake(coordinator, folder):
    """Makes a lake with two versions; the second one has rejected records."""
    for name in ("data", "models"):
        shutil.copytree(name, folder / name)
    config = pathlib.Path("lake.toml").read_text(encoding="utf-8")
    (folder / "lake.toml").write_text(config, encoding="utf-8")
    run(coordinator, folder)
    events = folder / "data/log_data/2018/12"
    events.mkdir(parents=True)
    add_records(events / "rejected.json", [json.dumps({"ts": text, text: text}) for text in HOSTILE] + ["{" + "x" * 100_000])
    text = (folder / "lake.toml").read_text(encoding="utf-8")
    (folder / "lake.toml").write_text(re.sub(r"(\[sources\.events\]\n)", r"\1max_quarantine_share = 1\n", text), encoding="utf-8")
    run(coordinator, folder)


def add_records(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(base, path):
    with urllib.request.urlopen(base + path) as answer:
        return json.load(answer)


def wait_for(base):
    for _ in range(300):
        try:
            return get(base, "/api/v1/lake")
        except OSError:
            time.sleep(0.1)
    sys.exit("the pages are not served")


def paths(base):
    runs = [run["run"] for run in get(base, "/api/v1/runs")["runs"]]
    return [
        "/", f"/runs/{runs[0]}", f"/compare?a={runs[1]}&b={runs[0]}", "/tables", "/tables/songplays?column=start_time",
        "/tables/users?version=1&column=level", "/diff?from=1&to=2", "/quarantine", "/quarantine?reason=wrong_type",
        "/lineage", "/lineage?node=table.songplays&column=artist_id", "/sources", "/sources/events",
        "/query?sql=SELECT+level,+count(*)+AS+n+FROM+songplays+GROUP+BY+level", "/settings",
    ]


class Page:
    """A page in a browser, and what went wrong in it."""

    def __init__(self, context, base):
        self.base, self.faults, self.page = base, [], context.new_page()
        self.page.on("console", lambda message: message.type in ("error", "warning") and self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: request.url.startswith((base, "data:")) or self.faults.append(request.url))

    def open(self, path):
        self.page.goto(self.base + path)
        self.page.wait_for_function(READY, timeout=20_000)

    def check(self, path, axe):
        self.open(path)
        if self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            self.faults.append("the page scrolls sideways")
        if self.page.locator("main .panel.error").count():
            self.faults.append(self.page.locator("main .panel.error").first.inner_text())
        odd = re.findall(r"\bundefined\b|\bNaN\b|\[object", self.page.inner_text("main"))
        if odd:
            self.faults.append(f"the page shows {odd[0]}")
        if not self.page.locator("main h1").count():
            self.faults.append("the page has no heading")
        serious = [v for v in axe.run(self.page).response["violations"] if v["impact"] in ("serious", "critical")]
        self.faults += [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in serious]
        return self.faults


def check_answers(context, base):
    """Finds, in the pages alone, what the example of the README asks."""
    page = Page(context, base)
    page.open("/lineage?node=table.songplays&column=artist_id")
    assert "staging.songs.artist_id" in page.page.inner_text("main"), "the lineage of songplays.artist_id"
    page.open("/quarantine")
    text = page.page.inner_text("main")
    assert "is not a timestamp" in text and HOSTILE[0] in text, "the reason and the text of a rejected record"
    page.open(f"/runs/{get(base, '/api/v1/runs')['runs'][-1]['run']}")
    assert "ingest events" in page.page.inner_text("main"), "the steps of a run"
    page.open("/query")
    page.page.locator("textarea").fill("SELECT count(*) AS plays FROM songplays")
    page.page.locator("textarea").press("Control+Enter")
    page.page.wait_for_selector("main table >> text=plays")
    return page.faults


def check_new_version(context, base, coordinator, folder):
    page = Page(context, base)
    page.open("/")
    add_records(folder / "data/log_data/2018/12/more.json", ['{"page": "Home"}'])
    run(coordinator, folder)
    page.page.wait_for_function("() => document.querySelector('header').innerText.includes('version 3')", timeout=30_000)
    return page.faults


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    coordinator, chromium = str(pathlib.Path(sys.argv[1]).resolve()), browser_path()
    if chromium is None:
        print("there is no Chromium; install the package `chromium`")
        sys.exit(77)
    failed = 0

    def report(name, faults):
        nonlocal failed
        failed += bool(faults)
        print(f"{'FAIL' if faults else 'ok  '} {name}", *faults, sep="\n       ")

    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        folder, axe = pathlib.Path(scratch), Axe()
        make_lake(coordinator, folder)
        base = f"http://127.0.0.1:{free_port()}"
        log = open(folder / "log", "wb")
        server = subprocess.Popen([coordinator, "ui", "--listen", base.removeprefix("http://")], cwd=folder, env=ENVIRONMENT, stderr=log)
        try:
            wait_for(base)
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for name, width, colours in SCREENS:
                context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=colours, reduced_motion="reduce")
                for path in paths(base):
                    report(f"{name:6} {path}", Page(context, base).check(path, axe))
                context.close()
            context = browser.new_context()
            for name, check, more in (
                ("questions of a user", check_answers, ()), ("a new version appears", check_new_version, (coordinator, folder)),
            ):
                try:
                    report(name, check(context, base, *more))
                except (AssertionError, PlaywrightError) as fault:
                    report(name, [f"not found: {fault}"])
            browser.close()
        finally:
            server.terminate()
    sys.exit(1 if failed else 0)


main()
