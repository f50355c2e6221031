"""Pictures of a report page for the docs: light, dark, and on a phone.

Run ``python -m bench.benchmarks.screenshots results/latest/report.html docs/``.
"""

import shutil
from pathlib import Path

import click
from playwright.sync_api import sync_playwright

FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
_VIEWS = (
    ("report-light", "light", 1400, 1500),
    ("report-dark", "dark", 1400, 1500),
    ("report-phone", "dark", 400, 1100),
)


@click.command(help="Take pictures of the report PAGE into the folder OUT.")
@click.argument("page", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
def main(page: Path, out: Path) -> None:
    """Write one picture per view into ``out``, and one of the plots."""
    out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        for name, scheme, width, height in _VIEWS:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            opened = context.new_page()
            opened.goto(page.resolve().as_uri())
            opened.screenshot(path=out / f"{name}.png")
            if name == "report-light":
                opened.evaluate("document.getElementById('plots').scrollIntoView()")
                opened.screenshot(path=out / "report-plots.png")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
