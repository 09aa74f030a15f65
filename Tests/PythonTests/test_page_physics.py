"""The physics of a report's page, in a real browser, beside the native evaluator: the same policies, starts and noise."""

import base64
import json
import os
import shutil
import subprocess

import pytest
from conftest import ROOT, run_corpus

from checkpoint_corpus import Corpus, evaluate

EPISODES = 32


@pytest.fixture(scope="module")
def policies(tmp_path_factory):
    """A corpus of one Cartpole run of 100 policies, from falling at once to balancing, each measured by 32 episodes."""
    path = tmp_path_factory.mktemp("policies") / "corpus"
    run_corpus(
        "generate", "cartpole", "--runs", "0..<1", "--iterations", 300, "--checkpoints", 100, "--evaluation-episodes",
        EPISODES, "--out", path, "--quiet",
    )  # fmt: skip
    return Corpus(path)


def in_browser(folder, files, expression):
    """What a page that has some scripts, and nothing else, makes of an expression."""
    browser = shutil.which("chromium")
    if browser is None:
        pytest.fail("needs chromium") if os.environ.get("CORPUS_REQUIRE_ALL") else pytest.skip("needs chromium")
    scripts = "".join(f"<script>{file.read_text()}</script>" for file in files)
    page = folder / "page.html"
    page.write_text(
        f"<!doctype html><pre></pre>{scripts}"
        f"<script>document.querySelector('pre').textContent = JSON.stringify({expression})</script>"
    )
    dumped = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile", "--dump-dom",
         page.as_uri()],
        capture_output=True, text=True, check=True, timeout=300,
    ).stdout  # fmt: skip
    return json.loads(dumped.partition("<pre>")[2].partition("</pre>")[0])


def test_returns_are_the_evaluator_s(policies, tmp_path):
    networks = policies.parameters(0)
    native = evaluate(policies, networks)["eval_return"]
    assert len(native) == 100 and native.min() < 50 and native.max() > 400
    cartpole = {"environment": policies.recipe["physics"], "layers": [4, 32, 32, 1], "seed": 0}
    encoded = [base64.b64encode(network.tobytes()).decode() for network in networks]
    returns = in_browser(
        tmp_path,
        [ROOT / "Sources/Report/Page/cartpole.js"],
        f"{json.dumps(encoded)}.map(p => Cartpole.meanReturn({json.dumps(cartpole)}, Cartpole.parameters(p), {EPISODES}))",
    )
    apart = [abs(page / value - 1) for page, value in zip(returns, native)]
    # The bits but for a sum's: a page that rounded otherwise would be a quarter off where the cart is chaotic.
    assert max(apart) < 0.02 and sorted(apart)[90] < 1e-6
    # Other noise is not the same: the agreement is no property of all episodes.
    other = evaluate(policies, networks, seed=1)["eval_return"]
    assert max(abs(a / b - 1) for a, b in zip(returns, other)) > 0.02


def test_random_words_are_philox_s(tmp_path):
    """The published vectors of Random123, whose counters and keys are of 32-bit words."""
    found = in_browser(
        tmp_path,
        [ROOT / "Sources/Report/Page/cartpole.js"],
        "[Cartpole.philox(0, 0, 0), Cartpole.philox(2 ** 40 + 5, 7, 123456789012)]",
    )
    assert found[0] == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert found[1] == philox(2**40 + 5, 7, 123456789012)


def philox(seed, stream, block):
    """Philox 4x32-10 in numbers of any size."""
    mask = 2**32 - 1
    x, y, z, w = block & mask, block >> 32, stream & mask, stream >> 32
    k, l = seed & mask, seed >> 32
    for _ in range(10):
        a, b = x * 0xD2511F53, z * 0xCD9E8D57
        x, y, z, w = (b >> 32) ^ y ^ k, b & mask, (a >> 32) ^ w ^ l, a & mask
        k, l = (k + 0x9E3779B9) & mask, (l + 0xBB67AE85) & mask
    return [x, y, z, w]
