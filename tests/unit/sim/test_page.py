"""The page of a report: what it says, and how it shows in a browser."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zeroskip as zs
from tests.support.browser import browser, needs_browser
from tests.unit.sim.test_explore import draw_network
from zeroskip.base.tables import percent
from zeroskip.cli.app import app
from zeroskip.cli.guard import run_guarded
from zeroskip.compiler.api import compile_any
from zeroskip.compiler.ir.compute import run_nodes
from zeroskip.compiler.ir.graph import FloatConv
from zeroskip.sim.definitions import figure_meanings
from zeroskip.sim.page.accuracy import accuracies, difference
from zeroskip.sim.page.contents import image_contents
from zeroskip.sim.page.page import page

WIDTHS = 360, 1440


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Images of a CNN on both engines, and of an MLP."""
    top = tmp_path_factory.mktemp("images")
    graph, x = draw_network(np.random.default_rng(1))
    compile_any(graph, x, share=True, name="cnn <b>&").save(top / "cnn")
    mlp, y = draw_network(np.random.default_rng(3))
    compile_any(mlp, y, share=True, name="mlp").save(top / "mlp")
    return [top / "cnn", top / "mlp"]


@pytest.fixture(scope="module")
def pages(folders: list[Path]) -> list[str]:
    one, two = (image_contents(zs.load(folder)) for folder in folders)
    return [page([one]), page([one, two])]


class _Links(HTMLParser):
    """Collects what a page links to, loads and names."""

    def __init__(self) -> None:
        super().__init__()
        self.targets, self.names, self.loaded = list[str](), list[str](), list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "a":
            self.targets.append(str(found["href"]))
        elif "src" in found or "href" in found:
            self.loaded.append(str(found.get("src") or found.get("href")))
        if found.get("id"):
            self.names.append(str(found["id"]))


def test_page_is_whole_and_every_link_leads_somewhere(pages: list[str]) -> None:
    for text in pages:
        links = _Links()
        links.feed(text)
        assert links.loaded == ["data:,"]
        assert "<script" not in text
        assert not re.search("https?://", text)
        assert len(links.names) == len(set(links.names))
        assert {target.removeprefix("#") for target in links.targets} <= set(links.names)
        assert "<b>&" not in text
        assert "cnn &lt;b&gt;&amp;" in text


def test_every_heading_of_the_page_is_defined(pages: list[str]) -> None:
    for text in pages:
        heads = re.findall(r'<th scope="col">(.*?)</th>', text)
        # Those two are of codebooks, in words that everybody has.
        assert {head for head in heads if "<a" not in head} <= {"value", "weights"}


def test_definitions_are_those_of_the_metrics() -> None:
    meanings = figure_meanings()
    assert meanings["utilisation"]["Work of a run"].startswith("useful MACs / (cycles")
    assert meanings["address"] == {"In a system": "where its first byte is"}
    assert len(meanings["block"]) > 1


def test_contents_are_what_the_cycle_model_counts(folders: list[Path]) -> None:
    image = zs.load(folders[0])
    x = np.random.default_rng(5).normal(size=(3, *image.sample_shape))
    found, counted = image_contents(image, x, np.array([0, 1, 2])), zs.run(image, x, "cycles")
    assert counted.cycles is not None
    assert found["summary"]["cycles"] == counted.cycles.mean()
    assert found["timeline"][-1]["end"] == pytest.approx(counted.cycles.mean(), rel=0.01)
    for part in found["parts"]:
        for layer in part["layers"]:
            assert sum(layer["stalls"].values()) == pytest.approx(1)
    answers = counted.outputs.reshape(3, -1).argmax(axis=1)
    assert found["accuracy"] == {"fixed": np.mean(answers == np.array([0, 1, 2]))}
    assert "fixed accuracy</a>" in page([found])
    for histogram in found["weights"]:
        assert sum(histogram["bins"]) == histogram["non_zero"]
        assert sum(entry["weights"] for entry in histogram["codebook"]) == histogram["non_zero"]
    with pytest.raises(zs.InputError, match="labels must be whole numbers of shape"):
        image_contents(image, x, np.zeros(3))


def test_accuracy_in_float_is_of_the_model_and_shared_of_the_image_s_weights(
    folders: list[Path],
) -> None:
    graph, _ = draw_network(np.random.default_rng(1))
    image = zs.load(folders[0])
    x = np.random.default_rng(5).normal(size=(40, *image.sample_shape))
    *_, (_, y) = run_nodes(graph, x)
    labels = y.reshape(40, -1).argmax(axis=1)
    result = zs.run(image, x)
    assert accuracies(image, result, x, labels, graph)["float"] == 1
    first, *others = graph.nodes
    assert isinstance(first, FloatConv)
    other = replace(graph, nodes=(replace(first, weight=-first.weight), *others))
    found = accuracies(image, result, x, labels, other)
    assert found["float"] < 1 == found["shared"]
    wrong = replace(graph, nodes=(replace(first, name="odd"), *others))
    with pytest.raises(zs.InputError, match=r"its layer 'odd', of .* is not in the image"):
        accuracies(image, result, x, labels, wrong)
    exact = y.reshape(40, -1)
    apart = np.abs(result.outputs.reshape(40, -1) - exact).max() / np.abs(exact).max()
    assert difference(result, x, graph) == apart > 0
    notes = " ".join(image_contents(image, x, model=graph)["notes"])
    assert f"by at most {percent(apart)} of its largest" in notes
    assert "without labels" in notes


def test_command_writes_the_page_and_prints_its_data(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.html"
    words = ["report", *map(str, folders), "-o", str(out), "--json"]
    assert not run_guarded(app, "zeroskip", words)
    document = json.loads(capsys.readouterr().out)
    assert page(document["images"]) == out.read_text()
    assert run_guarded(app, "zeroskip", ["report", str(folders[0])]) == 2
    words = ["report", str(folders[0]), "-o", str(out), "--model", "m.pt2"]
    assert run_guarded(app, "zeroskip", words) == 2
    assert run_guarded(app, "zeroskip", ["report", *map(str, folders * 2), "-o", str(out)]) == 2


@needs_browser
@pytest.mark.long("starts a browser")
def test_page_in_a_browser(pages: list[str], tmp_path: Path) -> None:
    with browser(tmp_path / "profile") as driver:
        for number, text in enumerate(pages):
            path = tmp_path / f"{number}.html"
            path.write_text(text)
            for width in WIDTHS:
                for scheme in ("light", "dark"):
                    _show(driver, path, width, scheme)
                    room = driver.execute_script(
                        "return [document.documentElement.scrollWidth, window.innerWidth]"
                    )
                    assert room == [width, width], (number, scheme)
                    driver.save_screenshot(str(tmp_path / f"{number}-{width}-{scheme}.png"))
        # One key leads past the navigation, one click from a figure to its definition.
        first = driver.execute_script("return document.querySelector('a').textContent")
        assert first == "Skip to the summary"
        link = driver.find_element("css selector", "dl.figures a[href='#def-speed-up']")
        driver.execute_script("arguments[0].focus()", link)
        link.send_keys("\ue007")
        assert driver.execute_script("return document.querySelector(':target').textContent") == (
            "speed-up"
        )
        assert driver.get_log("browser") == []


def _show(driver: Any, path: Path, width: int, scheme: str) -> None:
    sizes = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sizes)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    driver.get(path.as_uri())
