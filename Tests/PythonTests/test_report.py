"""The page of `corpus report`, opened from disk by a real browser: an example of two models, made of drawn data.

It stays in .build/example-report, with its screenshots, for people to look at.
"""

import base64
import json
import math
import os
import random
import struct
import time
import zlib

import pytest
from browser import Browser, executable
from conftest import ROOT, run_corpus

if not executable():
    if os.environ.get("CORPUS_REQUIRE_ALL"):
        pytest.fail("needs Debian's package chromium")
    pytest.skip("needs Debian's package chromium", allow_module_level=True)

OUT = ROOT / ".build" / "example-report"
PAGE = OUT / "report.html"
WIDTHS = (400, 1000, 1600)


def train(corpus, metric, out, steps, metric_scale):
    config = corpus.parent / f"{out.name}.json"
    model = {"width": 32, "layers": 2, "heads": 4, "tokens": "units", "frequencies": 8, "octaves": 4, "diffusion_steps": 100,
             "metric_scale": metric_scale}  # fmt: skip
    training = {"batch": 32, "learning_rate": 2e-3, "warmup": 10, "steps": steps, "balance": "metric", "initial_starts": 0.5,
                "augmentation": "canonical", "average_decay": 0.99, "evaluate_every": steps // 4}  # fmt: skip
    config.write_text(json.dumps({"model": model, "training": training}))
    run_corpus("train", corpus, "--metric", metric, "--config", config, "--out", out, "--quiet")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report as scripts read it."""
    folder = tmp_path_factory.mktemp("report")
    digits, policies = folder / "digits", folder / "cartpole"
    run_corpus("generate", "mnist", "--dataset", "synthetic", "--epochs", 1, "--checkpoints", 12, "--schedule", "log",
               "--runs", "0..<48", "--out", digits, "--quiet")  # fmt: skip
    run_corpus("generate", "cartpole", "--iterations", 40, "--checkpoints", 11, "--environments", 256,
               "--runs", "0..<48", "--out", policies, "--quiet")  # fmt: skip
    train(digits, "test_loss", folder / "small-digits", 400, 1)
    train(policies, "train_return", folder / "small-policies", 400, 0.02)
    run_corpus("report", folder / "small-digits", folder / "small-policies", "--out", PAGE, "--force", "--samples", 8,
               "--sampling-steps", 10, "--quiet")  # fmt: skip
    return json.loads((OUT / "report.evaluation.json").read_text())


@pytest.fixture(scope="module")
def browser(report):
    with Browser() as browser:
        yield browser


@pytest.fixture
def page(browser):
    """The page, freshly opened; it must neither complain nor ask anybody for anything."""
    browser.leave()
    browser.open(PAGE)
    yield browser
    browser.frame()
    assert browser.complaints == []
    assert set(browser.requests) <= {f"file://{PAGE}", "data:,"}


def choose(page, number):
    """Chooses a model on the page."""
    page.run(f"""{{ const select = document.querySelector("#controls select"); select.value = {number};
                 select.dispatchEvent(new Event("change", {{ bubbles: true }})); }}""")
    page.frame()


def show(page, selector):
    """Brings an element into view; gives where it is on the screen."""
    page.run(f'document.querySelector("{selector}").scrollIntoView({{ block: "center", behavior: "instant" }})')
    page.frame()
    return page.run(f"""(() => {{ const box = document.querySelector("{selector}").getBoundingClientRect();
                    return [box.left, box.top, box.width, box.height]; }})()""")


def test_the_report_has_every_section_or_says_why_not(report):
    assert (report["format"], report["version"]) == ("checkpoint-corpus report", 1)
    assert [model["name"] for model in report["models"]] == ["small-digits", "small-policies"]
    for model, own in zip(report["models"], ("landscape", "cartpole")):
        sections = model["sections"]
        for name in ("prompts", "over_training", "optimizers", "audit", own, "landscape", "walks", "corpus", "made"):
            assert "left_out" not in sections[name], (model["name"], name, sections[name])
        for section in sections.values():
            assert "left_out" not in section or section["remedy"]
    assert PAGE.stat().st_size < 15_000_000


def test_the_page_shows_the_sections_of_the_model_that_is_chosen(page, report):
    headings = '[...document.querySelectorAll("main h2")].map(heading => heading.textContent)'
    first = page.run(headings)
    assert {"Prompts", "Over training", "One step beside optimizers", "Landscape", "Audit: anything new?", "Latent walk", "The corpus", "How it was made", "Left out"} <= set(first)
    assert "Cartpole, live" not in first
    choose(page, 1)
    assert page.run('document.querySelector("h1").textContent') == "small-policies"
    assert "Cartpole, live" in page.run(headings)


def test_everything_has_a_name_and_every_figure_a_table(page):
    for model in (0, 1):
        choose(page, model)
        time.sleep(0.3)
        nameless = page.run("""[...document.querySelectorAll("svg, canvas, input, select, button, section, nav, fieldset, [role=application]")]
            .filter(node => !node.closest("[aria-hidden=true]") && !node.getAttribute("aria-label") && !node.labels?.length
              && !node.textContent.trim() && !(node.tagName === "FIELDSET" && node.querySelector("legend"))
              && !node.getAttribute("aria-labelledby")).map(node => node.outerHTML.slice(0, 120))""")
        assert nameless == []
        assert page.run('[...document.querySelectorAll("figure")].filter(figure => !figure.querySelector("table")).length') == 0
        levels = page.run('[...document.querySelectorAll("h1, h2, h3")].map(heading => Number(heading.tagName[1]))')
        assert levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:]))
    assert page.run('document.documentElement.lang === "en" && Boolean(document.querySelector("main") && document.querySelector("nav"))')


def test_focus_is_visible_and_the_first_stop_skips_to_the_report(page):
    page.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", windowsVirtualKeyCode=9)
    assert page.run("document.activeElement.className") == "skip"
    page.run("document.querySelector('.map').focus({ focusVisible: true })")
    assert page.run("parseFloat(getComputedStyle(document.activeElement).outlineWidth)") >= 2


def test_the_slider_moves_through_training(page, report):
    show(page, "#over-training .slider input")
    said = 'document.querySelector("#over-training output").textContent'
    page.run('document.querySelector("#over-training .slider input").focus()')
    for _ in range(4):
        page.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowLeft", windowsVirtualKeyCode=37)
        page.call("Input.dispatchKeyEvent", type="keyUp", key="ArrowLeft", windowsVirtualKeyCode=37)
    steps = [one["step"] for one in report["models"][0]["sections"]["over_training"]["evaluations"]]
    assert page.run(said).startswith(f"{steps[0]}:")
    cursor = 'Number(document.querySelector("#over-training .course .cursor").getAttribute("x1"))'
    before = page.run(cursor)
    page.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight", windowsVirtualKeyCode=39)
    page.frame()
    assert page.run(said).startswith(f"{steps[1]}:") and page.run(cursor) > before


# The landscape


def viridis(share):
    """As drawn: 256 colors by polynomials of degree 6."""
    t = round(255 * min(1, max(0, share))) / 255
    factors = [
        [0.2777273, 0.1050930, -0.3308618, -4.6342305, 6.2282699, 4.7763850, -5.4354559],
        [0.0054073, 1.4046135, 0.2148476, -5.7991010, 14.1799334, -13.7451454, 4.6458526],
        [0.3340998, 1.3845902, 0.0950952, -19.3324410, 56.6905526, -65.3530326, 26.3124352],
    ]
    return [255 * min(1, max(0, sum(c * t**i for i, c in enumerate(row)))) for row in factors]


def tile(text, width, spread):
    """The values of a tile, as Schemas/sample-views.md has them."""
    data = zlib.decompress(base64.b64decode(text))
    count = len(data) // 2
    numbers = []
    for i in range(count):
        before = 0 if i == 0 else numbers[i - 1] if i % width else numbers[i - width]
        numbers.append((data[i] + 256 * data[count + i] + before) & 0xFFFF)
    return [spread[0] + (spread[1] - spread[0]) * q / 65534 for q in numbers]


def native(landscape, level, x, y):
    """The value of the cell of a level that a place is in."""
    x0, x1, y0, y1 = level["region"]
    column, row = int((x - x0) / (x1 - x0) * level["width"]), int((y - y0) / (y1 - y0) * level["height"])
    size = level["tile"]
    tiles_in_row = math.ceil(level["width"] / size)
    number = row // size * tiles_in_row + column // size
    width = min(size, level["width"] - column // size * size)
    return tile(level["tiles"][number], width, landscape["range"])[row % size * width + column % size]


def color(landscape, value):
    best, worst = landscape["legend"]
    low, high = min(best, worst), max(best, worst)
    scale = math.log10 if low > 0 and high / low > 8 else float
    return viridis((scale(max(value, 1e-300)) - scale(worst)) / (scale(best) - scale(worst)))


VIEW = 'document.querySelector("#landscape").map'


def test_wheel_and_drag_change_what_is_seen_and_load_finer_tiles(page, report):
    landscape = report["models"][0]["sections"]["landscape"]
    left, top, width, _ = show(page, ".map")
    time.sleep(0.3)
    finest = f"{VIEW}.levels.at(-1).states.filter(state => state === 2).length"
    assert page.run(finest) == 0
    whole = page.run(f"{VIEW}.view")
    page.wheel(left + 0.6 * width, top + 0.4 * width, -600)
    page.frame()
    zoomed = page.run(f"{VIEW}.view")
    assert zoomed["width"] < whole["width"] / 3
    page.drag((left + 0.5 * width, top + 0.5 * width), (left + 0.6 * width, top + 0.55 * width))
    page.frame()
    moved = page.run(f"{VIEW}.view")
    assert moved["x"] == pytest.approx(zoomed["x"] - 0.1 * zoomed["width"], abs=0.01 * zoomed["width"])
    assert moved["y"] == pytest.approx(zoomed["y"] + 0.05 * zoomed["width"], abs=0.01 * zoomed["width"])
    time.sleep(0.5)
    assert page.run(finest) > 0

    # Pixels beside native values, cell by cell.
    page.run('[...document.querySelectorAll("#landscape button")].find(button => button.textContent === "Cells").click()')
    page.frame()
    view, size = page.run(f"{VIEW}.view"), page.run(f"{VIEW}.image.width")
    data = base64.b64decode(page.run(f"""(() => {{ const image = {VIEW}.image;
        const data = image.getContext("2d").getImageData(0, 0, image.width, image.height).data;
        let text = "";
        for (let i = 0; i < data.length; i += 4096) text += String.fromCharCode(...data.subarray(i, i + 4096));
        return btoa(text); }})()"""))
    level = landscape["levels"][-1]
    rng, compared = random.Random(17), 0
    while compared < 50:
        column, row = rng.randrange(size), rng.randrange(size)
        x = view["x"] + ((column + 0.5) / size - 0.5) * view["width"]
        y = view["y"] - ((row + 0.5) / size - 0.5) * view["width"]
        # A pixel in the midst of its cell, which rounding moves into no other.
        inside = [(value - low) / (high - low) * count % 1 for value, low, high, count in
                  ((x, *level["region"][:2], level["width"]), (y, *level["region"][2:], level["height"]))]  # fmt: skip
        if not all(0.05 < part < 0.95 for part in inside):
            continue
        pixel = data[4 * (row * size + column) :]
        wanted = color(landscape, native(landscape, level, x, y))
        assert list(pixel[:3]) == pytest.approx(wanted, abs=2), (column, row)
        compared += 1


def test_keys_buttons_and_two_fingers_move_the_map(page):
    left, top, width, _ = show(page, ".map")
    page.run('document.querySelector(".map").focus()')
    widths = [page.run(f"{VIEW}.view.width")]
    for key in ("+", "+", "-"):
        page.key(key)
        widths.append(page.run(f"{VIEW}.view.width"))
    assert widths[2] < widths[1] < widths[0] and widths[3] == pytest.approx(widths[1])
    x = page.run(f"{VIEW}.view.x")
    page.key("ArrowRight")
    assert page.run(f"{VIEW}.view.x") > x
    page.run('document.querySelector("#landscape [aria-label=\'Zoom in\']").click()')
    assert page.run(f"{VIEW}.view.width") < widths[3]
    page.key("0")
    assert page.run(f"{VIEW}.view.width") == widths[0]
    page.call("Input.synthesizePinchGesture", x=left + width / 2, y=top + width / 2, scaleFactor=3, gestureSourceType="touch")
    page.frame()
    assert page.run(f"{VIEW}.view.width") < widths[0] / 2


# Cartpole


def test_carts_return_what_the_native_evaluator_says(page, report):
    choose(page, 1)
    data = report["models"][1]["sections"]["cartpole"]
    policies = data["starts"] + data["policies"]
    assert len(policies) >= 100
    returns = page.run("""(() => { const data = report.models[1].sections.cartpole;
        return [...data.starts, ...data.policies].map(policy =>
          Cartpole.meanReturn(data, Cartpole.parameters(policy.parameters), data.short_episodes)); })()""")
    assert len(set(returns)) > 50
    for found, policy in zip(returns, policies):
        assert found == pytest.approx(policy["short_return"], rel=0.02)
    # What the page is given is what the model wrote.
    numbers = struct.unpack("<1250f", base64.b64decode(policies[0]["parameters"]))
    assert all(map(math.isfinite, numbers))


def test_the_prompt_is_dragged_and_the_cart_runs(page, report):
    choose(page, 1)
    left, top, width, height = show(page, "#cartpole .slider input")
    said = 'document.querySelector("#cartpole .slider output").textContent'
    before = page.run(said)
    page.drag((left + width - 8, top + height / 2), (left + 0.3 * width, top + height / 2))
    assert page.run(said) != before
    show(page, "#cartpole .stage")
    place = '[...document.querySelectorAll("#cartpole .stage g line")].map(pole => pole.getAttribute("transform")).join()'
    status = 'document.querySelectorAll("#cartpole .stage + p")[1].textContent'
    poles = page.run(place)
    time.sleep(0.5)
    assert page.run(place) != poles
    assert "step" in page.run(status)


def test_a_walk_draws_other_pictures_from_frame_to_frame(page):
    show(page, "#walks .slider input")
    picture = 'document.querySelector("#walks canvas").toDataURL()'
    first = page.run(picture)
    page.run("""{ const input = document.querySelector("#walks .slider input"); input.value = 20;
              input.dispatchEvent(new Event("input")); }""")
    page.frame()
    assert page.run(picture) != first
    assert "frame 21 of" in page.run('document.querySelector("#walks .slider output").textContent')


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_fits_and_follows_the_theme(browser, width, dark):
    browser.leave()
    for model in (0, 1):
        browser.open(PAGE, width=width, dark=dark)
        choose(browser, model)
        time.sleep(0.4)
        assert browser.run("document.documentElement.scrollWidth") <= width
        red, green, blue = eval(browser.run("getComputedStyle(document.body).backgroundColor").removeprefix("rgb"))
        assert (max(red, green, blue) < 60) if dark else (min(red, green, blue) > 200)
        shot = browser.screenshot(OUT / f"model-{model}-{width}-{'dark' if dark else 'light'}.png")
        assert len(shot) > 50_000
        assert browser.complaints == []
        browser.leave()
    browser.open(PAGE, width=width, dark=dark)
    browser.run('document.querySelector("#controls button").click()')
    assert browser.run("document.documentElement.dataset.theme") == ("light" if dark else "dark")
    assert browser.complaints == []
