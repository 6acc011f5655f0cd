"""What notebooks show: the tables and sentences that the commands print, as HTML."""

from html.parser import HTMLParser

import numpy as np
import torch
from torch import nn

from zeroskip import EieParams, compile, run
from zeroskip.base.tables import Report, Table, to_html
from zeroskip.compiler.image.tables import image_report
from zeroskip.sim.metrics import measure
from zeroskip.sim.report import result_report, verify_report
from zeroskip.sim.verify import compare_raw


class Page(HTMLParser):
    """Read the texts of a page, each with its tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        self.texts.append((tag, ""))

    def handle_data(self, data: str) -> None:
        tag, text = self.texts[-1]
        self.texts[-1] = tag, text + data


def texts(report: Report) -> list[tuple[str, str]]:
    """Return what a page of ``report`` has of captions, cells and sentences."""
    found: list[tuple[str, str]] = []
    for entry in report:
        if isinstance(entry, str):
            found.append(("p", entry))
            continue
        found.append(("caption", entry.title))
        found += [("th", name) for name in entry.header]
        found += [("td", str(cell)) for row in entry.rows for cell in row]
    return found


def shown(page: str) -> list[tuple[str, str]]:
    return [entry for entry in Page(page).texts if entry[0] in ("p", "caption", "th", "td")]


def test_what_names_hold_is_escaped() -> None:
    report = ["<b>1 & 2</b>", Table("a < b", ["<i>", "&amp;"], [["</table>", 3], ["<td>", '"x']])]
    page = to_html(report)
    assert shown(page) == texts(report)
    assert "<b>" not in page
    assert page.count("</table>") == 1


def test_notebooks_show_what_commands_print() -> None:
    torch.manual_seed(3)
    module = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
    samples = torch.randn(9, 6)
    array = EieParams(num_pes=2)
    image = compile(module, torch.zeros(1, 6), samples, array, share=True, name="<net>")
    assert shown(image._repr_html_()) == texts([repr(image), *image_report(image)])
    assert any(isinstance(entry, Table) for entry in image_report(image))
    # More inputs than a table shows, some of which do not fit.
    result = run(image, 40 * np.random.default_rng(0).normal(size=(12, 6)), "cycles")
    report = list(result_report(result))
    assert shown(result._repr_html_()) == texts([repr(result), *report])
    assert "and 2 inputs more" in str(report[1])
    verified = compare_raw(image, result, result.parts[0])
    report = list(verify_report(verified, measure(verified)))
    assert shown(verified._repr_html_()) == texts([repr(verified), *report])
    assert str(report[-1]).startswith("bit-exact: ")
    assert "<net>" not in image._repr_html_() + result._repr_html_() + verified._repr_html_()
