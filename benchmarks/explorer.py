"""How long docs/explorer.html takes to redraw while a slider moves, in headless Chromium.

    python -m pip install playwright && apt-get install chromium
    python -m benchmarks.explorer

All five methods, 200 steps; each move computes the paths, draws the four plots and writes the
table. Reading a pixel of each plot makes the browser finish drawing inside the time.
"""

import shutil
import statistics
from pathlib import Path

from playwright.sync_api import sync_playwright

PAGE = Path(__file__).parent.parent / "docs" / "explorer.html"
ALL = "gd=1&momentum=1&adagrad=1&adam=1"
MOVES = """([slider, moves]) => {
    const input = document.getElementById(slider + "-slider"), milliseconds = [];
    const [low, high] = [Number(input.min), Number(input.max)];
    for (let i = 0; i < moves; i++) {
        const began = performance.now();
        input.value = low + (high - low) * i / (moves - 1);
        input.dispatchEvent(new Event("input", { bubbles: true }));
        explorer.render();
        document.body.getBoundingClientRect();
        for (const canvas of document.querySelectorAll("canvas"))
            canvas.getContext("2d").getImageData(0, 0, 1, 1);
        milliseconds.push(performance.now() - began);
    }
    return milliseconds;
}"""


def main(moves: int = 100) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for problem, steps, sliders in [
            ("valley", 200, ["lr", "gamma", "eps", "condition", "angle", "zoom"]),
            ("rosenbrock", 200, ["lr", "gamma", "lr_gd"]),
            ("reddi", 2020, ["lr", "gamma"]),
        ]:
            for width, height, ratio in [(1300, 800, 1), (1920, 1080, 1), (360, 740, 3)]:
                page = browser.new_page(
                    viewport={"width": width, "height": height}, device_scale_factor=ratio
                )
                page.goto(f"{PAGE.as_uri()}#problem={problem}&steps={steps}&{ALL}")
                for slider in sliders:
                    times = sorted(page.evaluate(MOVES, [slider, moves]))
                    print(
                        f"{problem:10} {steps:4} steps, {width} x {height} x {ratio}, {slider:9}: "
                        f"fastest {times[0]:4.1f} ms, median {statistics.median(times):4.1f} ms, "
                        f"95 % {times[int(0.95 * moves)]:4.1f} ms"
                    )
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
