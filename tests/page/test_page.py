# SPDX-License-Identifier: Apache-2.0
"""The web page in a real Chromium: push a catalog and watch it finish, find a picture, retry a dead letter, by keyboard, by phone,
in the dark, with and without a token, with the API away; axe finds no serious problem on any view."""
import hashlib
import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from kit import catalog_id, wait_until

GOOD = [f"https://picsum.photos/id/{n}/120/80" for n in range(1, 9)]
BAD = ["not a url", "ftp://picsum.photos/1/1", "https://picsum.photos/99999/1"]
GONE = "https://picsum.photos/id/100000/64/64"  # the origin has no such picture: 404
VIEWS = ["#/", "#/catalogs", "#/images", "#/dead", "#/events", "#/services"]


def text_of(lines):
    return ("\n".join(lines) + "\n").encode()


@pytest.fixture
def finished(fleet):
    """A fleet whose one catalog has finished, with good, bad and dead lines."""
    cluster = fleet(schedulers=1, workers=1)
    cluster.catalog_id = catalog_id(cluster.run(text_of(GOOD + BAD + [GONE]), "first.txt"))
    cluster.page = cluster.url + "/"
    return cluster


def check_axe(page, where):
    found = [one for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
    assert not found, (where, json.dumps([(one["id"], [node["target"] for node in one["nodes"]]) for one in found]))


def value(page, name):
    """The figure of the card with that name."""
    card = page.locator(".card", has=page.locator("dt", has_text=name))
    return card.locator("dd").evaluate("dd => dd.firstChild.textContent")


def test_a_catalog_is_pushed_and_watched_to_its_end(finished, page):
    page.goto(finished.page + "#/catalogs")
    page.get_by_role("link", name="first.txt").wait_for()
    page.get_by_label("Catalog files").set_input_files(
        {"name": "second.txt", "mimeType": "text/plain", "buffer": text_of([url + "?grayscale" for url in GOOD] + BAD)})
    page.get_by_role("button", name="Push files").click()
    page.locator("main p", has_text="is in: 11 lines").get_by_role("link", name="second.txt").click()
    page.get_by_role("heading", name="second.txt").wait_for()
    page.locator(".badge", has_text="finished").wait_for(timeout=60000)
    wait_until(lambda: value(page, "stored") == "8" and value(page, "invalid") == "3", 20, "the counts of the receipt")
    rows = page.get_by_role("region", name="Lines: invalid").locator("tbody tr")
    assert rows.count() == len(BAD)
    assert "bad_scheme" in rows.nth(1).inner_text()
    page.get_by_label("Outcome").select_option("stored")
    page.get_by_role("region", name="Lines: stored").locator("tbody a[href^='#/images/']").first.click()
    page.locator("figure img").wait_for()
    assert page.locator("figure img").evaluate("image => image.naturalWidth") == 120


def test_a_picture_is_found_by_hash_by_url_and_by_its_file(finished, page, tmp_path):
    image = finished.db.images.find_one({"source.url": GOOD[0]})
    page.goto(finished.page + "#/images")
    page.locator(".gallery img").first.wait_for()
    assert page.locator(".gallery li").count() == len(GOOD)
    for asked in (image["sums"]["output"], image["sums"]["source"][:12].upper(), GOOD[0]):
        page.goto(finished.page + "#/images")
        page.get_by_label("Find by hash or URL").fill(asked)
        page.get_by_role("button", name="Find", exact=True).click()
        page.locator("code", has_text=image["sums"]["base64"]).wait_for()
        page.locator("figure img").wait_for()
    content = finished.get(f"/v1/images/{image['sums']['output']}/content").content
    assert hashlib.sha256(content).hexdigest() == image["sums"]["output"]
    page.goto(finished.page + "#/images")
    page.get_by_label("Find a picture by its file").set_input_files({"name": "it.jpg", "mimeType": "image/jpeg", "buffer": content})
    page.locator("code", has_text=image["sums"]["base64"]).wait_for()


def test_a_dead_letter_gets_another_life(finished, page):
    page.goto(finished.page + "#/dead")
    row = page.locator("tr", has_text=GONE)
    row.wait_for()
    assert "http_4xx" in row.inner_text()
    run = finished.db.urls.find_one({"url": GONE})["run"]
    row.get_by_role("button", name="Retry").click()
    wait_until(lambda: finished.db.urls.find_one({"url": GONE, "run": {"$gt": run}, "state": "dead"}), 60, "it was tried again")
    assert finished.db.urls.find_one({"url": GONE})["history"][0]["reason"] == "http_4xx"


def test_events_overview_and_services_tell_what_happened(finished, page):
    page.goto(finished.page + "#/events?reason=http_4xx")
    page.locator("tbody tr", has_text=GONE).first.wait_for()
    page.get_by_label("Message matches").fill("no event has this")
    page.get_by_role("button", name="Search").click()
    page.get_by_text("No event matches.").wait_for()
    page.goto(finished.page + "#/")
    wait_until(lambda: page.locator(".card").count() and value(page, "Images stored") == "8" and value(page, "Dead") == "1", 20, "the totals")
    page.goto(finished.page + "#/services")
    for role in ("scheduler", "worker", "api"):
        page.locator("tbody tr", has_text="alive").nth(["api", "scheduler", "worker"].index(role)).wait_for()
    page.get_by_label("Host").fill("slow.example")
    page.get_by_role("button", name="Pause").click()
    page.locator("tr", has_text="slow.example").get_by_role("button", name="Resume").click()
    page.get_by_text("None.").wait_for()


def test_every_view_is_accessible_in_light_dark_and_on_a_phone(finished, browser, page):
    views = VIEWS + [f"#/catalogs/{finished.catalog_id}", "#/images/" + finished.db.images.find_one()["sums"]["source"]]
    for scheme, width in (("light", 1280), ("dark", 360)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        for view in views:
            page.goto(finished.page + view)
            page.locator("main h2").first.wait_for()
            page.wait_for_load_state("networkidle") if view not in ("#/",) else page.locator(".card").first.wait_for()
            check_axe(page, (scheme, width, view))
            assert page.evaluate("document.documentElement.scrollWidth") <= width, ("wider than the screen", width, view)
            page.screenshot(path=f"{page_shot(view)}-{scheme}-{width}.png", full_page=True)


def page_shot(view):
    from conftest import SHOTS
    return SHOTS / ("view-" + (view.strip("#/").split("/")[0] or "overview") + ("-one" if view.count("/") > 1 else ""))


def test_all_of_it_works_by_keyboard(finished, page):
    page.goto(finished.page)
    page.locator(".card").first.wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip", "the first stop skips the navigation"
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Catalogs":
            break
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Catalogs").wait_for()
    assert page.evaluate("document.activeElement.id") == "main", "a new view takes the focus"
    page.get_by_role("link", name="first.txt").wait_for()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "url":
            break
    page.keyboard.type("https://picsum.photos/id/20/90/60")
    page.keyboard.press("Enter")
    page.locator("main p", has_text="is in: 1 line.").wait_for()
    wait_until(lambda: finished.db.images.find_one({"source.url": "https://picsum.photos/id/20/90/60"}), 60, "stored")


def test_hostile_text_stays_text(finished, page):
    evil = "https://picsum.photos/<img src=x onerror=alert(1)>"
    finished.run(text_of([evil, "javascript:alert(1)", "<script>alert(2)</script>"]), "<b onclick=alert(3)>name</b>")
    page.on("dialog", lambda dialog: page.complaints.append("a dialog: " + dialog.message))
    page.goto(finished.page + "#/catalogs")
    page.get_by_role("link", name="<b onclick=alert(3)>name</b>").click()
    page.locator("code", has_text="<script>alert(2)</script>").wait_for()
    assert page.locator("main script, main b, a[href^='javascript']").count() == 0


def test_a_token_is_asked_for_kept_for_the_tab_and_refused_beyond_its_scope(fleet, page):
    secret = "only-for-reading-0123456789abcdef"
    token = {"name": "reader", "digest": hashlib.blake2b(secret.encode(), digest_size=32).hexdigest(), "scopes": ["read"]}
    cluster = fleet(schedulers=1, workers=1, settings={"api.tokens": [token]})
    page.expected += ["401", "403"]
    page.goto(cluster.url + "/#/catalogs")
    page.get_by_label("Token", exact=True).fill(secret)
    page.get_by_role("button", name="Use it").click()
    page.get_by_text("No catalog yet.").wait_for()
    assert page.evaluate("localStorage.length") == 0 and page.context.cookies() == []
    page.get_by_label("Or a single URL").fill(GOOD[0])
    page.get_by_role("button", name="Push URL").click()
    page.get_by_role("alert").filter(has_text="Not allowed with this token").wait_for()


def test_it_says_so_when_the_api_is_away_and_goes_on_when_it_is_back(finished, page):
    page.expected += ["ERR_CONNECTION_REFUSED", "ERR_FAILED", "ERR_INTERNET_DISCONNECTED"]
    page.goto(finished.page)
    page.locator(".card").first.wait_for()
    page.context.set_offline(True)
    page.get_by_role("alert").filter(has_text="can't be reached").wait_for()
    page.context.set_offline(False)
    page.get_by_role("alert").filter(has_text="can't be reached").wait_for(state="hidden")


def test_an_empty_system_is_fine(fleet, page):
    cluster = fleet(schedulers=1, workers=1)
    views = [view.replace("events", "events?reason=poison") for view in VIEWS]  # a daemon may have had something to tell
    for view, said in zip(views, ["Nothing in progress", "No catalog yet", "No image here yet", "Nothing is dead", "No event matches", "alive"]):
        page.goto(cluster.url + "/" + view)
        page.get_by_text(said).first.wait_for()
        check_axe(page, view)
